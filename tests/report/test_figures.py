"""Figures of a hand-made run: what is in them by hand and by scikit-learn, and what is on the paper."""

import csv
import io
import logging
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics
from sklearn.isotonic import isotonic_regression

from membrane.report import figures
from membrane.report.curves import apart, by_epoch, isotonic

COLUMNS = "epoch,step,seconds,lr,train/loss,train/acc,val/loss,val/acc,rate/a.spikes,rate/b.spikes"
ROWS = """
0,1,1,0.1,2.0,0.2,,,,
0,2,2,0.1,1.0,0.4,,,,
0,2,3,0.1,,,1.6,0.35,0.25,0
1,3,4,0.1,0.8,0.6,,,,
1,4,5,0.1,0.6,0.8,,,,
1,4,6,0.1,,,1.1,0.65,0.125,0.995
2,5,7,0.1,0.5,0.9,,,,
2,6,8,0.1,,,0.9,0.55,0.0625,0.5
"""
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


def rows() -> list[dict[str, float]]:
    lines = csv.DictReader([COLUMNS, *ROWS.split()])
    return [{name: float(cell) for name, cell in line.items() if cell} for line in lines]


def curve(axes: Axes, label: str) -> dict[float, float]:
    """Epoch → value of the line with that label."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return {float(x): float(y) for x, y in line.get_xydata()}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


def whole(figure: Figure, dpi: int = 150) -> np.ndarray:
    """The figure with its margins as matplotlib saves it [h,w,3], 1 where it is white."""
    saved = io.BytesIO()
    figure.savefig(saved, dpi=dpi)
    saved.seek(0)
    return np.asarray(matplotlib.image.imread(saved))[..., :3]


def is_cut(figure: Figure) -> bool:
    """Return whether ink reaches the edge of the whole figure."""
    image = whole(figure, dpi=60)
    return any((edge < 1).any() for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]))


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


def test_many_outputs_are_drawn_as_far_as_they_fit_and_a_diverged_one_too() -> None:
    y = np.arange(24.0).reshape(2, 12)
    figure = figures.predicted_against_true(y, np.full_like(y, np.nan))
    assert sum(axes.get_visible() for axes in figure.axes) == 9


def test_outputs_without_targets_are_skipped(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="membrane"):
        assert "predicted_against_true" not in [path.stem for path in figures.draw_figures(run, {}, "regression")]
    assert "no figure predicted_against_true: test.npz has no targets" in caplog.messages


def test_learning_curves_show_the_error_where_there_is_no_accuracy() -> None:
    regression = [{name.replace("acc", "mae"): value for name, value in row.items()} for row in rows()]
    loss, error = figures.learning_curves(regression).axes
    assert error.get_title(loc="left") == "mean absolute error"
    assert curve(error, "val") == pytest.approx({0: 0.35, 1: 0.65, 2: 0.55})
    assert loss.get_title(loc="right") == "best epoch 2: val 0.9"
    assert error.get_title(loc="right") == "best epoch 2: val 0.55"


def test_learning_curves_are_the_epochs_means_and_mark_the_best() -> None:
    figure = figures.learning_curves(rows())
    loss, accuracy = figure.axes
    assert curve(loss, "train") == pytest.approx({0: 1.5, 1: 0.7, 2: 0.5})
    assert curve(loss, "val") == pytest.approx({0: 1.6, 1: 1.1, 2: 0.9})
    assert curve(accuracy, "train") == pytest.approx({0: 0.3, 1: 0.7, 2: 0.9})
    assert curve(accuracy, "val") == pytest.approx({0: 0.35, 1: 0.65, 2: 0.55})
    shown = texts(figure)
    assert "best epoch 1: val 65.0 %" in shown
    assert "best epoch 1: val 1.1" in shown
    assert shown.count("train") == shown.count("val") == 2


def test_without_validation_nothing_is_best_and_the_oracle_is_named() -> None:
    unmeasured = [{name: value for name, value in row.items() if "val" not in name} for row in rows()]
    assert not any("best" in text for text in texts(figures.learning_curves(unmeasured)))
    oracle = [{name.replace("val/", "oracle/"): value for name, value in row.items()} for row in rows()]
    assert "best epoch 1: oracle 65.0 %" in texts(figures.learning_curves(oracle))


@pytest.mark.parametrize(("losses", "best"), [([0.9, 0.5, 0.7], 1), ([0.9, 0.5, 0.5], 2), ([0.1, 0.5, 0.7], 1)])
def test_among_epochs_of_equal_accuracy_the_best_is_the_one_whose_checkpoint_is(losses: list[float], best: int) -> None:
    rows = [
        {"epoch": epoch, "step": epoch + 1, "train/loss": 1.0, "val/acc": acc, "val/loss": loss}
        for epoch, (acc, loss) in enumerate(zip([0.5, 0.75, 0.75], losses, strict=True))
    ]
    assert f"best epoch {best}: val 75.0 %" in texts(figures.learning_curves(rows))


def test_without_accuracy_the_lowest_loss_is_best() -> None:
    regression = [{name: value for name, value in row.items() if "acc" not in name} for row in rows()]
    figure = figures.learning_curves(regression)
    assert len(figure.axes) == 1
    assert "best epoch 2: val 0.9" in texts(figure)


def test_a_diverged_loss_leaves_the_rest_readable() -> None:
    diverged = [*rows(), {"epoch": 3, "train/loss": float("nan"), "val/loss": float("inf"), "val/acc": 0.1}]
    figure = figures.learning_curves(diverged)
    assert curve(figure.axes[0], "val") == pytest.approx({0: 1.6, 1: 1.1, 2: 0.9})
    assert "best epoch 1: val 65.0 %" in texts(figure)


@pytest.mark.parametrize("classes", [2, 10, 20, 100])
def test_the_confusion_matrix_is_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels, predictions = rng.integers(0, classes, 400), rng.integers(0, classes, 400)
    labels[labels == 1] = 0  # a class without samples
    figure = figures.confusion_matrix(labels, predictions, classes)
    axes = figure.axes[0]
    counts = metrics.confusion_matrix(labels, predictions, labels=range(classes))
    normal = metrics.confusion_matrix(labels, predictions, labels=range(classes), normalize="true")
    assert np.allclose(axes.images[0].get_array(), normal)
    written = {text.get_position(): text.get_text() for text in axes.texts}
    cells = [(int(j), int(i)) for i, j in np.argwhere(counts)]
    assert written == ({(j, i): str(counts[i, j]) for j, i in cells} if classes <= 20 else {})
    assert len(axes.get_xticks()) == (classes if classes <= 20 else 10)
    assert len(axes.child_axes) == (classes > 20), "a scale where no counts are written"
    assert f"accuracy {100 * metrics.accuracy_score(labels, predictions):.1f} % of 400 samples" in texts(figure)


def test_many_classes_list_the_most_frequent_confusions() -> None:
    labels = np.repeat(np.arange(30), 5)
    predictions = labels.copy()
    predictions[[0, 1, 2]] = 7
    predictions[[10, 11]] = 3
    shown = texts(figures.confusion_matrix(labels, predictions, 30))
    assert any(text.endswith("most often confused: 0 as 7 (3 of 5), 2 as 3 (2 of 5)") for text in shown)


def test_class_names_stand_at_the_cells() -> None:
    figure = figures.confusion_matrix(np.array([0, 1]), np.array([1, 1]), ["walking", "sitting"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["walking", "sitting"]


def test_few_layers_rates_are_labelled_lines() -> None:
    figure = figures.firing_rates(rows())
    assert curve(figure.axes[0], "a.spikes") == pytest.approx({0: 0.25, 1: 0.125, 2: 0.0625})
    silent, saturated, _ = curve(figure.axes[0], "b.spikes").values()
    low, high = figure.axes[0].get_ylim()
    assert low < silent < 0.001  # a rate of 0 has no place on a logit axis: it is drawn inside the silent band
    assert saturated == 0.995 < high
    assert {"a.spikes", "b.spikes", "silent", "saturated"} <= set(texts(figure))


def test_many_layers_rates_are_a_map() -> None:
    table = [{"epoch": float(epoch), **{f"rate/{k}": k / 20 for k in range(20)}} for epoch in range(3)]
    figure = figures.firing_rates(table)
    axes = figure.axes[0]
    drawn = axes.images[0].get_array()
    assert drawn is not None
    assert drawn.shape == (20, 3)
    assert np.allclose(drawn[1:, 2], np.arange(1, 20) / 20)
    assert drawn[0, 0] < 0.001
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(k) for k in range(20)]


def test_a_raster_shows_each_layer_over_time() -> None:
    spikes = {"first": np.array([[0, 1, 0], [0, 0, 2]]), "second": np.zeros((2, 2))}
    figure = figures.raster(spikes)
    first, second = figure.axes
    assert np.allclose(first.images[0].get_array(), [[0, 0], [0.5, 0], [0, 1]])  # neurons upwards, time to the right
    assert np.allclose(second.images[0].get_array(), 0)
    assert {"first", "3 neurons, 33.3 % non-zero", "second", "2 neurons, 0.0 % non-zero"} <= set(texts(figure))


def test_a_large_layer_shows_200_neurons_and_says_so() -> None:
    spikes = np.zeros((5, 1000))
    spikes[:, [0, 999]] = 1
    figure = figures.raster({"large": spikes})
    drawn = figure.axes[0].images[0].get_array()
    assert drawn is not None
    assert drawn.shape == (200, 5)
    assert drawn[0].all()
    assert drawn[-1].all()
    assert "200 of 1,000 neurons, 0.2 % non-zero" in texts(figure)
    assert "neuron (at most 200 of a layer, evenly chosen)" in texts(figure)


def test_every_layer_of_a_deep_model_has_a_panel() -> None:
    figure = figures.raster({f"layer{k}": np.eye(4) for k in range(16)})
    assert sum(axes.get_visible() for axes in figure.axes) == 16


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_isotonic_values_are_scikit_learns(values: list[float]) -> None:
    assert isotonic(values) == pytest.approx(isotonic_regression(values), abs=1e-9)


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.08))
def test_labels_keep_their_order_and_distance(positions: list[float], gap: float) -> None:
    placed = apart(positions, gap)
    order = np.argsort(positions, kind="stable")
    assert all(placed[b] - placed[a] >= gap - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 <= position <= 1 + 1e-9 for position in placed)


@pytest.mark.parametrize(
    ("positions", "placed"),
    [
        ([0.9, 0.1, 0.5], [0.9, 0.1, 0.5]),  # nothing to do
        ([0.5, 0.52], [0.46, 0.56]),  # both give way, by the same
        ([0.5, 0.5, 0.5], [0.4, 0.5, 0.6]),
        ([1.0, 0.98, 0.3], [1.0, 0.9, 0.3]),  # the edge gives no way
    ],
)
def test_labels_move_as_little_as_they_can(positions: list[float], placed: list[float]) -> None:
    assert apart(positions, 0.1) == pytest.approx(placed)


def test_the_rest_of_an_epoch_weighs_as_many_steps_as_it_has() -> None:
    rows = [{"epoch": 0.0, "step": 10.0, "train/loss": 1.0}, {"epoch": 0.0, "step": 12.0, "train/loss": 4.0}]
    epochs, values = by_epoch([*rows, {"epoch": 0.0, "step": 12.0, "val/loss": 2.0}], "train/loss")
    assert epochs.tolist() == [0]
    assert values.tolist() == [1.5]  # (10·1 + 2·4) / 12
