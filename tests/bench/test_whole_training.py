"""Whole trainings: the same net for all, turns, and what a failed one leaves."""

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from membrane.bench import whole_training
from membrane.bench.by_hand import composed_training, data_by_hand, evaluate_by_hand, train_by_hand
from membrane.bench.digits_run import child_environment
from membrane.bench.peers import PEERS, Peer
from membrane.bench.peers.net import Net, copy_weights
from membrane.bench.record import Case, Timing
from membrane.bench.report import bench_report
from membrane.bench.trainings import CHANNELS_LAST, TRAININGS, Training
from membrane.bench.whole_training import TrainingFailed, single_step_setting, time_training
from membrane.framework import require_tensor
from membrane.training.assembly import build_learner

BY_NAME = {peer.name: peer for peer in PEERS}
OURS, THEIRS, FLOOR = (
    BY_NAME[name] for name in ("membrane multistep", "SpikingJelly multi-step", "ReLU on T·N images")
)
DIGITS = TRAININGS[1]


@pytest.mark.parametrize("training", TRAININGS, ids=lambda each: each.name)
def test_membrane_and_the_programs_by_hand_train_the_same(training: Training) -> None:
    # channels last rounds otherwise, so that a potential near the threshold may end on its other side
    same_layout = tuple(each for each in training.settings if each != CHANNELS_LAST)
    config = composed_training(replace(training, settings=same_layout))
    learner, net = build_learner(config), training.net
    by_hand = THEIRS.build(net, torch.device("cpu")).module
    shapes = [[list(each.shape) for each in model.parameters()] for model in (learner.model, by_hand)]
    assert shapes[0] == shapes[1]
    assert (config.timesteps, config.batch_size, config.dataset.name) == (net.timesteps, net.batch, training.dataset)
    assert config.framework.timesteps_in_data == net.in_data
    optimizer = learner.optimize(learner)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {(each["lr"], each["momentum"], each["weight_decay"]) for each in optimizer.param_groups} == {(0.05, 0.9, 0)}
    x = torch.rand(net.input_shape)
    by_hand = THEIRS.build(net, torch.device("cpu"))
    copy_weights(by_hand.module, learner.model)
    with torch.no_grad():
        torch.testing.assert_close(require_tensor(learner.framework(learner.model, x)), by_hand.forward(x))


def test_nets_that_convolve_train_channels_last() -> None:
    for training in TRAININGS:
        assert composed_training(training).trainer.channels_last == bool(training.net.filters)


def test_the_data_by_hand_are_those_of_the_set() -> None:
    train, test = data_by_hand(composed_training(DIGITS))
    assert (len(train), len(test)) == (1437, 360)
    x, y = train.tensors
    assert (x.shape, x.dtype, y.dtype) == ((1437, 1, 8, 8), torch.float32, torch.int64)
    assert (float(x.min()), float(x.max())) == (0, 1)


def test_an_epoch_by_hand_learns_and_its_accuracy_is_counted() -> None:
    """Two classes that one weight tells apart."""
    x = torch.tensor([[-1.0], [1.0]]).repeat(64, 1)
    data = TensorDataset(x, (x[:, 0] > 0).long())
    module = torch.nn.Linear(1, 2)
    torch.nn.init.zeros_(module.weight)
    torch.nn.init.zeros_(module.bias)
    net = Net(module, lambda x: module(x).unsqueeze(0))
    loader: DataLoader[Any] = DataLoader(data, 32)
    assert evaluate_by_hand(net, loader) == 0.5  # all outputs are equal: class 0
    seconds, accuracy = train_by_hand(net, loader, loader, epochs=3)
    assert (len(seconds), accuracy) == (3, 1.0)
    assert min(seconds) > 0
    assert not module.training
    assert module.weight[1] > 0 > module.weight[0]


def test_trainings_take_turns_until_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    clock = iter([0.0, 9.0])

    def seconds(training: Training, peer: Peer, threads: int, environment: object) -> float:
        turns.append(peer.name)
        return float(len(turns))

    monkeypatch.setattr(whole_training, "seconds_an_epoch", seconds)
    monkeypatch.setattr(whole_training, "perf_counter", lambda: next(clock))
    case = time_training(DIGITS, [OURS, THEIRS], rounds=5, until=5.0, threads=1, environment={})
    assert turns == [OURS.name, THEIRS.name] * 2
    assert [each.seconds for each in case.timings] == [[1.0, 3.0], [2.0, 4.0]]
    assert case.workload == DIGITS.net


def test_a_training_that_fails_is_left_out_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(training: Training, peer: Peer, threads: int, environment: object) -> float:
        if peer is THEIRS:
            raise TrainingFailed("no data here")
        return 1.0

    monkeypatch.setattr(whole_training, "seconds_an_epoch", seconds)
    case = time_training(DIGITS, [OURS, THEIRS], rounds=2, until=float("inf"), threads=1, environment={})
    assert case.left_out == {THEIRS.name: "no data here"}
    assert [(each.peer, each.seconds) for each in case.timings] == [(OURS.name, [1.0, 1.0])]


def test_a_real_one_is_timed_and_a_failed_process_is_named() -> None:
    case = time_training(DIGITS.shortened(), [OURS, THEIRS], 1, 0.0, 1, child_environment())
    assert case.left_out == {}
    assert all(0 < each.seconds[0] < 60 for each in case.timings)
    broken = Training(DIGITS.net, (*DIGITS.settings, "batch_size=no"), 1, "digits")
    [reason] = time_training(broken, [OURS], 1, 0.0, 1, child_environment()).left_out.values()
    assert "batch_size" in reason


def test_what_trains_by_hand_waits_as_openmp_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[dict[str, str]] = []
    monkeypatch.setattr(
        whole_training, "output_of", lambda _, environment: environments.append(environment) or '{"seconds": [1, 2]}'
    )
    environment = {"PATH": "/bin", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
    assert whole_training.seconds_an_epoch(DIGITS, THEIRS, 2, environment) == 3 / DIGITS.epochs
    assert environments == [{"PATH": "/bin"}]


def test_single_step_replaces_the_framework_alone() -> None:
    assert single_step_setting("framework=multistep_tid") == "framework=singlestep_tid"
    assert single_step_setting("framework=multistep") == "framework=singlestep"
    assert single_step_setting("model=scnn") == "model=scnn"


def test_the_table_of_a_training() -> None:
    timings = [
        Timing(OURS.name, "ours", "fp32", [1.0, 2.0]),
        Timing(THEIRS.name, "peer", "fp32", [4.0, 8.0]),
        Timing(FLOOR.name, "floor", "fp32", [2.0, 2.0]),
    ]
    case = Case(DIGITS.net, timings, {"Norse": "no data here"})
    text = bench_report({"processor": "one"}, [], None, None, [case])
    assert "## W7: digits: conv" in text
    assert "| **membrane multistep** | 1.50 | 1.25–1.75 | 0.25 (0.25–0.25) | 0.75 (0.62–0.88) |" in text
    assert "Left out: Norse (no data here)." in text
    assert "Whole trainings: an epoch is" in text
    assert Case.from_json(asdict(case)) == case
