"""A run's best checkpoint that is gone is not replaced by another without a word."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import evaluate, train
from conftest import SMALL

from membrane.errors import DataError
from membrane.training import checkpoints
from membrane.training.loading import load

MISSING = "best.ckpt, of which its test/* are, is missing; name "


@pytest.fixture
def run(small_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the smallest finished run, without best.ckpt."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_runs, "runs")
    [folder] = Path("runs").glob("digits/*/seed0")
    for path in (folder / "checkpoints").glob("best.ckpt*"):
        path.unlink()
    return folder


def test_of_a_finished_run_it_is_refused_and_the_last_may_be_named(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = run / "checkpoints" / "last.ckpt"
    with pytest.raises(DataError, match=re.escape(MISSING)):
        load(run)
    assert evaluate([str(run)]) == 1
    assert capsys.readouterr().err == f"membrane: {run}: {MISSING}{last} to have the last\n"
    for typed in ([str(run), "checkpoint=last"], [str(last)]):
        assert evaluate(typed) == 0
        assert "came back to the last digit" in capsys.readouterr().out
    assert [path.name.split(".", 1)[1] for path in (run / "evaluations").iterdir()] == ["last.json"]
    assert train([*SMALL, "seed=1", f"init={run}"]) != 0
    assert f"{MISSING}{last}" in capsys.readouterr().err


def test_of_an_unfinished_run_the_last_is_taken_with_a_line(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "result.json").unlink()
    with caplog.at_level(logging.WARNING):
        load(run)
    assert caplog.messages == [f"{run} has no best.ckpt yet: its last.ckpt is loaded"]


def test_a_run_that_lost_it_does_not_train_on_to_find_that_out(
    stopped_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stopped_runs, "runs")
    [best] = Path("runs").glob("digits/*/seed0/checkpoints/best.ckpt")
    best.unlink()
    assert train([*SMALL, "epochs=5"]) == 1
    assert "best.ckpt, which an earlier epoch wrote, is missing; rerun=true runs it anew" in capsys.readouterr().out
    assert not best.exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda content: content.pop("state_dict"), "holds no state_dict of tensors"),
        (lambda content: content.update(state_dict=list(content["state_dict"].values())), "holds no state_dict"),
        (lambda content: content.update(membrane=[]), "not a checkpoint of membrane"),
        (lambda content: content.pop("loops"), "does not say how many epochs were over"),
        (lambda content: content.update(epoch="one"), "does not say at which epoch"),
        (
            lambda content: content["state_dict"].update(
                {key: value.to(torch.complex64) for key, value in content["state_dict"].items()}
            ),
            "holds complex numbers in the checkpoint, real in the model",
        ),
    ],
)
def test_a_checkpoint_of_another_content_is_refused_in_one_line(
    change: Callable[[dict], object], line: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")
    change(content)
    best = run / "checkpoints" / "best.ckpt"
    torch.save(content, best)
    assert evaluate([str(run)]) == 1
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    if "epoch" not in line:
        with pytest.raises(DataError, match=line):
            load(run)
        assert train([*SMALL, "seed=1", f"init={best}"]) != 0
        assert line in capsys.readouterr().err
