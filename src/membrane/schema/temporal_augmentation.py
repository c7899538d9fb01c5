"""Augmentations of time and of events, and the data that each can work on."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.augmentation import Augmentation, Frame, Mixing, PositiveFraction, too_large
from membrane.schema.node import Count, Fraction, NotNegative, Positive


class TimeShift(Augmentation):
    choice = "time_shift"
    public = "membrane.augment.temporal.TimeShift"
    steps: Count
    wrap: bool = False

    def misfit(self, frame: Frame) -> str | None:
        """Refuse to move everything out."""
        return too_large("steps", self.steps, frame.steps - 1, f"{frame.steps} steps of time")


class TimeWarp(Augmentation):
    choice = "time_warp"
    public = "membrane.augment.temporal.TimeWarp"
    steps: NotNegative
    interpolation: Literal["linear", "nearest"] = Field(
        default="linear", description="between two steps, or nearest, which keeps counts whole"
    )

    def misfit(self, frame: Frame) -> str | None:
        """Refuse to move a point by more than a third of the time."""
        return too_large("steps", self.steps, (frame.steps - 1) / 3, f"a third of {frame.steps} steps of time")


class TimeSubset(Augmentation):
    """Trains on ``steps`` timesteps of each sample, drawn at random; evaluation sees all of them."""

    choice = "time_subset"
    public = "membrane.augment.temporal.TimeSubset"
    events = True
    evaluate: Literal[False] = False
    steps: PositiveInt

    def misfit(self, frame: Frame) -> str | None:
        """Refuse more timesteps than there are."""
        return too_large("steps", self.steps, frame.timesteps or 0, f"{frame.timesteps} timesteps")


class TimeMask(Augmentation):
    choice = "time_mask"
    public = "membrane.augment.masks.TimeMask"
    width: Count
    masks: PositiveInt = 1
    share: PositiveFraction = 1.0

    def misfit(self, frame: Frame) -> str | None:
        """Refuse a mask wider than the time."""
        return too_large("width", self.width, frame.steps, f"{frame.steps} steps of time")


class FrequencyMask(Augmentation):
    choice = "frequency_mask"
    public = "membrane.augment.masks.FrequencyMask"
    width: Count
    masks: PositiveInt = 1

    def misfit(self, frame: Frame) -> str | None:
        """Refuse frames that are images, and a mask wider than the frequencies."""
        if frame.planar and frame.timesteps:
            return "is for spectra, the data have images at each timestep: leave it out"
        return too_large("width", self.width, frame.frequencies, f"{frame.frequencies} frequencies")


class PolarityFlip(Augmentation):
    choice = "polarity_flip"
    public = "membrane.augment.events.PolarityFlip"
    probability: Fraction = 0.5

    def misfit(self, frame: Frame) -> str | None:
        """Refuse channels that are no polarities."""
        if frame.channels == 2:
            return None
        return f"exchanges two polarities, the data have {frame.channels} channels: leave it out"


class Drop(Augmentation):
    events = True
    smallest: Fraction = 0.1
    largest: Fraction = 0.9

    @model_validator(mode="after")
    def smallest_is_not_above_largest(self) -> Self:
        """Reject a range that is empty."""
        if self.smallest > self.largest:
            raise ValueError(f"smallest={self.smallest} must be at most largest={self.largest}")
        return self


class DropTime(Drop):
    choice = "drop_time"
    public = "membrane.augment.events.DropTime"


class DropArea(Drop):
    choice = "drop_area"
    public = "membrane.augment.events.DropArea"
    smallest: Fraction = 0.05
    largest: Fraction = 0.25


class DropEvents(Drop):
    choice = "drop_events"
    public = "membrane.augment.events.DropEvents"


class EventDrop(Augmentation):
    choice = "event_drop"
    public = "membrane.augment.events.EventDrop"
    events = True


class EventMix(Mixing):
    choice = "eventmix"
    public = "membrane.augment.eventmix.EventMix"
    events = True
    alpha: Positive = 1.0
    weight: Literal["events", "distance"] = "events"


TEMPORAL = (
    TimeShift,
    TimeWarp,
    TimeSubset,
    TimeMask,
    FrequencyMask,
    PolarityFlip,
    DropTime,
    DropArea,
    DropEvents,
    EventDrop,
    EventMix,
)
