"""Figures of a hand-made run: what is in them by hand and by scikit-learn, and what is on the paper."""

import logging
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from drawing import COLUMNS, ROWS, is_cut, rows, texts, whole

from membrane.report import figures

NAMES = ["learning_curves", "confusion_matrix", "firing_rates", "raster"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "metrics.csv").write_text(COLUMNS + ROWS)
    (tmp_path / "outputs").mkdir()
    labels = np.repeat(np.arange(3), 4)
    output = np.eye(3)[[0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 0, 0]]
    arrays = {"index": np.arange(12), "recording": np.arange(12), "label": labels, "output": output}
    np.savez(tmp_path / "outputs" / "test.npz", **arrays)
    return tmp_path


@pytest.mark.parametrize("letter", ["W", "i"])
def test_no_name_is_cut(letter: str) -> None:
    long = [f"{letter * 40}{k}" for k in range(30)]
    some = np.arange(30)
    assert not is_cut(figures.confusion_matrix(some[:10], some[:10], long[:10]))
    assert not is_cut(figures.confusion_matrix(some, some[::-1], long))
    for layers in (4, 30):
        table = [
            {"epoch": float(epoch), **dict.fromkeys((f"rate/{name}" for name in long[:layers]), 0.1)}
            for epoch in range(3)
        ]
        assert not is_cut(figures.firing_rates(table))
    assert not is_cut(figures.predicted_against_true(np.eye(5) * 1e6, -np.eye(5) / 1e6))
    assert not is_cut(figures.raster({name: np.ones((3, 4_000_000 // (1 + k))) for k, name in enumerate("ab")}))


def test_a_run_gets_four_pictures_with_ink_in_every_panel(run: Path) -> None:
    spikes = {"a.spikes": np.eye(4, 9), "b.spikes": np.ones((4, 2))}
    paths = figures.draw_figures(run, spikes)
    assert [path.relative_to(run).as_posix() for path in paths] == [f"figures/{name}.png" for name in NAMES]
    drawn = [
        figures.learning_curves(rows()),
        figures.confusion_matrix(*figures.labels_and_predictions(run / "outputs" / "test.npz")),
        figures.firing_rates(rows()),
        figures.raster(spikes),
    ]
    for path, figure in zip(paths, drawn, strict=True):
        image = whole(figure)
        for axes in figure.axes:
            box = axes.get_position()
            top, bottom = int((1 - box.y1) * image.shape[0]) + 4, int((1 - box.y0) * image.shape[0]) - 4
            left, right = int(box.x0 * image.shape[1]) + 4, int(box.x1 * image.shape[1]) - 4
            assert image[top:bottom, left:right].std() > 0.01
        down, right = (np.flatnonzero((image < 1).any((axis, 2))) for axis in (1, 0))
        cut = image[down[0] : down[-1] + 1, right[0] : right[-1] + 1]
        written = matplotlib.image.imread(path)
        assert written.shape == (cut.shape[0] + 12, cut.shape[1] + 12, 3)
        np.testing.assert_allclose(written[6:-6, 6:-6], cut)


def test_a_matplotlibrc_of_the_working_folder_changes_no_figure_and_runs_no_latex(run: Path) -> None:
    spikes = {"a.spikes": np.eye(4, 9)}
    before = [path.read_bytes() for path in figures.draw_figures(run, spikes)]
    with matplotlib.rc_context({"text.usetex": True, "text.latex.preamble": r"\input{x}", "font.size": 30}):
        assert [path.read_bytes() for path in figures.draw_figures(run, spikes)] == before
        assert matplotlib.rcParams["font.size"] == 30


def test_classes_are_called_by_their_names(run: Path) -> None:
    outputs = run / "outputs" / "test.npz"
    with np.load(outputs) as arrays:
        np.savez(outputs, **arrays, classes=np.array(["cat", "dog", "bird"]))
    figure = figures.drawings(run, {}, "classification")["confusion_matrix"]()
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "bird"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "bird"]


def test_drawing_imports_matplotlib_late_and_pyplot_never(run: Path) -> None:
    without_rates = [line.rpartition(",")[0].rpartition(",")[0] for line in [COLUMNS, *ROWS.split()]]
    (run / "metrics.csv").write_text("\n".join(without_rates))
    code = f"""
import sys
from itertools import pairwise
from pathlib import Path
import numpy as np
from membrane.report import figures
assert "matplotlib" not in sys.modules
assert len(figures.draw_figures(Path({str(run)!r}), {{"a": np.eye(3)}})) == 3
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "", "MPLCONFIGDIR": str(run)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_has_no_data_is_skipped_with_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="membrane"):
        assert figures.draw_figures(tmp_path, {}) == []
    assert caplog.messages == [
        "no figure learning_curves: there is no metrics.csv",
        "no figure confusion_matrix: there is no test.npz",
        "no figure firing_rates: there is no metrics.csv",
        "no figure raster: no spikes were recorded",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_and_outputs_without_classes_are_skipped(run: Path) -> None:
    (run / "metrics.csv").write_text(COLUMNS + "\n")
    np.savez(run / "outputs" / "test.npz", label=np.array([0.5, 1.5]), output=np.array([[0.4], [1.6]]))
    assert figures.draw_figures(run, {}) == []


def test_a_regression_is_drawn_as_predictions_against_the_truth(run: Path) -> None:
    label = np.array([[1.0, 10.0], [2.0, 10.0], [4.0, 10.0]])
    output = np.array([[1.5, 9.0], [2.5, 10.0], [3.0, 14.0]])
    np.savez(run / "outputs" / "test.npz", label=label, output=output)
    paths = figures.draw_figures(run, {}, "regression")
    assert [path.stem for path in paths] == ["learning_curves", "predicted_against_true", "firing_rates"]
    figure = figures.predicted_against_true(*figures.targets_and_predictions(run / "outputs" / "test.npz"))
    for axes, k in zip(figure.axes, range(2), strict=True):
        dots, line = axes.lines
        np.testing.assert_array_equal(dots.get_xydata(), np.stack([label[:, k], output[:, k]], 1))
        ends = np.concatenate([label[:, k], output[:, k]])
        np.testing.assert_array_equal(line.get_xydata(), [[ends.min()] * 2, [ends.max()] * 2])
    # by hand: covariance 13/18 over deviations √(14/9) and √(7/18); errors ½, ½, 1; a constant truth correlates not
    corr = 13 / 18 / (14 / 9 * 7 / 18) ** 0.5
    assert f"corr {corr:.3f}, MAE 0.667 of 3 samples" in texts(figure)
    assert "MAE 1.667 of 3 samples" in texts(figure)


def test_what_is_read_of_the_test_is_labels_and_predictions_or_targets(tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    for output, predicted in ([0.5, 0.25, 0.75], 2), ([0.75, 0.25], 0):
        np.savez(path, label=np.array([1]), output=np.array([output]))
        labels, predictions, classes = figures.labels_and_predictions(path)
        assert (labels.tolist(), predictions.tolist(), classes) == ([1], [predicted], len(output))
    np.savez(path, label=np.array([[0.5], [1.5]]), output=np.array([[1.0], [2.0]]))
    targets, outputs = figures.targets_and_predictions(path)
    assert (targets.tolist(), outputs.tolist()) == ([[0.5], [1.5]], [[1.0], [2.0]])


def test_other_outputs_are_neither(tmp_path: Path) -> None:
    path, whole_numbers = tmp_path / "test.npz", np.array([0, 1])
    for label, output in (
        (whole_numbers, np.zeros((2, 1))),
        (whole_numbers, np.zeros(2)),
        (whole_numbers[:0], np.zeros((0, 3))),
        (np.zeros(2), np.zeros((2, 3))),
    ):
        np.savez(path, label=label, output=output)
        with pytest.raises(figures.NothingToDraw, match=r"^test\.npz has no classes$"):
            figures.labels_and_predictions(path)
    for label, output in (
        (np.zeros((2, 1), dtype=int), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2)),
        (np.zeros((2, 1)), np.zeros((2, 2))),
        (np.zeros((0, 1)), np.zeros((0, 1))),
    ):
        np.savez(path, label=label, output=output)
        with pytest.raises(figures.NothingToDraw, match=r"^test\.npz has no targets$"):
            figures.targets_and_predictions(path)


def test_outputs_without_targets_are_skipped(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="membrane"):
        assert "predicted_against_true" not in [path.stem for path in figures.draw_figures(run, {}, "regression")]
    assert "no figure predicted_against_true: test.npz has no targets" in caplog.messages
