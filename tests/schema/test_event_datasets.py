"""Event data sets: the shape of a frame follows from the sensor and the settings."""

from dataclasses import fields
from typing import Any

import pytest
from cases import check_each
from pydantic import ValidationError

from membrane.config.admission import admitted_class
from membrane.schema.dataset import Dataset, trained_on_test_part
from membrane.schema.event_datasets import CIFAR10DVS, EVENT_DATASETS, NMNIST, SHD, DigitsEvents


def nmnist(**settings: Any) -> NMNIST:
    return NMNIST.model_validate({"_target_": "x.Y", "name": "n", "classes": 10, **settings})


def test_the_shape_is_the_sensors_divided_and_rounded_up() -> None:
    assert [nmnist(downsample=factor).shape for factor in (1, 2, 4, 100)] == [
        [2, 34, 34],
        [2, 17, 17],
        [2, 9, 9],
        [2, 1, 1],
    ]
    saved = nmnist(downsample=4).model_dump(by_alias=True)
    assert NMNIST.model_validate(saved).shape == [2, 9, 9]
    assert nmnist(downsample=2, shape=[2, 34, 34]).shape == [2, 17, 17]
    assert nmnist().timesteps_in_data


def test_another_shape_and_no_factor_are_refused() -> None:
    line = r"shape=\[2, 16, 16\]: it follows from the settings, \[2, 17, 17\]: leave it out"
    with pytest.raises(ValidationError, match=line):
        nmnist(downsample=2, shape=[2, 16, 16])
    for factor in (0, -1, 2.0, True, "2"):
        with pytest.raises(ValidationError, match="downsample"):
            nmnist(downsample=factor)


def test_the_sensor_is_that_of_the_class_and_every_setting_too() -> None:
    def check_dataset(node: type[Dataset]) -> None:
        built_class = admitted_class(node.public)
        assert node.choice == built_class.name
        sensor = node.model_fields["shape"].default
        width, height = getattr(built_class, "sensor", (sensor[-1], None))
        assert sensor == ([2, height, width] if height else [1, width])
        own = {name for name in node.model_fields if name not in Dataset.model_fields}
        assert own == {field.name for field in fields(built_class)}

    check_each(EVENT_DATASETS, check_dataset)


def test_weights_know_the_test_part_of_another_partition() -> None:
    settings = {"_target_": CIFAR10DVS.public, "name": "n", "classes": 10}
    former = CIFAR10DVS.model_validate(settings).model_dump(by_alias=True)
    assert trained_on_test_part(CIFAR10DVS.model_validate({**settings, "downsample": 2}), former) == ""
    line = "dataset.partition=tebn tests on samples that the weights were trained on"
    line += ", with dataset.partition=spikingjelly"
    assert trained_on_test_part(CIFAR10DVS.model_validate({**settings, "partition": "tebn"}), former) == line


def test_settings_of_frames_decide_the_shape_and_the_timesteps() -> None:
    assert nmnist(values="signed", downsample=2).shape == [1, 17, 17]
    saved = nmnist(values="signed").model_dump(by_alias=True)
    assert NMNIST.model_validate(saved).shape == [1, 34, 34]
    assert (nmnist(frames=40, samples="all").most_timesteps, nmnist(duration=9).most_timesteps) == (40, None)
    assert DigitsEvents.model_validate({"_target_": "x.Y", "name": "n", "classes": 10, "size": 20}).shape == [2, 20, 20]


def test_settings_of_frames_that_do_not_go_together_are_refused() -> None:
    def check_refused(case: tuple[dict[str, Any], str]) -> None:
        with pytest.raises(ValidationError, match=case[1]):
            nmnist(**case[0])

    check_each(
        [
            ({"duration": 10, "frames": 4}, "duration=10 decides how many frames there are: leave frames out"),
            ({"duration": 1.5}, "duration"),
            ({"refractory": 10**10}, "refractory"),
            ({"hot_pixels": 0.0}, "hot_pixels"),
        ],
        check_refused,
    )
    with pytest.raises(ValidationError, match="values=signed is ON minus OFF, these events have no polarity"):
        SHD.model_validate({"_target_": "x.Y", "name": "n", "classes": 20, "values": "signed"})
