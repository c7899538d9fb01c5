"""The overhead of a step: the bare loop takes the trainer's steps, and the table adds up."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from membrane.bench import overhead
from membrane.config.check import check
from membrane.training.assembly import build_learner

SMALL = ["model=smlp", "model.units=[8]", "timesteps=2", "threads=1"]


def test_the_bare_loop_takes_the_steps_that_the_trainer_takes(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overhead, "TIMED_STEPS", 30)
    config = check(raw | {"protocol": "last", "logger": None, "epochs": 2, "threads": 1, "timesteps": 2})
    ours, bare = build_learner(config), build_learner(config)
    before = {name: value.clone() for name, value in bare.model.state_dict().items()}
    times = overhead.time_steps(config, ours, bare, tmp_path)
    assert [len(seconds) for seconds in times.values()] == [30, 30]
    for name, value in ours.model.state_dict().items():
        torch.testing.assert_close(bare.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(before[name], value) for name, value in bare.model.state_dict().items())
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) > 2


def test_the_table_has_both_their_difference_and_the_loader(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overhead, "TIMED_STEPS", 1)
    overhead.print_overhead(SMALL)
    rows = dict(re.findall(r"^\| ([^|]+) \| (-?[\d.]+) \(", capsys.readouterr().out, re.MULTILINE))
    assert list(rows) == ["bare loop", "the run's trainer", "difference", "loader alone"]
    loop, trainer, difference, loader = map(float, rows.values())
    assert difference == pytest.approx(trainer - loop, abs=0.002)
    assert 0 < loader < trainer


def test_a_setting_that_does_not_exist_is_answered_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["overhead", "modell=smlp"])
    monkeypatch.delitem(sys.modules, "membrane.bench.overhead")  # or runpy warns
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("membrane.bench.overhead", run_name="__main__")
    assert ended.value.code == 2
    assert re.fullmatch(r"membrane: modell: no such setting.*\n", capsys.readouterr().err)
