"""Figures over the epochs: means of an epoch, the best one, and where names stand, by hand and by scikit-learn."""

from itertools import pairwise

import numpy as np
import pytest
from drawing import curve, rows, texts
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from membrane.report import figures
from membrane.report.curves import apart, by_epoch, isotonic


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
