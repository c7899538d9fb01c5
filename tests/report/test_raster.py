"""The figure of spikes: what is black, how many neurons are shown, and where panels stand."""

from typing import Any

import numpy as np
import pytest
from drawing import gaps_in_inches, size_in_inches, texts, title_is_above

from membrane.report.raster import DOT, evenly_spaced, raster


def dots(axes: Any) -> dict[tuple[float, float], float]:
    """Return the size of output, as a share of the largest, of each dot by its (timestep, row)."""
    [drawn] = axes.collections
    return {(float(x), float(y)): float(c) for (x, y), c in zip(drawn.get_offsets(), drawn.get_array(), strict=True)}


def test_a_raster_shows_each_layer_over_time() -> None:
    spikes = {"first": np.array([[0, 1, 0], [0, 0, 2]]), "second": np.zeros((2, 2))}
    figure = raster(spikes)
    first, second = figure.axes
    assert dots(first) == {(0, 1): 0.5, (1, 2): 1.0}  # neurons upwards, time to the right
    assert dots(second) == {}
    assert {"first", "3 neurons, 33.3 % non-zero", "second", "2 neurons, 0.0 % non-zero"} <= set(texts(figure))


def test_a_large_layer_shows_200_neurons_and_says_so() -> None:
    spikes = np.zeros((5, 1000))
    spikes[:, [0, 999]] = 1
    figure = raster({"large": spikes})
    assert dots(figure.axes[0]) == {(t, row): 1.0 for t in range(5) for row in (0, 199)}
    assert "200 of 1,000 neurons, 0.2 % non-zero" in texts(figure)
    assert "neuron (at most 200 of a layer, evenly chosen)" in texts(figure)


@pytest.mark.parametrize(("layers", "lines", "columns"), [(1, 1, 1), (6, 6, 1), (7, 4, 2), (13, 5, 3), (20, 7, 3)])
def test_every_layer_has_a_panel_and_the_lowest_ones_the_timesteps(layers: int, lines: int, columns: int) -> None:
    figure = raster({f"layer{k}": np.eye(4) for k in range(layers)})
    panels = figure.axes
    assert len(panels) == lines * columns
    ordered = np.array(panels, dtype=object).reshape(lines, columns).T.ravel()  # downwards first
    assert [axes.get_title(loc="left") for axes in ordered[:layers]] == [f"layer{k}" for k in range(layers)]
    assert [axes.get_visible() for axes in ordered] == [True] * layers + [False] * (lines * columns - layers)
    shown = [axes.xaxis.get_tick_params()["labelbottom"] for axes in ordered[:layers]]
    assert shown == [(k + 1) % lines == 0 or k + 1 == layers for k in range(layers)]
    assert size_in_inches(panels[0]) == (6.5 if columns == 1 else 3.7, 1.45)
    assert gaps_in_inches(figure) == (0.7 if columns > 1 else 0, 0.35 if lines > 1 else 0)
    assert layers > 1 or title_is_above(panels[0])


def test_only_where_neurons_are_left_out_the_label_says_so() -> None:
    assert "neuron" in texts(raster({"a": np.zeros((2, 200))}))
    capped = texts(raster({"a": np.zeros((2, 3)), "b": np.zeros((2, 201))}))
    assert "neuron (at most 200 of a layer, evenly chosen)" in capped
    assert "200 of 201 neurons, 0.0 % non-zero" in capped


def test_dots_lie_at_whole_timesteps_and_shrink_as_they_become_more() -> None:
    diameters = []
    for timesteps in (2, 400, 4000):
        [axes] = raster({"a": np.ones((timesteps, 3))}).axes
        assert set(dots(axes)) == {(t, row) for t in range(timesteps) for row in range(3)}
        assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, timesteps - 0.5), (-0.5, 2.5))
        diameters.append(axes.collections[0].get_sizes()[0] ** 0.5)
    assert diameters == pytest.approx([DOT[1], 0.8 * 6.5 * 72 / 400, DOT[0]])


def test_neurons_are_numbered_as_in_the_layer() -> None:
    values = np.zeros((3, 4001))
    [axes] = raster({"a": values}).axes
    assert axes.get_yticks().tolist() == [0, 100, 199]  # 99.5 is rounded to the even number
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "2,010", "4,000"]


def test_negative_outputs_are_as_black_as_positive_ones() -> None:
    [axes] = raster({"a": np.array([[-4.0, 1.0], [2.0, 0.0]])}).axes
    assert dots(axes) == {(0, 0): 1.0, (0, 1): 0.25, (1, 0): 0.5}
    grey = axes.collections[0].to_rgba([0.0, 1.0])[:, 0]
    assert 0.5 < grey[0] < 0.9
    assert grey[1] == 0
    assert axes.get_title(loc="right") == "2 neurons, 75.0 % non-zero"
    [axes] = raster({"one": np.ones((1, 1))}).axes
    assert axes.get_title(loc="right") == "1 neurons, 100.0 % non-zero"


def test_indices_are_evenly_spaced_with_both_ends() -> None:
    assert evenly_spaced(5, 9) == evenly_spaced(5, 5) == [0, 1, 2, 3, 4]
    assert evenly_spaced(9, 3) == [0, 4, 8]
    assert evenly_spaced(101, 5) == [0, 25, 50, 75, 100]
    assert evenly_spaced(1, 3) == [0]
