"""Whole runs with folds and left-out groups: what they record, and what later commands may do with their weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import evaluate

from membrane.data.digits import Digits
from membrane.data.samples import Samples
from membrane.errors import ConfigError

Run = Callable[..., int]


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let five people have written the digits, in turn; those of the test part are numbered on."""
    original = Digits.load

    def load(*arguments: object) -> tuple[Samples, ...]:
        parts = original(*arguments)
        starts = (0, len(parts[0]))
        return tuple(
            replace(part, group=(torch.arange(len(part)) + start) // 3 % 5)
            for part, start in zip(parts, starts, strict=True)
        )

    monkeypatch.setattr(Digits, "load", load)


def only(pattern: str) -> Path:
    [found] = Path("runs").glob(pattern)
    return found


@pytest.mark.usefixtures("writers")
def test_left_out_groups_are_tested_and_recorded_and_their_weights_test_on_no_other(
    small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("dataset.leave_out=3") == 0
    printed = capsys.readouterr().out
    # 1797 digits: writer 3 has 119 times three and two more
    assert "360 test), protocol val_best, group 3 left out, split" in printed
    assert "data: the data set's own division into training and test is given up" in printed
    run = only("digits/*/seed0")
    writer = np.arange(1797) // 3 % 5
    with np.load(run / "outputs" / "test.npz") as saved:
        assert saved["index"].tolist() == np.flatnonzero(writer == 3).tolist()
        assert saved["group"].tolist() == [3] * len(saved["index"])
    split = json.loads((run / "provenance.json").read_text())["split"]
    assert split["leave_out"] == split["test"]["group_numbers"] == [3]
    assert sorted(split["train"]["group_numbers"] + split["val"]["group_numbers"]) == [0, 1, 2, 4]
    assert split["train"]["samples"] + split["val"]["samples"] + split["test"]["samples"] == 1797
    assert evaluate([str(run)]) == 0
    assert "came back to the last digit" in capsys.readouterr().out
    for typed in ("dataset.leave_out=4", "dataset.leave_out=null", "dataset=digits"):
        assert evaluate([str(run), typed]) == 2
        assert "tests on samples that the weights were trained on" in capsys.readouterr().err
    assert small(f"init={run}", "dataset.leave_out=4") == 2
    assert "membrane: init: dataset.leave_out=[4] tests on samples that the weights were trained on" in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("writers")
def test_what_the_data_does_not_have_ends_a_run_before_it_trains(
    small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for typed, line in (
        ("dataset.leave_out=7", "dataset.leave_out=7: there is no group 7; the data set has 0, 1, 2, 3, 4"),
        ("dataset.fold=1/6", "6 folds need 6 recordings or groups, which are not divided, the training data has 5"),
    ):
        assert small(typed) == 2
        printed = capsys.readouterr().err
        assert f"membrane: {line}" in printed
        assert "Error executing job" not in printed  # Hydra's, with all overrides
    assert not list(Path("runs").glob("digits/*/seed*"))


@pytest.mark.usefixtures("writers")
def test_a_rerun_that_the_data_refuses_leaves_the_former_run_where_it_was(
    small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small() == 0
    run = only("digits/*/seed0")
    result = (run / "result.json").read_bytes()

    def refused(*_: object) -> None:
        raise ConfigError("the data has not what it takes")

    monkeypatch.setattr("membrane.training.run.refuse_padding", refused)
    assert small("rerun=true") == 2
    assert (run / "result.json").read_bytes() == result
    assert not list(Path("runs").glob("digits/*/seed0.*"))


@pytest.mark.usefixtures("writers")
def test_a_job_of_a_sweep_that_the_data_refuses_fails_alone(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("-m", "dataset.leave_out=7,4") == 1
    printed = capsys.readouterr().out
    assert "membrane: dataset.leave_out=7: there is no group 7" in printed
    assert "sweep: 1 finished, 1 failed" in printed


def test_a_fold_is_recorded_and_has_a_fingerprint_of_its_own(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("dataset.fold=2/4", "name=fold") == 0
    # 1437 samples for training: 359.25 a fold
    assert "data: digits (1078 train, 359 val, 360 test), protocol val_best, fold 2/4, split" in capsys.readouterr().out
    provenance = json.loads((only("fold/*/seed0") / "provenance.json").read_text())
    assert provenance["split"]["fold"] == "2/4"
    assert provenance["split"]["val"] == {"samples": 359, "recordings": 359}
    assert len(provenance["split_hash"]) == 64
