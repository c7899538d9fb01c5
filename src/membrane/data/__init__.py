"""Data sets, and the way from their files to batches."""

from membrane.data.axes import channels_first, channels_last

__all__ = ["channels_first", "channels_last"]
