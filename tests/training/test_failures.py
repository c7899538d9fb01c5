"""Failures of a run: a clear line, FAILED.json, and nothing lost that was saved."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from run_paths import only

from membrane.augment.pipeline import Pipeline
from membrane.data.feed.loader import Batches
from membrane.errors import Stopped
from membrane.files import durable
from membrane.training import checkpoints

Run = Callable[..., int]
LEAST = ("logger=csv", "model=smlp", "model.units=[16]", "timesteps=2", "threads=1", "epochs=2", "figures=false")
THEIRS = """
import torch
from membrane.models.smlp import SMLP

class Greedy(SMLP):
    \"\"\"Has memory for so many samples and no more.\"\"\"
    def __init__(self, *, room, **settings):
        super().__init__(**settings)
        self.room = room
    def forward(self, x):
        if self.training and x.shape[1] > self.room:
            raise torch.OutOfMemoryError(f"no room for {x.shape[1]}")
        return super().forward(x)
"""
GREEDY = ("model._target_=their_nets.Greedy", "trust=[their_nets.Greedy]")


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "their_nets.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("their_nets", None)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, float], None]:
    """Let the samples of one training step, counted over the whole fit, be no numbers."""

    def poison(step: int, value: float) -> None:
        count, build = 0, Batches.build

        def building(self: Batches, chosen: Any, epoch: int, batch: int) -> Any:
            nonlocal count
            built = build(self, chosen, epoch, batch)
            count += self.order is not None
            return built._replace(x=built.x * value) if count == step and self.order is not None else built

        monkeypatch.setattr(Batches, "build", building)

    return poison


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_within_the_step_and_names_the_batch(
    membrane: Run, poisoned: Callable[[int, float], None], value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    poisoned(25, value)  # epochs have 20 steps
    assert membrane(*LEAST, "neuron=relu") == 1
    run = only("digits/*/seed0")
    failure = json.loads((run / "FAILED.json").read_text())
    assert "in epoch 1, batch 5 of the epoch, samples " in failure["error"]
    assert "the last finite checkpoint is kept" in failure["error"]
    assert any(line.endswith("in require_finite") for line in failure["traceback"])
    assert failure["error"] in capsys.readouterr().out
    state = checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert state["global_step"] == 20
    assert all(weight.isfinite().all() for weight in state["state_dict"].values())
    assert not (run / "result.json").exists()


def test_what_failed_goes_on_from_its_checkpoint_and_is_failed_no_more(
    membrane: Run, poisoned: Callable[[int, float], None], remains: Callable[[Path], dict[str, Any]]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        assert membrane(*LEAST, "neuron=relu", "name=whole") == 0
        patched.setattr(Batches, "build", Batches.build)  # what `poisoned` will put back
        poisoned(25, float("nan"))
        assert membrane(*LEAST, "neuron=relu", "name=failed") == 1
        patched.undo()
    assert membrane(*LEAST, "neuron=relu", "name=failed") == 0
    run = only("failed/*/seed0")
    assert not (run / "FAILED.json").exists()
    assert remains(run) == remains(only("whole/*/seed0"))


@pytest.mark.usefixtures("theirs")
def test_out_of_memory_says_what_can_be_done(membrane: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert membrane(*LEAST, *GREEDY, "model.room=20") == 1
    assert "out of memory in a step of 64 samples (no room for 64)" in capsys.readouterr().out
    assert "on_oom=halve" in json.loads((only("*/*/seed0") / "FAILED.json").read_text())["error"]


@pytest.mark.usefixtures("theirs")
def test_halved_batches_train_the_same_network(membrane: Run, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (*LEAST, *GREEDY, "optimizer=sgd", "optimizer.lr=0.1", "on_oom=halve")
    assert membrane(*arguments, "model.room=64", "name=roomy") == 0
    capsys.readouterr()
    assert membrane(*arguments, "model.room=20", "name=narrow") == 0
    output = capsys.readouterr().out
    assert "on_oom=halve goes on with 32 samples at a time" in output
    assert "on_oom=halve goes on with 16 samples at a time" in output
    roomy, narrow = only("roomy/*/seed0"), only("narrow/*/seed0")
    results = [json.loads((run / "result.json").read_text()) for run in (roomy, narrow)]
    assert [result["micro_batch"] for result in results] == [64, 16]
    # no layer mixes samples, so the sum over the pieces is the gradient of the batch, the short last one's too
    weights = [checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (roomy, narrow)]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.usefixtures("theirs")
def test_memory_that_runs_out_in_the_middle_of_an_epoch(membrane: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import their_nets

    calls, forward = 0, their_nets.Greedy.forward

    def later(self: Any, x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += self.training
        self.room = 64 if calls <= 27 else 40  # step 28, in the second epoch
        return forward(self, x)

    arguments = (*LEAST, *GREEDY, "optimizer=sgd", "optimizer.lr=0.1", "on_oom=halve", "trainer.checkpoint_steps=5")
    assert membrane(*arguments, "model.room=64", "name=roomy") == 0
    monkeypatch.setattr(their_nets.Greedy, "forward", later)
    assert membrane(*arguments, "model.room=1000", "name=narrow") == 0
    roomy, narrow = only("roomy/*/seed0"), only("narrow/*/seed0")
    assert json.loads((narrow / "result.json").read_text())["micro_batch"] == 32
    states = [checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (roomy, narrow)]
    assert states[1]["global_step"] == states[0]["global_step"] == 40
    for name, weight in states[0]["state_dict"].items():
        torch.testing.assert_close(states[1]["state_dict"][name], weight, rtol=1e-4, atol=1e-5, msg=name)


def test_a_full_disk_loses_nothing_that_was_saved(membrane: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, save = 0, torch.save

    def full(*arguments: Any, **named: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(*arguments, **named)

    monkeypatch.setattr(torch, "save", full)
    assert membrane(*LEAST) == 1
    run = only("digits/*/seed0")
    assert "No space left on device" in json.loads((run / "FAILED.json").read_text())["error"]
    assert checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == 20
    assert not list(run.rglob("*.tmp"))
    assert membrane(*LEAST) == 0


def test_a_rerun_that_was_stopped_goes_on_and_one_that_failed_begins_anew(
    membrane: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> None:
        raise Stopped("SIGTERM", 143)

    def rerun(finish: Any) -> int:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("membrane.training.results.finish", finish)  # broken off when all is trained
            return membrane(*LEAST, "rerun=true")

    assert membrane(*LEAST) == 0
    assert rerun(stopped) == 75
    capsys.readouterr()
    assert rerun(None) == 1
    assert "resumed: from step 40" in capsys.readouterr().out
    assert membrane(*LEAST, "rerun=true") == 0
    assert "rerun: the earlier run is now " in capsys.readouterr().out
    folders = sorted(path.name for path in Path("runs").glob("digits/*/seed*"))
    assert folders == ["seed0", "seed0.1", "seed0.2"]


def test_a_run_does_not_go_on_with_other_data(membrane: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("membrane.training.results.finish", None)
        assert membrane(*LEAST) == 1
    provenance = only("digits/*/seed0") / "provenance.json"
    whole = json.loads(provenance.read_text())
    provenance.write_text(json.dumps(whole | {"data_hash": "0" * 64}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pipeline, "fit", None)  # nothing is fitted on other data
        assert membrane(*LEAST) == 1
    assert "the data are not those that the run began with (data_hash 000000000000" in capsys.readouterr().out
    provenance.write_text(json.dumps(whole | {"kernels": "others"}))
    assert membrane(*LEAST) == 0
    assert "resumed under other conditions (kernels others" in capsys.readouterr().out


def test_what_failed_is_told_though_its_file_finds_no_room(
    membrane: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = durable.fill_beside

    def full(folder: int, name: str, fill: Callable[[Any], object], flushed: bool = True) -> str:
        if name in ("last.ckpt", "FAILED.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return beside(folder, name, fill, flushed)

    monkeypatch.setattr(durable, "fill_beside", full)
    assert membrane(*LEAST) == 1
    run = only("digits/*/seed0")
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == (
        f"failed: OSError: [Errno 28] No space left on device; FAILED.json could not be written there: {run} "
        "(No space left on device)"
    )
    assert printed.err == ""


def test_a_damaged_last_checkpoint_costs_an_epoch_and_no_more(
    membrane: Run, remains: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert membrane(*LEAST, "epochs=3", "name=whole") == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("membrane.training.results.finish", None)  # broken off when all is trained
        assert membrane(*LEAST, "epochs=3", "name=broken") == 1
    run = only("broken/*/seed0")
    last = run / "checkpoints" / "last.ckpt"
    damaged = bytearray(last.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    last.write_bytes(damaged)
    capsys.readouterr()
    assert membrane(*LEAST, "epochs=3", "name=broken") == 0
    lines = capsys.readouterr().out
    assert "last.ckpt: damaged (its SHA-256 is not the one in last.ckpt.sha256): previous.ckpt is used instead" in lines
    assert "resumed: from step 40 in epoch 1" in lines
    assert remains(run) == remains(only("whole/*/seed0"))


def test_rerun_moves_an_unfinished_run_aside_too(membrane: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("membrane.training.results.finish", None)
        assert membrane(*LEAST) == 1
    assert membrane(*LEAST, "rerun=true") == 0
    assert (only("digits/*/seed0.1") / "FAILED.json").exists()
    assert (only("digits/*/seed0") / "result.json").exists()


def test_what_had_stopped_early_stays_stopped(
    membrane: Run, remains: Callable[[Path], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (*LEAST, "epochs=9", "callbacks=[early_stop]", "callbacks.early_stop.patience=0", "optimizer.lr=0.5")
    assert membrane(*arguments, "name=whole") == 0
    whole = only("whole/*/seed0")
    assert json.loads((whole / "result.json").read_text())["epochs"] < 9
    with monkeypatch.context() as patched:
        patched.setattr("membrane.training.results.finish", None)
        assert membrane(*arguments, "name=broken") == 1
    assert membrane(*arguments, "name=broken") == 0
    assert remains(only("broken/*/seed0")) == remains(whole)
