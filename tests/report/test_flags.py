"""Flags of a report's rows."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from reported_runs import PLIF, RELU, finished, right_answers, study
from run_folders import failed_run

from membrane.report.differences import compare_rows
from membrane.report.flags import flag_rows
from membrane.report.recorded import gather_runs
from membrane.report.rows import group_runs


def flags_of(runs: Path, **baseline: str) -> dict[str, list[str]]:
    """Neuron → flags."""
    rows = group_runs(gather_runs([runs]).runs)
    if baseline:
        compare_rows(rows, baseline)
    flag_rows(rows)
    return {row.shown["neuron"]: row.flags for row in rows}


def test_a_clean_study_has_none(tmp_path: Path) -> None:
    assert flags_of(study(tmp_path), neuron="lif") == {"lif": [], "plif": [], "relu": []}


def test_missing_seeds_and_runs_that_have_not_finished(tmp_path: Path) -> None:
    runs = study(tmp_path)
    finished(runs, "f0", 3, right_answers(0.6, 3))
    failed = failed_run(runs / "study" / "f1" / "seed3")
    (failed / "provenance.json").write_text(json.dumps({"fingerprint": "f1", "seed": 3}))
    flags = flags_of(runs)
    assert flags == {"lif": [], "plif": ["seed 3 not finished: failed"], "relu": ["seed missing: 3"]}


def test_mixed_origins_within_a_row_and_between_rows(tmp_path: Path) -> None:
    runs = study(tmp_path)
    finished(runs, "f0", 3, right_answers(0.6, 3), provenance={"code_digest": "x", "versions": {"torch": "2.10.0"}})
    for seed in range(4):
        finished(
            runs, "f3", seed, right_answers(0.6, 3), {"neuron": {"_target_": "theirs.A"}}, provenance={"data_hash": "x"}
        )
        finished(runs, "f4", seed, right_answers(0.6, 3), {"neuron": {"_target_": "theirs.B"}}, {"split_hash": "x"})
    flags = flags_of(runs)
    assert flags["lif"] == ["mixed code", "mixed library versions"]
    assert flags["A"] == ["other data than most rows"]
    assert flags["B"] == ["other splits than most rows"]
    assert flags_of(runs, neuron="B")["A"] == ["other data than the baseline", "other splits than the baseline"]


def test_other_data_sets_have_other_data_without_a_flag(tmp_path: Path) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    other = {"dataset": {"_target_": "membrane.data.idx.MNIST"}, **PLIF}
    finished(tmp_path, "f1", 0, right_answers(0.6, 0), other, {"split_hash": "x"}, {"data_hash": "x"})
    assert set(chain(*flags_of(tmp_path).values())) == {"one seed"}


def test_oracle_numbers_selection_on_test_and_early_ends(tmp_path: Path) -> None:
    metrics = {"metrics": {"test/acc": 0.5, "test/acc_best_oracle": 0.6}, "protocol": "paper_best_on_test"}
    finished(tmp_path, "f0", 0, right_answers(0.6, 0), {"protocol": "paper_best_on_test"}, metrics)
    finished(tmp_path, "f1", 0, right_answers(0.6, 0), PLIF, {"ended": "finish=true after 1 of 2 epochs"})
    odd = {"test/acc": 0.5, "test/loss": float("nan"), "val/loss": -1e308}
    finished(tmp_path, "f2", 0, right_answers(0.6, 0), RELU, {"metrics": odd, "fit_seconds": 10**99 * 9})
    flags = flags_of(tmp_path)
    assert any(flag.startswith("oracle: ") for flag in flags["lif"])
    assert "selected on test: test/acc_best_oracle" in flags["lif"]
    assert "ended early: seed 0: finish=true after 1 of 2 epochs" in flags["plif"]
    assert "seed 0: not finite: test/loss, val/loss" in flags["relu"]


@pytest.mark.parametrize(("size", "origin"), [(4, "50 groups or recordings"), (200, "one group or recording")])
def test_samples_that_are_not_independent(tmp_path: Path, size: int, origin: str) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0), arrays={"recording": np.arange(200) // size})
    (flags,) = flags_of(tmp_path).values()
    assert f"test samples come from {origin}: Wilson takes them as independent" in flags
