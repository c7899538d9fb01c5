"""Augmentations: when each runs unless someone says otherwise, and the numbers that make no sense."""

from typing import Any

import pytest
from cases import check_each
from pydantic import ValidationError

from membrane.schema.augmentation import AUGMENTATIONS, Augmentation

BY_NAME = {each.choice: each for each in AUGMENTATIONS}
LEAST: dict[str, dict[str, Any]] = {
    "flip": {},
    "shift": {"pixels": 1},
    "cutout": {"size": 1},
    "noise": {"std": 0.1},
    "mixup": {"alpha": 0.2},
    "normalise": {},
}
"""What each cannot do without."""


def configured(name: str, **settings: Any) -> Augmentation:
    return BY_NAME[name].model_validate({"_target_": BY_NAME[name].public, **LEAST[name], **settings})


def test_all_run_in_training_on_the_device_and_only_normalisation_in_evaluation_too() -> None:
    when = {name: (each.before, each.after, each.evaluate) for name in LEAST for each in [configured(name)]}
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
        ],
        check_edge,
    )
