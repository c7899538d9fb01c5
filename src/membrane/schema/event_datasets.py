"""Data sets of event recordings: how their events become frames."""

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.dataset import Dataset

Shape = list[PositiveInt]


class EventDataset(Dataset):
    """A data set that is framed by us, so that ``timesteps`` may be any number.

    ``split`` says how events are put into T frames, and ``downsample`` how many pixels a side (channels, in 1-D) are
    counted together; ``shape`` follows from it, and is that of the sensor by default.
    """

    shape: Shape = Field(default=[], min_length=2, max_length=3)
    timesteps_in_data: bool = True
    split: Literal["time", "number", "time_spikingjelly", "number_spikingjelly"] = "time"
    downsample: PositiveInt = 1

    @model_validator(mode="before")
    @classmethod
    def shape_follows_from_downsample(cls, values: Any) -> Any:
        """Fill in the shape of a frame. Reject any other than that and the sensor's."""
        factor = values.get("downsample", 1) if isinstance(values, dict) else None
        if type(factor) is not int or factor < 1:
            return values  # refused as a setting of another type
        channels, *sides = sensor = cls.model_fields["shape"].default
        shape = [channels, *(-(-side // factor) for side in sides)]
        if values.get("shape", sensor) not in (sensor, shape):
            raise ValueError(f"shape follows from downsample={factor}: leave dataset.shape out, it is {shape}")
        return {**values, "shape": shape}


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
