"""Augmentations of space and of values: when each runs, how strongly, and the data that it can work on."""

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.node import LATER, Count, Fraction, Node, NotNegative, Positive

Interpolation = Literal["bilinear", "nearest"]
INTERPOLATED = "bilinear, or nearest, which keeps counts whole"
PositiveFraction = Annotated[float, Field(gt=0, le=1)]


class Frame(NamedTuple):
    """The data of an augmentation: C channels of an image [H,W] or a signal [S], T timesteps in the data or none."""

    channels: int
    size: list[int]
    timesteps: int | None

    @property
    def planar(self) -> bool:
        """Return whether it is an image."""
        return len(self.size) > 1

    @property
    def steps(self) -> int:
        """Return the steps of time: T, or without timesteps in the data the last axis."""
        return self.timesteps or self.size[-1]

    @property
    def frequencies(self) -> int:
        """Return the frequencies: S of timesteps in the data, else C of a signal, H of a spectrogram."""
        return self.size[0] if self.planar or self.timesteps else self.channels


class Augmentation(Node):
    """When an augmentation runs: in evaluation too, before and after the batch goes to the accelerator.

    ``ranks`` are those of the data that it takes, 1 for signals and 2 for images; ``events`` says whether it needs
    timesteps in them, ``leaves_range`` whether it may take values from 0 to 1 out of that range.
    """

    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    events: ClassVar[bool] = False
    leaves_range: ClassVar[bool] = False

    evaluate: bool = Field(default=False, description="run in validation and test too")
    before: bool = Field(default=False, description="run before the batch goes to the accelerator")
    after: bool = Field(default=True, description="run after the batch went to the accelerator")

    def misfit(self, frame: Frame) -> str | None:
        """Return why it cannot work on such data and what would do, or None if it can."""
        return None

    def refused_for(self, frame: Frame) -> str | None:
        """Return the first reason why it cannot work on such data: too few or many axes, no timesteps, or its own."""
        if len(frame.size) not in self.ranks:
            taken = "images" if 2 in self.ranks else "signals"
            return f"is for {taken}, the data are {len(frame.size)}-D: leave it out"
        if self.events and frame.timesteps is None:
            return "is for timesteps in the data, which have none: leave it out"
        return self.misfit(frame)


def too_large(name: str, value: float, most: float, of: str) -> str | None:
    """Return a line that refuses a ``value`` above the ``most`` that the data have, or None."""
    return f"{name}={value:g} does not fit {of}: use at most {most:g}" if value > most else None


class HorizontalFlip(Augmentation):
    choice = "flip"
    public = "membrane.augment.image.HorizontalFlip"
    probability: Fraction = 0.5


class Shift(Augmentation):
    choice = "shift"
    public = "membrane.augment.image.Shift"
    pixels: Count

    def misfit(self, frame: Frame) -> str | None:
        """Refuse to move everything out."""
        return too_large("pixels", self.pixels, min(frame.size) - 1, f"data of size {frame.size}")


class Roll(Shift):
    choice = "roll"
    public = "membrane.augment.image.Roll"


class Cutout(Augmentation):
    choice = "cutout"
    public = "membrane.augment.image.Cutout"
    size: Count
    smallest: Count | None = LATER(default=None)

    def misfit(self, frame: Frame) -> str | None:
        """Refuse to cut out everything, wherever the centre is."""
        return too_large("size", self.size, 2 * max(frame.size) - 1, f"data of size {frame.size}, of which it leaves 0")

    @model_validator(mode="after")
    def smallest_is_not_above_size(self) -> Self:
        """Reject a smallest size above the largest."""
        if self.smallest is not None and self.smallest > self.size:
            raise ValueError(f"smallest={self.smallest} must be at most size={self.size}")
        return self


class Crop(Augmentation):
    choice = "crop"
    public = "membrane.augment.crop.Crop"
    padding: Count = 0
    size: PositiveInt | list[PositiveInt] | None = None

    def misfit(self, frame: Frame) -> str | None:
        """Refuse a window that is larger than the data, or has other axes."""
        sizes = [self.size] * len(frame.size) if isinstance(self.size, int) else self.size or frame.size
        if len(sizes) != len(frame.size) or any(size > side for size, side in zip(sizes, frame.size, strict=True)):
            return f"size={self.size} does not fit data of size {frame.size}: use smaller ones, one for each axis"
        return None


class ResizedCrop(Augmentation):
    choice = "resized_crop"
    public = "membrane.augment.crop.ResizedCrop"
    smallest: PositiveFraction = 0.08
    ratio: float = Field(default=4 / 3, ge=1)
    interpolation: Interpolation = Field(default="bilinear", description=INTERPOLATED)


