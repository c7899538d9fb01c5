"""Augmentations: when each runs unless someone says otherwise, and the numbers that make no sense."""

from typing import Any

import pytest
from cases import check_each
from pydantic import ValidationError

from membrane.schema.augmentation import AUGMENTATIONS, Augmentation
from membrane.schema.temporal_augmentation import TEMPORAL

BY_NAME = {each.choice: each for each in (*AUGMENTATIONS, *TEMPORAL)}
LEAST: dict[str, dict[str, Any]] = {
    "flip": {},
    "shift": {"pixels": 1},
    "cutout": {"size": 1},
    "noise": {"std": 0.1},
    "mixup": {"alpha": 0.2},
    "normalise": {},
    "roll": {"pixels": 1},
    "rotation": {"degrees": 15.0},
    "shear": {"degrees": 15.0},
    "exponential_noise": {"rate": 10.0},
    "time_shift": {"steps": 1},
    "time_warp": {"steps": 1.0},
    "time_subset": {"steps": 2},
    "time_mask": {"width": 1},
    "frequency_mask": {"width": 1},
}
"""What each cannot do without; the others have defaults for all."""


def configured(name: str, **settings: Any) -> Augmentation:
    return BY_NAME[name].model_validate({"_target_": BY_NAME[name].public, **LEAST.get(name, {}), **settings})


def test_all_run_in_training_on_the_device_and_only_normalisation_in_evaluation_too() -> None:
    when = {name: (each.before, each.after, each.evaluate) for name in BY_NAME for each in [configured(name)]}
    assert when == {name: (False, True, name == "normalise") for name in BY_NAME}


def test_what_is_needed_is_asked_for() -> None:
    for name, settings in LEAST.items():
        for missing in settings:
            with pytest.raises(ValidationError, match="Field required"):
                BY_NAME[name].model_validate({"_target_": BY_NAME[name].public})
            assert getattr(configured(name), missing) == settings[missing]
    assert configured("flip").parameters()["probability"] == 0.5
    assert (configured("normalise").parameters()["mean"], configured("normalise").parameters()["std"]) == (None, None)


def test_numbers_at_the_edge_are_taken_and_those_beyond_are_not() -> None:
    def check_edge(case: tuple[str, str, Any, Any]) -> None:
        name, setting, edge, beyond = case
        assert getattr(configured(name, **{setting: edge}), setting) == edge
        with pytest.raises(ValidationError, match=setting):
            configured(name, **{setting: beyond})

    tiny = 1e-9
    check_each(
        [
            ("flip", "probability", 0.0, -tiny),
            ("flip", "probability", 1.0, 1 + tiny),
            ("shift", "pixels", 0, -1),
            ("cutout", "size", 0, -1),
            ("noise", "std", 0.0, -tiny),
            ("mixup", "alpha", tiny, 0.0),
            ("mixup", "evaluate", False, True),  # labels that are mixed cannot be scored
            ("normalise", "std", [tiny], [0.0]),
            ("normalise", "mean", [-1.0], -1.0),
            ("flip", "evaluate", True, 1),
            ("cutmix", "alpha", tiny, 0.0),
            ("cutmix", "evaluate", False, True),
            ("eventmix", "weight", "distance", "volume"),
            ("eventmix", "evaluate", False, True),
            ("crop", "padding", 0, -1),
            ("crop", "size", 1, 0),
            ("crop", "size", [1, 2], [1, 0]),
            ("resized_crop", "smallest", 1.0, 0.0),
            ("resized_crop", "ratio", 1.0, 1 - tiny),
            ("resized_crop", "interpolation", "nearest", "cubic"),
            ("rotation", "degrees", 0.0, -tiny),
            ("shear", "degrees", 89.9, 90.0),
            ("sensor_rotation", "degrees", 180.0, 180.1),
            ("amplitude", "low", 1.2, 1.3),
            ("exponential_noise", "rate", tiny, 0.0),
            ("autoaugment", "policy", "svhn", "mine"),
            ("time_shift", "steps", 0, -1),
            ("time_warp", "steps", 0.0, -tiny),
            ("time_subset", "steps", 1, 0),
            ("time_mask", "share", 1.0, 0.0),
            ("time_mask", "masks", 1, 0),
            ("frequency_mask", "width", 0, -1),
            ("drop_time", "smallest", 0.9, 0.91),
            ("drop_area", "largest", 0.05, 0.04),
            ("polarity_flip", "probability", 1.0, 1 + tiny),
            ("nda", "magnitude", 3, 4),
            ("nda", "operations", 4, 0),
            ("cutout", "smallest", 1, 2),
            ("normalise", "per", "position", "frame"),
        ],
        check_edge,
    )
