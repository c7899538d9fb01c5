"""Runs grouped into rows, by hand-written folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from reported_runs import PLIF, finished, right_answers, study

from membrane.errors import ConfigError
from membrane.report.recorded import gather_runs, seed_of
from membrane.report.rows import ReportRow, common_settings, group_runs


def rows_of(*folders: Path, evaluations: bool = False) -> list[ReportRow]:
    """The rows of some folders."""
    return group_runs(gather_runs(folders, evaluations).runs)


def test_a_row_for_each_setting_with_its_seeds_together(tmp_path: Path) -> None:
    rows = rows_of(study(tmp_path))
    assert [(row.shown, row.seeds) for row in rows] == [
        ({"neuron": name}, [0, 1, 2]) for name in ("lif", "plif", "relu")
    ]
    assert common_settings(rows)["model"] == "smlp"
    accuracies = [float(right_answers(0.6, seed).mean()) for seed in range(3)]
    summary = rows[0].metrics["test/acc"]
    assert (summary.mean, summary.std) == pytest.approx((np.mean(accuracies), np.std(accuracies, ddof=1)))
    assert rows[0].fit_seconds == 61
    assert (rows[0].parameters, rows[0].passes, rows[2].passes) == (1234, 4, 1)


def test_rates_are_those_of_the_tested_epoch_and_an_ann_has_none(tmp_path: Path) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0), result={"best": {"epoch": 0}})
    finished(tmp_path, "f1", 0, right_answers(0.6, 0), PLIF)
    finished(tmp_path, "f2", 0, right_answers(0.6, 0), {"timesteps": 2}, {"is_snn": False})
    by_fingerprint = {row.fingerprint: row for row in rows_of(tmp_path)}
    assert by_fingerprint["f0"].rates == {"neuron1": 0.3, "neuron2": 0.5}
    assert by_fingerprint["f1"].rate == pytest.approx(0.15)
    assert by_fingerprint["f2"].rate is None


def test_wilson_is_of_one_seeds_test_set(tmp_path: Path) -> None:
    (first, *_) = rows_of(study(tmp_path))
    assert first.wilson is not None
    p, n, z = first.metrics["test/acc"].mean, 200, 1.959964
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    assert (first.wilson[1] - first.wilson[0]) / 2 == pytest.approx(half, rel=1e-3)


def test_folders_that_overlap_count_once_and_a_second_copy_of_a_seed_is_left_out(tmp_path: Path) -> None:
    runs = study(tmp_path / "runs")
    finished(tmp_path / "copy", "f0", 0, right_answers(0.9, 0))
    rows = rows_of(runs, runs / "study" / "f0", runs / "study" / "f0" / "seed0", tmp_path / "copy")
    assert [row.seeds for row in rows] == [[0, 1, 2]] * 3
    assert sum("seed 0 twice" in flag for flag in rows[0].flags) == 1


def test_a_record_of_results_alone_is_a_row(tmp_path: Path) -> None:
    for model in ("scnn", "smlp"):
        folder = tmp_path / model / "val_best" / "seed0"
        folder.mkdir(parents=True)
        result = {
            "model": model,
            "neuron": "lif",
            "metrics": {"test/mae": 3.0},
            "fit_seconds": 1.0,
            "epochs": 2,
            "seed": 0,
        }
        (folder / "result.json").write_text(json.dumps(result | {"fingerprint": model}))
    assert [(row.shown, row.principal) for row in rows_of(tmp_path)] == [
        ({"model": "scnn"}, "test/mae"),
        ({"model": "smlp"}, "test/mae"),
    ]


def test_evaluations_are_rows_of_their_own_and_only_if_asked_for(tmp_path: Path) -> None:
    folder = finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    (folder / "evaluations").mkdir()
    measured = {"overrides": ["timesteps=1"], "metrics": {"test/acc": 0.25}, "finished": True}
    (folder / "evaluations" / "e1.json").write_text(json.dumps(measured))
    assert len(rows_of(tmp_path)) == 1
    rows = rows_of(tmp_path, evaluations=True)
    assert {row.shown["evaluated"]: row.metrics["test/acc"].mean for row in rows} == {
        "–": pytest.approx(right_answers(0.6, 0).mean()),
        "timesteps=1": 0.25,
    }


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    for number, timesteps in enumerate((16, 4, 8)):
        finished(tmp_path, f"f{number}", 0, right_answers(0.6, 0), {"timesteps": timesteps})
    assert [row.shown["timesteps"] for row in rows_of(tmp_path)] == ["4", "8", "16"]


def test_seeds_are_in_the_order_of_numbers_too(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        finished(tmp_path, "f0", seed, right_answers(0.6, seed))
    (row,) = rows_of(tmp_path)
    assert row.seeds == [0, 2, 10]
    assert row.metrics["test/acc"].values == tuple(float(right_answers(0.6, seed).mean()) for seed in (0, 2, 10))


@pytest.mark.parametrize(
    ("name", "seed"),
    [("seed3", 3), (f"seed{'9' * 19}", 10**19 - 1), (f"seed{'9' * 20}", None), ("seed3.1", None), ("seed", None)],
)
def test_a_folder_tells_the_seed_that_no_file_does(name: str, seed: int | None) -> None:
    assert seed_of(None, Path(name)) == seed
    assert seed_of(5, Path(name)) == 5


def test_no_runs_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no runs in"):
        gather_runs([tmp_path])
    with pytest.raises(ConfigError, match="no such folder"):
        gather_runs([tmp_path / "x"])


def test_a_damaged_result_is_named_and_hides_no_other(tmp_path: Path) -> None:
    runs = study(tmp_path)
    (runs / "study" / "f0" / "seed1" / "result.json").write_text("{")
    (runs / "study" / "f1" / "seed1" / "config.yaml").write_text("a: [")
    gathered = gather_runs([runs])
    rows = group_runs(gathered.runs)
    assert [row.seeds for row in rows] == [[0, 2], [0, 1, 2], [0, 1, 2]]
    assert rows[0].unfinished[0].standing.status == "damaged"
