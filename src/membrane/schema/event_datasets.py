"""Data sets of event recordings: how their events become frames."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.data.events.layout import LONGEST_REFRACTORY, FrameLayout, SampleChoice, Split, Values
from membrane.schema.dataset import Dataset
from membrane.schema.node import LATER, Count, NotNegative, Positive

Shape = list[PositiveInt]


class EventDataset(Dataset):
    """A data set that is framed by us, so that ``timesteps`` may be any number; `FrameLayout` explains the settings.

    ``shape`` follows from them, and is that of the sensor by default.
    """

    shape: Shape = Field(default=[], max_length=3)
    timesteps_in_data: bool = True
    split: Split = "time"
    downsample: PositiveInt = 1
    duration: PositiveInt | None = LATER(default=None)
    frames: PositiveInt | None = LATER(default=None)
    samples: SampleChoice = LATER(default="first")
    stride: PositiveInt | None = LATER(default=None)
    values: Values = LATER(default="counts")
    hot_pixels: Positive | None = LATER(default=None)
    refractory: int | None = LATER(default=None, ge=1, le=LONGEST_REFRACTORY)
    silence: bool = LATER(default=False)

    @model_validator(mode="after")
    def shape_follows_from_settings(self) -> Self:
        """Fill in the shape of a frame. Reject any other than that and the sensor's, and settings that do not fit."""
        sensor = self.sensor_shape
        shape = self.layout.shape(sensor)
        if self.shape not in ([], sensor, shape):
            raise ValueError(f"shape={self.shape}: it follows from the settings, {shape}: leave it out")
        object.__setattr__(self, "shape", shape)  # frozen, and not whole before
        return self

    @property
    def sensor_shape(self) -> list[int]:
        """The shape of a frame of all pixels."""
        shape: list[int] = type(self).model_fields["shape"].default
        return shape

    @property
    def layout(self) -> FrameLayout:
        """The settings as the data set takes them."""
        return FrameLayout(**{name: getattr(self, name) for name in FrameLayout.__dataclass_fields__})

    @property
    def most_timesteps(self) -> int | None:
        """The number of frames, where it is set."""
        return self.frames


class DigitsEvents(EventDataset):
    choice = "digits_events"
    public = "membrane.data.saccades.DigitsEvents"
    downsample: PositiveInt = LATER(default=1)
    size: PositiveInt = 16
    amplitude: NotNegative = 3.0
    fixation: NotNegative = 0.75
    threshold: Positive = 0.6
    mismatch: NotNegative = 0.1
    background: NotNegative = 0.5
    noise_seed: Count = 0

    @property
    def sensor_shape(self) -> list[int]:
        """The shape of a frame of all pixels."""
        return [2, self.size, self.size]


class CameraDataset(EventDataset):
    """A data set of files of an event camera; ``backwards`` says what happens where time runs backwards in one."""

    backwards: Literal["refuse", "sort", "keep"] = "refuse"


class NMNIST(CameraDataset):
    choice = "nmnist"
    public = "membrane.data.nmnist.NMNIST"
    shape: Shape = Field(default=[2, 34, 34])


class NMNISTSubset(CameraDataset):
    choice = "nmnist_subset"
    public = "membrane.data.nmnist.NMNISTSubset"
    shape: Shape = Field(default=[2, 34, 34])


class NCaltech101(CameraDataset):
    choice = "ncaltech101"
    public = "membrane.data.ncaltech101.NCaltech101"
    shape: Shape = Field(default=[2, 180, 240])
    partition: Literal["random", "spikingjelly"] = "random"


class NCARS(CameraDataset):
    choice = "ncars"
    public = "membrane.data.ncars.NCARS"
    shape: Shape = Field(default=[2, 100, 120])


class CIFAR10DVS(CameraDataset):
    choice = "cifar10_dvs"
    public = "membrane.data.cifar10_dvs.CIFAR10DVS"
    shape: Shape = Field(default=[2, 128, 128])
    partition: Literal["spikingjelly", "tebn", "random"] = "spikingjelly"


class DVS128Gesture(CameraDataset):
    choice = "dvs128_gesture"
    public = "membrane.data.dvs128_gesture.DVS128Gesture"
    shape: Shape = Field(default=[2, 128, 128])


class SHD(EventDataset):
    choice = "shd"
    public = "membrane.data.shd.SHD"
    shape: Shape = Field(default=[1, 700])


class SSC(EventDataset):
    choice = "ssc"
    public = "membrane.data.shd.SSC"
    shape: Shape = Field(default=[1, 700])


EVENT_DATASETS = (NMNIST, NMNISTSubset, NCaltech101, NCARS, CIFAR10DVS, DVS128Gesture, SHD, SSC)
