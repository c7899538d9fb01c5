"""Data sets, splits, axis order, and events to frames."""

from membrane.data.axes import channels_first, channels_last

__all__ = ["channels_first", "channels_last"]
