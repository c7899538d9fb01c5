"""Figures over the epochs: means of an epoch, the best one, and where names stand, by hand and by scikit-learn."""

from itertools import pairwise

import numpy as np
import pytest
from drawing import curve, rows, size_in_inches, texts, title_is_above
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.isotonic import isotonic_regression

from membrane.report.curves import apart, by_epoch, firing_rates, isotonic, learning_curves


def test_learning_curves_show_the_error_where_there_is_no_accuracy() -> None:
    regression = [{name.replace("acc", "mae"): value for name, value in row.items()} for row in rows()]
    loss, error = learning_curves(regression, (2, "loss")).axes
    assert error.get_title(loc="left") == "mean absolute error"
    assert curve(error, "val") == pytest.approx({0: 0.35, 1: 0.65, 2: 0.55})
    assert loss.get_title(loc="right") == "best epoch 2 by loss: val 0.9"
    assert error.get_title(loc="right") == "best epoch 2 by loss: val 0.55"


def test_learning_curves_are_the_epochs_means_and_mark_the_best() -> None:
    figure = learning_curves(rows(), (1, "acc"))
    loss, accuracy = figure.axes
    assert curve(loss, "train") == pytest.approx({0: 1.5, 1: 0.7, 2: 0.5})
    assert curve(loss, "val") == pytest.approx({0: 1.6, 1: 1.1, 2: 0.9})
    assert curve(accuracy, "train") == pytest.approx({0: 0.3, 1: 0.7, 2: 0.9})
    assert curve(accuracy, "val") == pytest.approx({0: 0.35, 1: 0.65, 2: 0.55})
    shown = texts(figure)
    assert "best epoch 1 by acc: val 65.0 %" in shown
    assert "best epoch 1 by acc: val 1.1" in shown
    assert shown.count("train") == shown.count("val") == 2


def test_without_validation_nothing_is_best_and_the_oracle_is_named() -> None:
    unmeasured = [{name: value for name, value in row.items() if "val" not in name} for row in rows()]
    assert not any("best" in text for text in texts(learning_curves(unmeasured)))
    oracle = [{name.replace("val/", "oracle/"): value for name, value in row.items()} for row in rows()]
    assert "best epoch 1 by acc: oracle 65.0 %" in texts(learning_curves(oracle))
    errors = [{name.replace("acc", "mae"): value for name, value in row.items()} for row in oracle]
    assert "best epoch 0 by mae: oracle 0.35" in texts(learning_curves(errors))


def test_the_epoch_that_was_kept_is_marked_whatever_the_accuracy_says() -> None:
    figure = learning_curves(rows(), (2, "f1"))
    assert figure.axes[1].get_title(loc="right") == "best epoch 2 by f1: val 55.0 %"
    assert figure.axes[0].get_title(loc="right") == "best epoch 2 by f1: val 0.9"


def test_what_is_said_of_the_best_epoch_leaves_room_for_the_longest_title() -> None:
    table = [{"epoch": 199.0, "val/loss": 0.0644, "val/mae": 0.0644}, {"epoch": 0.0, "val/loss": 1, "val/mae": 1}]
    figure = learning_curves(table, (199, "mape"))
    figure.draw_without_rendering()
    axes = figure.axes[1]
    assert axes.get_title(loc="right") == "best epoch 199 by mape: val 0.0644"
    [left] = [text for text in axes.findobj(Text) if text.get_text() == axes.get_title(loc="left")]
    [right] = [text for text in axes.findobj(Text) if text.get_text() == axes.get_title(loc="right")]
    assert left.get_window_extent().x1 < right.get_window_extent().x0


def test_without_a_score_the_loss_stands_alone() -> None:
    regression = [{name: value for name, value in row.items() if "acc" not in name} for row in rows()]
    figure = learning_curves(regression, (2, "corr"))
    assert len(figure.axes) == 1
    assert "best epoch 2 by corr: val 0.9" in texts(figure)


def test_a_diverged_loss_leaves_the_rest_readable() -> None:
    diverged = [*rows(), {"epoch": 3, "train/loss": float("nan"), "val/loss": float("inf"), "val/acc": 0.1}]
    figure = learning_curves(diverged, (1, "acc"))
    assert curve(figure.axes[0], "val") == pytest.approx({0: 1.6, 1: 1.1, 2: 0.9})
    assert "best epoch 1 by acc: val 65.0 %" in texts(figure)


