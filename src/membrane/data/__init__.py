"""Data sets, and the way from their files to batches."""

from membrane.data.axes import channels_first, channels_last
from membrane.data.events.reading import read_events

__all__ = ["channels_first", "channels_last", "read_events"]