class Rotation(Augmentation):
    choice = "rotation"
    public = "membrane.augment.affine.Rotation"
    ranks = (2,)
    degrees: NotNegative
    interpolation: Interpolation = Field(default="bilinear", description=INTERPOLATED)


class Shear(Augmentation):
    choice = "shear"
    public = "membrane.augment.affine.Shear"
    ranks = (2,)
    degrees: float = Field(ge=0, lt=90)
    interpolation: Interpolation = Field(default="bilinear", description=INTERPOLATED)


class Affine(Augmentation):
    choice = "affine"
    public = "membrane.augment.affine.Affine"
    ranks = (2,)
    degrees: NotNegative = 0.0
    translate: Fraction = 0.0
    scale: list[Positive] = Field(default=[1.0, 1.0], min_length=2, max_length=2)
    interpolation: Interpolation = "bilinear"

    @model_validator(mode="after")
    def scale_is_in_order(self) -> Self:
        """Reject a smallest factor above the largest."""
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale={self.scale}: the smallest factor comes first")
        return self


class SensorRotation(Augmentation):
    choice = "sensor_rotation"
    public = "membrane.augment.sensors.SensorRotation"
    ranks = (1,)
    leaves_range = True
    degrees: float = Field(default=180, ge=0, le=180)

    def misfit(self, frame: Frame) -> str | None:
        """Refuse channels that are not x, y and z of sensors."""
        if frame.channels % 3:
            return f"turns x, y and z of sensors, {frame.channels} channels are no multiple of 3: leave it out"
        return None


class Amplitude(Augmentation):
    choice = "amplitude"
    public = "membrane.augment.sensors.Amplitude"
    leaves_range = True
    low: float = 0.8
    high: float = 1.2

    @model_validator(mode="after")
    def low_is_not_above_high(self) -> Self:
        """Reject a range that is empty."""
        if self.low > self.high:
            raise ValueError(f"low={self.low} must be at most high={self.high}")
        return self


class GaussianNoise(Augmentation):
    choice = "noise"
    public = "membrane.augment.noise.GaussianNoise"
    leaves_range = True
    std: NotNegative
    fixed: bool = LATER(default=False)
    rounding: bool = LATER(default=False)


class ExponentialNoise(Augmentation):
    choice = "exponential_noise"
    public = "membrane.augment.noise.ExponentialNoise"
    leaves_range = True
    rate: Positive
    rounding: bool = False


class AutoAugment(Augmentation):
    choice = "autoaugment"
    public = "membrane.augment.autoaugment.AutoAugment"
    ranks = (2,)
    policy: Literal["cifar10", "svhn", "imagenet"] = "cifar10"

    def misfit(self, frame: Frame) -> str | None:
        """Refuse channels that are no colours."""
        if frame.channels in (1, 3):
            return None
        return f"is for images of 1 or 3 channels, the data have {frame.channels}: leave it out"


class NDA(Augmentation):
    choice = "nda"
    public = "membrane.augment.nda.NDA"
    ranks = (2,)
    magnitude: Literal[1, 2, 3] = 1
    operations: Literal[1, 2, 3, 4] = 1


class Mixing(Augmentation):
    evaluate: Literal[False] = False


class Mixup(Mixing):
    choice = "mixup"
    public = "membrane.augment.mixing.Mixup"
    alpha: Positive


class CutMix(Mixing):
    choice = "cutmix"
    public = "membrane.augment.mixing.CutMix"
    alpha: Positive = 1.0


class Normalise(Augmentation):
    choice = "normalise"
    public = "membrane.augment.normalise.Normalise"
    leaves_range = True
    evaluate: bool = True
    mean: list[float] | None = None
    std: list[Positive] | None = None
    per: Literal["channel", "position"] = LATER(default="channel")

    def misfit(self, frame: Frame) -> str | None:
        """Refuse statistics of another number of channels."""
        if self.mean is None or self.std is None or len(self.mean) == frame.channels:
            return None
        return f"mean has {len(self.mean)} numbers, the data have {frame.channels} channels: give one a channel"


AUGMENTATIONS = (
    HorizontalFlip,
    Shift,
    Roll,
    Cutout,
    Crop,
    ResizedCrop,
    Rotation,
    Shear,
    Affine,
    SensorRotation,
    Amplitude,
    GaussianNoise,
    ExponentialNoise,
    AutoAugment,
    NDA,
    Mixup,
    CutMix,
    Normalise,
)