def test_few_layers_rates_are_labelled_lines() -> None:
    figure = firing_rates(rows())
    assert curve(figure.axes[0], "a.spikes") == pytest.approx({0: 0.25, 1: 0.125, 2: 0.0625})
    silent, saturated, _ = curve(figure.axes[0], "b.spikes").values()
    low, high = figure.axes[0].get_ylim()
    assert low < silent < 0.001  # a rate of 0 has no place on a logit axis: it is drawn inside the silent band
    assert saturated == 0.995 < high
    assert {"a.spikes", "b.spikes", "silent", "saturated"} <= set(texts(figure))


def test_many_layers_rates_are_a_map() -> None:
    table = [{"epoch": float(epoch), **{f"rate/{k}": k / 20 for k in range(20)}} for epoch in range(3)]
    figure = firing_rates(table)
    axes = figure.axes[0]
    drawn = axes.images[0].get_array()
    assert drawn is not None
    assert drawn.shape == (20, 3)
    assert np.allclose(drawn[1:, 2], np.arange(1, 20) / 20)
    assert drawn[0, 0] < 0.001
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(k) for k in range(20)]


def tick_labels(axes: Axes) -> list[str]:
    """Return what stands beside the vertical axis' ticks within the panel."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    low, high = sorted(axes.get_ylim())
    labels = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    return [label.get_text() for tick, label in labels if low <= tick <= high and label.get_text()]


def with_losses(*losses: float) -> list[dict[str, float]]:
    return [{"epoch": epoch, "step": epoch + 1, "train/loss": loss} for epoch, loss in enumerate(losses)]


def test_proportions_are_in_percent_and_losses_are_not() -> None:
    table = [{"epoch": epoch, "val/loss": 1 + epoch, "val/acc": epoch / 4} for epoch in range(5)]
    loss, accuracy = learning_curves(table).axes
    assert {"0 %", "100 %"} <= set(tick_labels(accuracy))
    assert {"1", "5"} <= {label.removesuffix(".0") for label in tick_labels(loss)}


def test_losses_that_span_a_factor_above_thirty_are_logarithmic() -> None:
    scales = [learning_curves(with_losses(2.0, high)).axes[0].get_yscale() for high in (60.0, 61.0)]
    assert scales == ["linear", "log"]
    assert learning_curves(with_losses(0.0, 1.0)).axes[0].get_yscale() == "linear"
    assert tick_labels(learning_curves(with_losses(0.9, 100.0)).axes[0]) == ["1", "3", "10", "30", "100"]
    assert tick_labels(learning_curves(with_losses(0.9, 5000.0)).axes[0]) == ["1", "10", "100", "1000"]


def test_panels_over_epochs_have_whole_epochs_and_room() -> None:
    figure = learning_curves(rows())
    assert [size_in_inches(axes) for axes in figure.axes] == [(3.8, 2.7)] * 2
    assert all(map(title_is_above, figure.axes))
    for axes in figure.axes:
        assert axes.get_xlabel() == "epoch"
        assert [each for each in axes.get_xticks() if 0 <= each <= 2] == [0, 1, 2]
        assert [axes.spines[side].get_visible() for side in ("top", "right", "left", "bottom")] == [
            False,
            False,
            True,
            True,
        ]
        assert axes.get_axisbelow()
    [alone] = learning_curves(with_losses(1.0)).axes
    assert alone.get_xlim() == (-0.5, 0.5)
    figure.draw_without_rendering()
    assert all(axes.xaxis.label.get_window_extent().y1 < axes.bbox.y0 for axes in figure.axes)


def test_dots_mark_up_to_forty_epochs() -> None:
    for epochs, marker in ((40, "o"), (41, "")):
        line = learning_curves(with_losses(*[1.0] * epochs)).axes[0].lines[0]
        assert (line.get_marker() or "").replace("None", "") == marker


def test_the_best_epoch_has_a_ring_and_a_line() -> None:
    loss, accuracy = learning_curves(rows(), (1, "acc")).axes
    for axes, value in ((loss, 1.1), (accuracy, 0.65)):
        rings = [line.get_xydata() for line in axes.lines if line.get_markerfacecolor() == "none"]
        np.testing.assert_allclose(rings, [[[1, value]]])
        [across] = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert across.get_xdata() == [1, 1]


def test_names_stand_beside_the_ends_of_their_lines() -> None:
    axes = learning_curves(with_losses(0.0, 2.0, 1.0)).axes[0]
    [name] = axes.texts
    assert name.get_text() == "train"
    x, y = name.get_position()
    assert x > 1
    # the last value, 1 between 0 and 2, lies in the panel's middle
    assert y == pytest.approx(0.5)
    connector = axes.lines[-1]
    np.testing.assert_allclose(connector.get_ydata(), [0.5, 0.5])
    assert all(1 < position < x for position in connector.get_xdata())
    assert connector.get_color() == name.get_color() == axes.lines[0].get_color()


def test_names_that_would_touch_are_moved_apart_by_their_height() -> None:
    table = [{"epoch": epoch, "train/loss": 1.0 + epoch, "val/loss": 1.0 + epoch} for epoch in range(2)]
    figure = learning_curves(table)
    [axes] = figure.axes
    figure.draw_without_rendering()
    below, above = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert 0 <= above.y0 - below.y1 < below.height


def test_rates_have_a_logit_axis_with_silent_and_saturated_bands() -> None:
    figure = firing_rates([{"epoch": epoch, "rate/a": 0.0, "rate/b": 1.0} for epoch in range(3)])
    [axes] = figure.axes
    assert size_in_inches(axes) == (5.5, 3.3)
    assert title_is_above(axes)
    assert axes.get_title(loc="left") == "firing rate (non-zero outputs)"
    assert axes.get_yscale() == "logit"
    assert axes.get_ylim() == pytest.approx((0.0002, 0.9998))
    assert tick_labels(axes) == ["0.1 %", "1 %", "10 %", "50 %", "90 %", "99 %", "99.9 %"]
    assert axes.get_yticks(minor=True).tolist() == []
    # what lies outside is drawn just inside the axis
    assert list(curve(axes, "a").values()) == pytest.approx([0.00028] * 3)
    assert list(curve(axes, "b").values()) == pytest.approx([0.99972] * 3)
    bands = sorted((patch.get_y(), patch.get_y() + patch.get_height()) for patch in axes.patches)  # type: ignore[attr-defined]
    assert bands == [pytest.approx((0.0002, 0.001)), pytest.approx((0.99, 0.9998))]
    heights = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert 0.0002 < heights["silent"] < 0.001
    assert 0.99 < heights["saturated"] < 0.9998


def test_rates_of_twelve_layers_are_lines_and_of_thirteen_a_map() -> None:
    for layers in (12, 13):
        figure = firing_rates([{"epoch": epoch, **{f"rate/{k}": 0.5 for k in range(layers)}} for epoch in range(2)])
        assert len(figure.axes[0].images) == (layers > 12)


def test_early_layers_are_darker() -> None:
    [axes] = firing_rates([{"epoch": epoch, **{f"rate/{k}": 0.5 for k in range(4)}} for epoch in range(2)]).axes
    colours = [sum(to_rgb(line.get_color())) for line in axes.lines if not str(line.get_label()).startswith("_")]
    assert len(set(colours)) == 4
    assert colours == sorted(colours)


def test_a_map_of_rates_has_a_row_for_each_layer_and_a_scale() -> None:
    for layers, height in ((20, 0.6 + 0.17 * 20), (44, 0.6 + 0.17 * 44), (46, 8.2)):
        table = [{"epoch": epoch, **{f"rate/layer{k}": 0.25 for k in range(layers)}} for epoch in (2, 3, 4)]
        figure = firing_rates(table)
        [axes], [scale] = figure.axes, figure.axes[0].child_axes
        assert size_in_inches(axes) == pytest.approx((5.0, height))
        assert axes.get_xlim() == (1.5, 4.5)
        assert axes.get_ylim() == (layers - 0.5, -0.5)  # the first on top
        assert not any(line.get_visible() for line in (*axes.get_xgridlines(), *axes.get_ygridlines()))
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)  # type: ignore[arg-type]
    assert np.isnan(drawn[:, :2]).all()  # no epochs 0 and 1
    assert (drawn[:, 2:] == 0.25).all()
    assert axes.images[0].get_clim() == (0.001, 0.99)
    figure.draw_without_rendering()
    panel, beside = axes.get_window_extent(), scale.get_window_extent()
    assert beside.x0 > panel.x1
    assert 0.8 * panel.height < beside.height <= panel.height  # the rest is its pointed ends
    assert (beside.y0 + beside.y1) / 2 == pytest.approx((panel.y0 + panel.y1) / 2)
    assert {"1 %", "10 %"} <= {label.get_text() for label in scale.get_yticklabels()}
    assert (scale.get_title(), scale.get_xlabel()) == ("saturated", "silent")
    assert title_is_above(axes)


def test_at_most_sixty_layers_of_a_map_are_named() -> None:
    for layers in (60, 61):
        table = [{"epoch": 0.0, **{f"rate/layer{k}": 0.25 for k in range(layers)}}]
        named = [label.get_text() for label in firing_rates(table).axes[0].get_yticklabels()]
        assert len(named) == 60
        assert (named[0], named[-1]) == ("layer0", f"layer{layers - 1}")


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
