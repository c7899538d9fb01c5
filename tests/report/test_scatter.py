"""Predictions against the truth: dots, the line of perfect ones, correlation and error."""

import numpy as np
import pytest
from drawing import gaps_in_inches, size_in_inches, texts, title_is_above

from membrane.report.scatter import predicted_against_true


def test_many_outputs_are_drawn_as_far_as_they_fit_and_a_diverged_one_too() -> None:
    y = np.arange(24.0).reshape(2, 12)
    figure = predicted_against_true(y, np.full_like(y, np.nan))
    assert sum(axes.get_visible() for axes in figure.axes) == 9


@pytest.mark.parametrize(
    ("outputs", "lines", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 3), (6, 2, 3), (7, 3, 3), (12, 3, 3)]
)
def test_every_output_has_a_panel_up_to_nine(outputs: int, lines: int, columns: int) -> None:
    y = np.arange(2.0 * outputs).reshape(2, outputs)
    figure = predicted_against_true(y, y + 1)
    assert len(figure.axes) == lines * columns
    assert figure.axes[-1].get_subplotspec().get_gridspec().get_geometry() == (lines, columns)  # type: ignore[union-attr]
    shown = min(outputs, 9)
    assert [axes.get_visible() for axes in figure.axes] == [k < shown for k in range(lines * columns)]
    for k, axes in enumerate(figure.axes[:shown]):
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[k, k + 1], [outputs + k, outputs + k + 1]])
        assert size_in_inches(axes) == (3.2, 3.2)
        assert axes.get_aspect() == 1  # the line of perfect predictions rises by 45°
        assert not axes.spines["top"].get_visible()
        assert not axes.spines["right"].get_visible()
    assert outputs > 1 or title_is_above(figure.axes[0])
    assert gaps_in_inches(figure) == (0.6 if columns > 1 else 0, 0.6 if lines > 1 else 0)
    assert {"true", "predicted", "corr 1.000, MAE 1.000 of 2 samples"} <= set(texts(figure))


def test_the_line_of_perfect_predictions_leaves_out_what_is_no_number() -> None:
    targets, predictions = np.array([[1.0], [2.0], [3.0]]), np.array([[np.nan], [np.inf], [-5.0]])
    [axes] = predicted_against_true(targets, predictions).axes
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[-5.0, -5.0], [3.0, 3.0]])


def test_a_constant_correlates_with_nothing() -> None:
    varied, constant = np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]])
    for targets, predictions in ((varied, constant), (constant, varied)):
        [axes] = predicted_against_true(targets, predictions).axes
        assert axes.get_title(loc="left") == "MAE 1.000 of 2 samples"
    [axes] = predicted_against_true(varied, -varied).axes
    assert axes.get_title(loc="left") == "corr -1.000, MAE 4.000 of 2 samples"
