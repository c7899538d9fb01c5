"""The moving average of weights: against a plain loop, in runs of few steps, and before there is an average."""

import json
from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from run_paths import only
from torch import Tensor

from membrane.learner import Learner
from membrane.tracking.recorder import Recorder
from membrane.training import checkpoints
from membrane.training.averaging import warmed_decay

Run = Callable[..., int]
HEAD = "model.head.weight"
CONSTANT = "callbacks.ema._target_=lightning.pytorch.callbacks.EMAWeightAveraging"


@pytest.fixture
def after_each_step(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The weights of the head after each optimiser step of the runs of a test."""
    weights: list[Tensor] = []
    record = Recorder.on_train_batch_end

    def listen(self: Recorder, trainer: L.Trainer, learner: L.LightningModule, *others: Any) -> None:
        if trainer.global_step > len(weights):
            weights.append(learner.state_dict()[HEAD].double().clone())
        record(self, trainer, learner, *others)

    monkeypatch.setattr(Recorder, "on_train_batch_end", listen)
    return weights


def averaged(weights: list[Tensor], decay: float, every: int = 1, start: int = 0) -> Tensor:
    """The average by its definition, in double precision."""
    average, updates = weights[-1], 0
    for step, weight in enumerate(weights):
        if step >= start and step % every == 0:
            d = min(decay, (1 + updates) / (10 + updates)) if updates else 0.0
            average = weight if updates == 0 else d * average + (1 - d) * weight
            updates += 1
    return average


def kept(name: str = "last") -> dict[str, Any]:
    return checkpoints.read_checkpoint(only("digits/*/seed0") / "checkpoints" / f"{name}.ckpt")


def test_the_decay_grows_to_what_was_said() -> None:
    assert warmed_decay(0.999, 1) == 2 / 11
    assert warmed_decay(0.999, 90) == 0.91
    assert warmed_decay(0.9, 80) == warmed_decay(0.9, 81) == 0.9  # (1+80)/(10+80) = 0.9


@pytest.mark.parametrize(
    ("changes", "decay", "every", "start"),
    [
        ((), 0.999, 1, 0),
        (("callbacks.ema.decay=0.3", "trainer.accumulate=2"), 0.3, 1, 0),
        (("callbacks.ema.update_every_n_steps=3", "callbacks.ema.update_starting_at_step=7"), 0.999, 3, 7),
        (("callbacks.ema.update_starting_at_step=1000",), 0.999, 1, 1000),
    ],
)
def test_a_run_keeps_the_average_by_its_definition(
    changes: tuple[str, ...], decay: float, every: int, start: int, small: Run, after_each_step: list[Tensor]
) -> None:
    assert small("callbacks=ema", "batch_size=128", "epochs=2", *changes) == 0
    expected = averaged(after_each_step, decay, every, start)
    torch.testing.assert_close(kept()["state_dict"][HEAD].double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(kept()["current_model_state"][HEAD].double(), after_each_step[-1])


def test_a_run_that_goes_on_has_the_average_that_it_would_have_had(
    small: Run, after_each_step: list[Tensor], stop_at: Callable[[int], None]
) -> None:
    stop_at(7)
    assert small("callbacks=ema", "batch_size=128", "epochs=2") == 75
    assert small("callbacks=ema", "batch_size=128", "epochs=2") == 0
    torch.testing.assert_close(
        kept()["state_dict"][HEAD].double(), averaged(after_each_step, 0.999), rtol=1e-5, atol=1e-6
    )


def test_a_configuration_of_before_keeps_its_constant_decay(small: Run, after_each_step: list[Tensor]) -> None:
    assert small("callbacks=ema", CONSTANT, "callbacks.ema.decay=0.9", "batch_size=128") == 0
    average = after_each_step[0]
    for weight in after_each_step[1:]:
        average = 0.9 * average + 0.1 * weight
    torch.testing.assert_close(kept()["state_dict"][HEAD].double(), average, rtol=1e-5, atol=1e-6)


def test_a_short_run_is_not_ruined_by_its_average(small: Run) -> None:
    accuracy = {}
    for name, changes in {"without": (), "ema": ("callbacks=ema",), "before": ("callbacks=ema", CONSTANT)}.items():
        assert small(*changes, f"name={name}", "epochs=4", "optimizer.lr=0.01") == 0
        accuracy[name] = json.loads((only(f"{name}/*/seed0") / "result.json").read_text())["metrics"]["test/acc"]
    assert accuracy["ema"] > accuracy["without"] - 0.1
    assert accuracy["before"] < accuracy["without"] - 0.3


def test_before_there_is_an_average_the_weights_are_validated(
    small: Run, after_each_step: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    validated: list[Tensor] = []
    step = Learner.validation_step

    def listen(self: Learner, batch: Any, batch_idx: int) -> None:
        validated.append(self.state_dict()[HEAD].double().clone())
        step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "validation_step", listen)
    late = "callbacks.ema.update_starting_at_step=15"
    assert small("callbacks=ema", late, "batch_size=128", "epochs=2") == 0
    first, *_, last = validated
    assert torch.equal(first, after_each_step[9])
    torch.testing.assert_close(last, averaged(after_each_step, 0.999, start=15), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("changes", "blamed"), [((CONSTANT,), False), ((), True)])
def test_the_neurons_are_not_blamed_for_an_average_that_is_young(
    changes: tuple[str, ...], blamed: bool, small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("callbacks=ema", *changes, "neuron.v_threshold=1000.0") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "is silent" in line]
    assert lines
    assert all(("lower v_threshold" in line) == blamed for line in lines)
    assert all(("averaged weights are mostly those of the beginning" in line) != blamed for line in lines)
