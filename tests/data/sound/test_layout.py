"""Shapes that follow from the settings, and settings that do not go together."""

import re
from typing import Any

import pytest
from cases import check_each

from membrane.data.sound.layout import SoundLayout
from membrane.errors import ConfigError


def test_shapes_follow_from_the_settings() -> None:
    def check_shape(case: tuple[dict[str, Any], list[int]]) -> None:
        settings, shape = case
        layout = SoundLayout(**settings)
        assert (layout.shape, layout.timesteps_in_data) == (shape, settings.get("form") == "timesteps")

    check_each(
        [
            ({}, [1, 40, 100]),
            ({"form": "signal"}, [40, 100]),
            ({"form": "timesteps"}, [1, 40]),
            ({"seconds": 0.5, "hop": 20.0, "bands": 7}, [1, 7, 25]),
            ({"features": "mfcc"}, [1, 40, 100]),
            ({"features": "mfcc", "coefficients": 10, "form": "signal"}, [10, 100]),
            ({"features": "spikes"}, [2, 40, 100]),
            ({"features": "spikes", "form": "signal"}, [80, 100]),
            ({"features": "spikes", "form": "timesteps", "bands": 16}, [2, 16]),
            ({"seconds": 0.01}, [1, 40, 1]),
            ({"stretch": 30}, [1, 40, 30]),
        ],
        check_shape,
    )


def test_settings_without_effect_or_sense_are_refused() -> None:
    def check_refusal(case: tuple[dict[str, Any], str]) -> None:
        settings, line = case
        with pytest.raises(ConfigError, match=re.escape(line)):
            SoundLayout(**settings)

    check_each(
        [
            ({"coefficients": 10}, "coefficients=10 are of features=mfcc"),
            ({"features": "mfcc", "coefficients": 41}, "coefficients=41, but there are only bands=40"),
            ({"threshold": 3.0}, "threshold=3 is of features=spikes"),
            ({"features": "spikes", "center": True}, "center=true changes no crossing"),
            ({"hop": 30.0}, "hop=30 ms leaves sound out between windows of window=25 ms"),
            ({"seconds": 2.0, "stretch": 30}, "seconds=2 cuts nothing that stretch=30 fits"),
            ({"seconds": 0.004}, "seconds=0.004 is less than a frame of hop=10 ms"),
        ],
        check_refusal,
    )
