"""The profile of a step: every second is some part's, and no part has another's."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.config.check import check
from membrane.learner import Learner
from membrane.tracking import profile
from membrane.tracking.profile import StepProfile
from membrane.training.assembly import build_learner


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_part_has_the_time_that_no_other_has(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(profile, "perf_counter", clock)
    timings = StepProfile()

    def spend(action: str, before: float, *inside: Callable[[], None], after: float = 0.0) -> Callable[[], None]:
        def spent() -> None:
            with timings.profile(action):
                clock.now += before
                for each in inside:
                    each()
                clock.now += after

        return spent

    layer = spend("layer conv", 4)
    step = spend("[Strategy]S.training_step", 1, spend("augmentation", 2), spend(profile.FORWARD, 3, layer, layer))
    optimizer = spend("[LightningModule]L.optimizer_step", 5, step, spend("[Strategy]S.backward", 6), after=5)
    batch = spend("run_training_batch", 0.5, optimizer, after=0.5)
    recorder = spend("[Callback]Recorder.on_train_batch_end", 7)
    fetch = spend("[_TrainingEpochLoop].train_dataloader_next", 8)
    validation = spend("[_EvaluationLoop].val_next", 100, layer)
    spend("[Callback]Recorder.on_fit_start", 1000)()
    spend("run_training_epoch", 0, fetch, batch, fetch, batch, recorder, validation, fetch, batch)()
    assert timings.steps == 2
    assert timings.parts() == {
        "data": 16,
        "augmentation": 4,
        "layer conv": 16,
        profile.FORWARD: 6,
        "loss, readout, running metrics": 2,
        "backward": 12,
        "optimiser": 20,
        "logging, checkpoints, callbacks": 7,
        "Lightning": 2,
    }


def test_an_action_that_an_exception_left_open_is_ended_with_the_one_around_it() -> None:
    timings = StepProfile()
    timings.start("run_training_epoch")
    timings.start("layer conv")
    timings.stop("run_training_epoch")
    timings.stop("layer conv")
    assert timings.open == []


def test_after_the_fit_the_learner_is_what_it_was(raw: dict[str, Any]) -> None:
    def state(learner: Learner) -> tuple[Any, ...]:
        hooks = [dict(each._forward_hooks) for each in learner.modules()]
        return learner.augmented, learner.encoded, learner.framework, hooks

    framework = {"_target_": "membrane.framework.MultiStepTID"}
    for changes in ({}, {"encoder": {"_target_": "membrane.encoders.rate.Rate"}, "framework": framework}):
        learner = build_learner(check({**raw, **changes}))
        before = state(learner)
        timings = StepProfile()
        timings.watch(learner)
        assert learner.framework is not before[2]
        assert (learner.encoded == before[1]) == (learner.encoding is None)
        timings.leave(learner)
        assert state(learner) == before
    assert not any(each._forward_pre_hooks for each in learner.modules())


def test_a_run_prints_its_profile_and_is_the_same_run(
    small: Callable[..., int], capsys: pytest.CaptureFixture[str], remains: Callable[[Path], dict[str, object]]
) -> None:
    assert small("trainer=profile", "augmentation=[shift]", "name=with") == 0
    shown = capsys.readouterr().out
    shares = dict(re.findall(r"^ *(\S.*?) {2,}[\d.]+ +(\d+\.\d) % *$", shown, re.MULTILINE))
    assert {"data", "augmentation", "layer fc1", "layer neuron1", "backward", "optimiser"} <= set(shares), shown
    assert sum(map(float, shares.values())) == pytest.approx(100, abs=0.1 * len(shares))
    assert small("augmentation=[shift]", "name=without") == 0
    metrics = [json.loads(path.read_text())["metrics"] for path in Path("runs").glob("*/*/seed0/result.json")]
    assert metrics[0] == metrics[1]
