"""Augmentations that cannot work on the data, or not in their order, refused before anything is built."""

from collections.abc import Callable

from membrane.schema import Config
from membrane.schema.augmentation import (
    Augmentation,
    AutoAugment,
    ExponentialNoise,
    Frame,
    GaussianNoise,
    Normalise,
)
from membrane.schema.temporal_augmentation import DropEvents, EventDrop, EventMix


def refuse_unfit_augmentation(config: Config) -> str | None:
    """Refuse an augmentation whose sizes do not fit the shape of the data, or that is for other data."""
    dataset = config.dataset
    channels, *size = dataset.shape
    frame = Frame(channels, size, config.timesteps if dataset.timesteps_in_data else None)
    for name, augmentation in config.augmentation.items():
        if reason := augmentation.refused_for(frame):
            return f"augmentation.{name}: {augmentation.name_of_choice} {reason} (dataset {dataset.name})"
    return None


def refuse_late_augmentation(config: Config) -> str | None:
    """Refuse an augmentation that needs values as they were, after one that changes them."""
    entries = list(config.augmentation.items())
    for position, (name, augmentation) in enumerate(entries):
        for earlier, each in entries[:position]:
            if isinstance(augmentation, AutoAugment) and each.leaves_range:
                return f"augmentation.{name} needs values from 0 to 1: name it before {earlier}, which changes them"
            if isinstance(each, Normalise) and (needed := stored_values_needed(augmentation)):
                return f"augmentation.{name} needs {needed}: name it before {earlier}, which leaves none"
    return None


def stored_values_needed(augmentation: Augmentation) -> str:
    """Return what an augmentation needs of values in units of the data as they are stored; empty for nothing."""
    if isinstance(augmentation, GaussianNoise | ExponentialNoise) and augmentation.rounding:
        return "whole units of the data to round to"
    weighs_events = isinstance(augmentation, EventMix) and augmentation.weight == "events"
    return "counts of events" if weighs_events or isinstance(augmentation, DropEvents | EventDrop) else ""


AUGMENTATION_RULES: tuple[Callable[[Config], str | None], ...] = (refuse_unfit_augmentation, refuse_late_augmentation)
"""Every rule about augmentations, in the order in which they are asked."""
