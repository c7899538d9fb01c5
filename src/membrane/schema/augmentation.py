"""Augmentations: when each runs, and how strongly."""

from typing import Literal

from membrane.schema.node import Count, Fraction, Node, NotNegative, Positive


class Augmentation(Node):
    """When an augmentation runs: in evaluation too, before and after the batch goes to the accelerator."""

    evaluate: bool = False
    before: bool = False
    after: bool = True


class HorizontalFlip(Augmentation):
    choice = "flip"
    public = "membrane.augment.image.HorizontalFlip"
    probability: Fraction = 0.5


class Shift(Augmentation):
    choice = "shift"
    public = "membrane.augment.image.Shift"
    pixels: Count


class Cutout(Augmentation):
    choice = "cutout"
    public = "membrane.augment.image.Cutout"
    size: Count


class GaussianNoise(Augmentation):
    choice = "noise"
    public = "membrane.augment.noise.GaussianNoise"
    std: NotNegative


class Mixup(Augmentation):
    choice = "mixup"
    public = "membrane.augment.mixing.Mixup"
    alpha: Positive
    evaluate: Literal[False] = False


class Normalise(Augmentation):
    choice = "normalise"
    public = "membrane.augment.normalise.Normalise"
    evaluate: bool = True
    mean: list[float] | None = None
    std: list[Positive] | None = None


AUGMENTATIONS = (HorizontalFlip, Shift, Cutout, GaussianNoise, Mixup, Normalise)
