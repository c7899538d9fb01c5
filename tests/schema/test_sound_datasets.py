"""Data sets of sound: facts that follow from the settings, and which part tests."""

import re
from typing import Any

import pytest
from cases import check_each
from configurations import configured
from pydantic import ValidationError

from membrane.errors import ConfigError
from membrane.schema.sound_datasets import FSDD, SpeechCommands


def fsdd(**settings: Any) -> FSDD:
    return FSDD.model_validate({"_target_": FSDD.public, "name": "fsdd", "classes": 10, **settings})


def speech_commands(**settings: Any) -> SpeechCommands:
    return SpeechCommands.model_validate({"_target_": SpeechCommands.public, "name": "words", **settings})


def test_shape_and_time_follow_from_the_settings() -> None:
    assert (fsdd().shape, fsdd().timesteps_in_data, fsdd().most_timesteps) == ([1, 40, 100], False, None)
    spikes = fsdd(form="timesteps", features="spikes", bands=20, hop=20.0)
    assert (spikes.shape, spikes.timesteps_in_data, spikes.most_timesteps) == ([2, 20], True, 50)
    saved = spikes.model_dump(by_alias=True)
    assert saved["shape"] == [2, 20]
    assert FSDD.model_validate(saved) == spikes


def test_other_facts_and_settings_without_sense_are_refused() -> None:
    def check_refusal(case: tuple[dict[str, Any], str]) -> None:
        settings, line = case
        with pytest.raises(ValidationError, match=re.escape(line)):
            fsdd(**settings)

    check_each(
        [
            ({"shape": [1, 40, 99]}, "shape=[1, 40, 99]: it follows from the settings, [1, 40, 100]: leave it out"),
            ({"timesteps_in_data": True}, "timesteps_in_data follows from the form: use form=timesteps"),
            ({"coefficients": 13}, "coefficients=13 are of features=mfcc"),
            ({"form": "frames"}, "form"),
            (
                {"partition": "speaker"},
                "partition=speaker tests on speakers that are left out, 0 to 5: add dataset.leave_out=3",
            ),
            ({"leave_out": 3}, "partition=index does not tell apart: add dataset.partition=speaker"),
        ],
        check_refusal,
    )
    assert fsdd(partition="speaker", leave_out=3).leave_out == [3]


def test_the_number_of_words_is_that_of_the_version() -> None:
    for version, classes, refused in ((1, (12, 20, 30), 35), (2, (12, 20, 35), 30)):
        for number in classes:
            assert speech_commands(version=version, classes=number).parameters()["classes"] == number
        with pytest.raises(
            ValidationError, match=f"version={version} has {classes[-1]} words: use classes={classes[-1]}"
        ):
            speech_commands(version=version, classes=refused)
    with pytest.raises(ValidationError, match="classes"):
        speech_commands(classes=10)


def test_what_fits_a_framework_is_named() -> None:
    assert configured("dataset=fsdd", "framework=multistep_tid", "dataset.form=timesteps").timesteps == 4
    with pytest.raises(ConfigError, match=r"use framework=multistep or dataset\.form=timesteps"):
        configured("dataset=fsdd", "framework=multistep_tid")
    with pytest.raises(ConfigError, match=r"dataset fsdd has 100 frames: use timesteps=100 or fewer"):
        configured("dataset=fsdd", "framework=multistep_tid", "dataset.form=timesteps", "timesteps=101")
