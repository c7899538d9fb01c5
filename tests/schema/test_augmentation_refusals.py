"""Augmentations that do not fit the data: refused before anything is built, in a line that says what would fit."""

import pytest
from configurations import configured

from membrane.errors import ConfigError

IMAGES: tuple[str, ...] = ()  # digits, 1 × 8 × 8
EVENTS = ("framework=multistep_tid",)  # digits_events, 2 × 16 × 16 at each of T = 4
SIGNALS = ("dataset=uci_har",)  # 9 × 128


@pytest.mark.parametrize(
    ("data", "typed", "message"),
    [
        (IMAGES, ["shift", "pixels=8"], "pixels=8 does not fit data of size [8, 8]: use at most 7 (dataset digits)"),
        (IMAGES, ["roll", "pixels=9"], "use at most 7"),
        (IMAGES, ["cutout", "size=16"], "of which it leaves 0: use at most 15"),
        (IMAGES, ["crop", "size=9"], "size=9 does not fit data of size [8, 8]"),
        (IMAGES, ["crop", "size=[4]"], "one for each axis"),
        (SIGNALS, ["crop", "size=[8,8]"], "size=[8, 8] does not fit data of size [128]"),
        (SIGNALS, ["rotation"], "rotation is for images, the data are 1-D: leave it out (dataset uci_har)"),
        (SIGNALS, ["nda"], "is for images"),
        (SIGNALS, ["autoaugment"], "is for images"),
        (IMAGES, ["sensor_rotation"], "is for signals, the data are 2-D"),
        (("dataset=diabetes", "loss=mse"), ["sensor_rotation"], "1 channels are no multiple of 3"),
        (EVENTS, ["autoaugment"], "is for images of 1 or 3 channels, the data have 2"),
        (IMAGES, ["polarity_flip"], "exchanges two polarities, the data have 1 channels"),
        (IMAGES, ["event_drop"], "is for timesteps in the data, which have none"),
        (IMAGES, ["eventmix"], "is for timesteps in the data"),
        (EVENTS, ["time_shift", "steps=4"], "steps=4 does not fit 4 steps of time: use at most 3"),
        (EVENTS, ["time_warp", "steps=1.5"], "does not fit a third of 4 steps of time: use at most 1"),
        (EVENTS, ["time_mask", "width=5"], "width=5 does not fit 4 steps of time: use at most 4"),
        (SIGNALS, ["time_mask", "width=129"], "does not fit 128 steps of time"),
        (EVENTS, ["frequency_mask"], "is for spectra, the data have images at each timestep"),
        (SIGNALS, ["frequency_mask", "width=10"], "width=10 does not fit 9 frequencies: use at most 9"),
        (IMAGES, ["normalise", "mean=[0.1,0.2]", "std=[1.0,1.0]"], "mean has 2 numbers, the data have 1 channels"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_in_one_line(
    data: tuple[str, ...], typed: list[str], message: str
) -> None:
    name, *settings = typed
    with pytest.raises(ConfigError) as caught:
        configured(*data, f"augmentation={name}", *(f"augmentation.{name}.{each}" for each in settings))
    assert str(caught.value).startswith(f"augmentation.{name}: {name} ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "typed"),
    [
        (IMAGES, ["shift", "pixels=7"]),
        (IMAGES, ["cutout", "size=15"]),
        (IMAGES, ["crop", "size=8"]),
        (IMAGES, ["time_mask", "width=8"]),
        (EVENTS, ["time_shift", "steps=3"]),
        (EVENTS, ["time_warp", "steps=1"]),
        (SIGNALS, ["frequency_mask", "width=9"]),
        (SIGNALS, ["normalise", "per=position"]),
    ],
)
def test_what_just_fits_is_taken(data: tuple[str, ...], typed: list[str]) -> None:
    name, *settings = typed
    configured(*data, f"augmentation={name}", *(f"augmentation.{name}.{each}" for each in settings))


@pytest.mark.parametrize("first", ["normalise", "noise", "amplitude"])
def test_autoaugment_comes_before_what_leaves_its_range(first: str) -> None:
    with pytest.raises(ConfigError, match=f"needs values from 0 to 1: name it before {first}, which changes them"):
        configured(f"augmentation=[{first},autoaugment]")
    configured(f"augmentation=[flip,autoaugment,{first}]")


def test_labels_are_weighed_by_events_before_they_are_normalised() -> None:
    with pytest.raises(ConfigError, match="eventmix needs counts of events: name it before normalise"):
        configured(*EVENTS, "augmentation=[normalise,eventmix]")
    configured(*EVENTS, "augmentation=[normalise,eventmix]", "augmentation.eventmix.weight=distance")
    configured(*EVENTS, "augmentation=[eventmix,normalise]")


@pytest.mark.parametrize("name", ["noise", "exponential_noise"])
def test_noise_is_rounded_before_values_are_normalised(name: str) -> None:
    rounding = f"augmentation.{name}.rounding=true"
    with pytest.raises(ConfigError, match=f"{name} needs whole units of the data to round to: name it before"):
        configured(*EVENTS, f"augmentation=[normalise,{name}]", rounding)
    configured(*EVENTS, f"augmentation=[{name},normalise]", rounding)
    configured(*EVENTS, f"augmentation=[normalise,{name}]")


@pytest.mark.parametrize("name", ["drop_events", "event_drop"])
def test_counts_are_dropped_before_they_are_normalised(name: str) -> None:
    with pytest.raises(ConfigError, match="needs counts of events: name it before normalise"):
        configured(*EVENTS, f"augmentation=[normalise,{name}]")
    configured(*EVENTS, f"augmentation=[{name},normalise]")
