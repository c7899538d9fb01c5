"""Differences to a baseline: paired by seed and test sample, or refused."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from reported_runs import LABELS, PLIF, RELU, finished, outputs_of, right_answers, study
from scipy import stats

from membrane.errors import ConfigError
from membrane.report.differences import compare_rows, verdict_of
from membrane.report.recorded import gather_runs
from membrane.report.rows import ReportRow, group_runs
from membrane.report.statistics import Difference


def compared(runs: Path, **baseline: str) -> dict[str, ReportRow]:
    """The rows of a folder by neuron, compared."""
    rows = group_runs(gather_runs([runs]).runs)
    compare_rows(rows, baseline)
    return {row.shown["neuron"]: row for row in rows}


def test_rows_are_compared_with_the_baseline_and_no_difference_is_said(tmp_path: Path) -> None:
    rows = compared(study(tmp_path), neuron="LIF")
    better, same = rows["relu"].difference, rows["plif"].difference
    assert rows["lif"].difference is None
    assert better is not None
    assert same is not None
    expected = np.mean([right_answers(0.9, 20 + seed).mean() - right_answers(0.6, seed).mean() for seed in range(3)])
    assert (better.to, better.mean, better.verdict) == ("neuron=LIF", pytest.approx(expected), "better")
    assert same.interval[0] <= 0 <= same.interval[1]
    assert same.verdict == "no difference"
    # Holm: the smaller p twice, the larger one once
    assert better.p == pytest.approx(2 * better.p_alone)
    assert same.p == pytest.approx(max(same.p_alone, better.p))


def test_one_seed_is_mcnemars_test(tmp_path: Path) -> None:
    runs = study(tmp_path, seeds=1)
    first, second = right_answers(0.9, 20), right_answers(0.6, 0)
    expected = stats.binomtest(int((first & ~second).sum()), int((first ^ second).sum())).pvalue
    difference = compared(runs, neuron="lif")["relu"].difference
    assert difference is not None
    assert difference.p_alone == pytest.approx(expected)


def test_an_order_of_its_own_is_no_other_test_set(tmp_path: Path) -> None:
    right = right_answers(0.9, 1)
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    turned = {name: each[::-1] for name, each in outputs_of(right).items()}
    finished(tmp_path, "f1", 0, right, PLIF, arrays=turned)
    difference = compared(tmp_path, neuron="lif")["plif"].difference
    assert difference is not None
    assert difference.mean == pytest.approx(right.mean() - right_answers(0.6, 0).mean())


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"index": np.arange(200) + 1}, "other test samples"),
        ({"label": (LABELS + 1) % 10, "output": outputs_of(right_answers(0.9, 1))["output"]}, "the outputs give"),
        ({"label": LABELS[:100]}, "do not belong together"),
        ({"output": np.array(["x"] * 200, dtype=object)}, "output.npy holds Python objects"),
        ({"index": np.zeros((200, 3), int)}, "its index is of another type or shape"),
        ({"output": np.full((200, 10), 1j)}, "its output is of another type or shape"),
        ({"recording": np.zeros(200, "V8")}, "its recording is of another type or shape"),
        ({"index": np.zeros(1 << 26, np.int64)}, "larger than any run's"),
    ],
)
def test_what_cannot_be_paired_is_flagged(tmp_path: Path, arrays: dict[str, np.ndarray], why: str) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    finished(tmp_path, "f1", 0, right_answers(0.9, 1), PLIF, arrays=arrays)
    row = compared(tmp_path, neuron="lif")["plif"]
    assert row.difference is None
    assert any(flag.startswith("not compared: ") and why in flag for flag in row.flags), row.flags


def test_outputs_whose_header_promises_more_than_there_is_are_flagged(tmp_path: Path) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    outputs = finished(tmp_path, "f1", 0, right_answers(0.9, 1), PLIF) / "outputs" / "test.npz"
    with zipfile.ZipFile(outputs, "w") as archive, archive.open("index.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)})
    row = compared(tmp_path, neuron="lif")["plif"]
    assert row.wilson is None
    assert any("its header says" in flag for flag in row.flags), row.flags


def test_missing_outputs_other_seeds_and_other_data_are_flagged(tmp_path: Path) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    (finished(tmp_path, "f1", 0, right_answers(0.6, 0), PLIF) / "outputs" / "test.npz").unlink()
    finished(tmp_path, "f2", 1, right_answers(0.6, 0), RELU)
    other = {"neuron": {"_target_": "theirs.Mine"}, "dataset": {"_target_": "membrane.data.idx.MNIST"}}
    finished(tmp_path, "f3", 0, right_answers(0.6, 0), other)
    rows = compared(tmp_path, neuron="lif")
    flags = {name: [flag for flag in row.flags if flag.startswith("not compared")] for name, row in rows.items()}
    assert flags["plif"] == ["not compared: outputs/test.npz is missing"]
    assert flags["relu"] == ["not compared: no seed in common with the baseline"]
    assert flags["Mine"] == ["not compared: another data set than the baseline's"]


def test_seeds_that_the_baseline_lacks_are_left_out_and_said(tmp_path: Path) -> None:
    runs = study(tmp_path)
    finished(runs, "f1", 3, right_answers(0.1, 5), PLIF)
    row = compared(runs, neuron="lif")["plif"]
    assert row.difference is not None
    assert "compared over the seeds that the baseline has too: 0, 1, 2" in row.flags


def test_samples_of_one_person_are_one_draw(tmp_path: Path) -> None:
    groups = {"group": np.repeat(np.arange(10), 20)}
    finished(tmp_path, "f0", 0, right_answers(0.6, 0), arrays=groups)
    finished(tmp_path, "f1", 0, right_answers(0.8, 1), PLIF, arrays=groups)
    difference = compared(tmp_path, neuron="lif")["plif"].difference
    assert difference is not None
    d = right_answers(0.8, 1).astype(float) - right_answers(0.6, 0)
    expected = stats.ttest_1samp(d.reshape(10, 20).mean(1), 0)  # groups of equal size: a test of their means
    assert difference.p_alone == pytest.approx(expected.pvalue)


def test_in_regression_a_smaller_error_is_better(tmp_path: Path) -> None:
    target = np.linspace(0, 1, 40)[:, None]
    for fingerprint, config, error in (("f0", {}, 0.2), ("f1", PLIF, 0.1)):
        noise = error * np.random.default_rng(3).choice([-1, 1], (40, 1)) * np.linspace(0.5, 1.5, 40)[:, None]
        arrays = {"index": np.arange(40), "recording": np.arange(40), "label": target, "output": target + noise}
        finished(tmp_path, fingerprint, 0, right_answers(1, 0), config, {"metrics": {"test/mae": error}}, arrays=arrays)
    difference = compared(tmp_path, neuron="lif")["plif"].difference
    assert difference is not None
    assert (difference.mean, difference.verdict) == (pytest.approx(-0.1), "better")


def test_a_grid_is_compared_within_its_other_settings(tmp_path: Path) -> None:
    for number, (timesteps, neuron) in enumerate([(4, {}), (4, PLIF), (8, {}), (8, PLIF)]):
        right = right_answers(0.3 + 0.1 * number, number)
        finished(tmp_path, f"f{number}", 0, right, {"timesteps": timesteps, **neuron})
    rows = group_runs(gather_runs([tmp_path]).runs)
    compare_rows(rows, {"neuron": "lif"})
    means = {row.shown["timesteps"]: row.difference.mean for row in rows if row.difference}
    right = [right_answers(0.3 + 0.1 * number, number).mean() for number in range(4)]
    assert means == {"4": pytest.approx(right[1] - right[0]), "8": pytest.approx(right[3] - right[2])}


def test_a_baseline_that_no_run_has_is_refused_with_what_there_is(tmp_path: Path) -> None:
    rows = group_runs(gather_runs([study(tmp_path, 1)]).runs)
    with pytest.raises(ConfigError, match="neuron is lif, plif, relu"):
        compare_rows(rows, {"neuron": "if"})
    with pytest.raises(ConfigError, match="no run has a setting nouron"):
        compare_rows(rows, {"nouron": "lif"})


@pytest.mark.parametrize(
    ("score", "interval", "p", "verdict"),
    [
        ("test/acc", (0.01, 0.2), 0.049, "better"),
        ("test/acc", (-0.2, -0.01), 0.049, "worse"),
        ("test/mae", (0.01, 0.2), 0.049, "worse"),
        ("test/mae", (-0.2, -0.01), 0.049, "better"),
        ("test/acc", (0.01, 0.2), 0.051, "no difference"),
        ("test/acc", (0.0, 0.2), 0.049, "no difference"),
        ("test/acc", (-0.2, 0.0), 0.049, "no difference"),
    ],
)
def test_a_difference_is_told_if_interval_and_corrected_p_agree(
    score: str, interval: tuple[float, float], p: float, verdict: str
) -> None:
    assert verdict_of(score, Difference(sum(interval) / 2, interval, p / 2), p) == verdict


def test_evaluations_and_rows_without_a_common_score_are_flagged(tmp_path: Path) -> None:
    folder = finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    (folder / "evaluations").mkdir()
    measured = {"overrides": ["timesteps=1"], "metrics": {"test/acc": 0.25}, "finished": True}
    (folder / "evaluations" / "e1.json").write_text(json.dumps(measured))
    finished(tmp_path, "f1", 0, right_answers(0.6, 0), PLIF, {"metrics": {"test/mae": 0.5}})
    rows = group_runs(gather_runs([tmp_path], evaluations=True).runs)
    compare_rows(rows, {"fingerprint": "f0"})
    flags = {row.fingerprint: [flag for flag in row.flags if "not compared" in flag] for row in rows}
    assert flags == {
        "f0": [],
        "f0/e1": ["not compared: an evaluation keeps no outputs"],
        "f1": ["not compared: no score in common with the baseline"],
    }


def test_several_baselines_for_a_row_are_flagged(tmp_path: Path) -> None:
    for number, (epochs, neuron) in enumerate([(1, {}), (2, {}), (3, PLIF)]):
        finished(tmp_path, f"f{number}", 0, right_answers(0.6, number), {"epochs": epochs, **neuron})
    (row,) = (row for row in group_and_compare(tmp_path) if row.settings["neuron"] == "plif")
    assert row.flags == ["not compared: no baselines share its other settings"]


def group_and_compare(runs: Path) -> list[ReportRow]:
    """Return the rows of a folder, compared with LIF."""
    rows = group_runs(gather_runs([runs]).runs)
    compare_rows(rows, {"neuron": "lif"})
    return rows


@pytest.mark.parametrize(("recorded", "pairs"), [(0.6006, True), (0.6007, False), (0.5995, True), (0.5993, False)])
def test_outputs_may_differ_from_the_result_by_a_thousandth(tmp_path: Path, recorded: float, pairs: bool) -> None:
    right = np.arange(200) < 120  # 0.6; a thousandth of 0.6006 is 0.0006
    finished(tmp_path, "f0", 0, right, result={"metrics": {"test/acc": recorded}})
    finished(tmp_path, "f1", 0, np.arange(200) < 150, PLIF)
    (row,) = (row for row in group_and_compare(tmp_path) if row.settings["neuron"] == "plif")
    assert (row.difference is not None) == pairs
