"""Workloads: sizes on a device, scaled and swept."""

import pytest

from membrane.bench.workloads import WORKLOAD_NAMES, WORKLOADS, Workload, chosen_workloads

BY_NAME = {each.name: each for each in WORKLOADS}


def test_inputs_have_the_shapes_that_are_promised() -> None:
    shapes = {name: each.input_shape for name, each in BY_NAME.items()}
    assert shapes == {
        "W1": (32, 3, 32, 32),
        "W2": (4, 16, 2, 128, 128),
        "W3": (64, 9, 128),
        "W4": (128, 1, 28, 28),
        "neuron": (32, 4, 64, 32, 32),
    }


@pytest.mark.parametrize(
    ("name", "features"), [("W1", 256 * 4 * 4), ("W2", 256 * 4 * 4), ("W3", 128 * 16), ("W4", 784)]
)
def test_features_are_what_the_layers_leave(name: str, features: int) -> None:
    assert BY_NAME[name].features() == features


def test_on_cuda_batches_are_of_256_at_two_numbers_of_timesteps() -> None:
    workloads = chosen_workloads(["W1", "W2"], "cuda", None, 1.0)
    assert [(each.name, each.timesteps, each.batch) for each in workloads] == [
        ("W1", 4, 256),
        ("W1", 16, 256),
        ("W2", 4, 256),
        ("W2", 16, 256),
    ]
    assert chosen_workloads(["W1", "W5"], "cpu", None, 1.0) == [BY_NAME["W1"]]


def test_a_sweep_varies_one_thing() -> None:
    assert [each.timesteps for each in chosen_workloads(["W1"], "cpu", "timesteps", 1.0)] == [1, 2, 4, 8, 16, 32, 64]
    assert [each.timesteps for each in chosen_workloads(["W1"], "cuda", "timesteps", 1.0)] == [1, 2, 4, 8, 16, 32, 64]
    assert [each.batch for each in chosen_workloads(["W2"], "cpu", "batch", 1.0)] == [2, 2, 4, 8, 16]
    widths = chosen_workloads(["W4"], "cpu", "width", 1.0)
    assert [(each.units, each.width) for each in widths] == [((128,), 0.25), ((256,), 0.5), ((512,), 1), ((1024,), 2)]
    assert {each.batch for each in widths} == {128}


def test_scaling_leaves_shapes_and_time_alone() -> None:
    small = BY_NAME["W1"].scaled(0.125)
    assert (small.filters, small.batch) == ((8, 8, 16, 16, 32, 32), 4)
    assert (small.shape, small.timesteps, small.setting) == ((3, 32, 32), 4, "T 4, batch 4, width ×0.125")
    assert BY_NAME["neuron"].scaled(0.125).setting == "T 4, batch 4"


def test_a_workload_survives_json() -> None:
    import json
    from dataclasses import asdict

    for each in WORKLOADS:
        assert Workload.from_json(json.loads(json.dumps(asdict(each)))) == each
    assert len(set(WORKLOAD_NAMES)) == len(WORKLOAD_NAMES) == 6
