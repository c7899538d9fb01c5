"""The figure of spikes: what is black, how many neurons are shown, and where panels stand."""

import numpy as np
import pytest
from drawing import gaps_in_inches, size_in_inches, texts, title_is_above

from membrane.report.raster import evenly_spaced, raster


def test_a_raster_shows_each_layer_over_time() -> None:
    spikes = {"first": np.array([[0, 1, 0], [0, 0, 2]]), "second": np.zeros((2, 2))}
    figure = raster(spikes)
    first, second = figure.axes
    assert np.allclose(first.images[0].get_array(), [[0, 0], [0.5, 0], [0, 1]])  # neurons upwards, time to the right
    assert np.allclose(second.images[0].get_array(), 0)
    assert {"first", "3 neurons, 33.3 % non-zero", "second", "2 neurons, 0.0 % non-zero"} <= set(texts(figure))


def test_a_large_layer_shows_200_neurons_and_says_so() -> None:
    spikes = np.zeros((5, 1000))
    spikes[:, [0, 999]] = 1
    figure = raster({"large": spikes})
    drawn = figure.axes[0].images[0].get_array()
    assert drawn is not None
    assert drawn.shape == (200, 5)
    assert drawn[0].all()
    assert drawn[-1].all()
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


def test_dots_lie_at_whole_timesteps_and_are_told_apart_while_there_are_few() -> None:
    for timesteps in (2, 32, 33, 800, 801):
        [axes] = raster({"a": np.ones((timesteps, 3))}).axes
        [image] = axes.images
        assert image.get_extent() == [-0.5, timesteps - 0.5, -0.5, 2.5]
        assert image.get_interpolation() == ("nearest" if timesteps <= 800 else "antialiased")
        assert len(axes.collections) == (timesteps <= 32)
        if axes.collections:
            segments = np.array(axes.collections[0].get_segments())
            assert segments[:, 0].tolist() == [[t - 0.5, -0.5] for t in range(1, timesteps)]
            assert segments[:, 1].tolist() == [[t - 0.5, 2.5] for t in range(1, timesteps)]


def test_neurons_are_numbered_as_in_the_layer() -> None:
    values = np.zeros((3, 4001))
    [axes] = raster({"a": values}).axes
    assert axes.get_yticks().tolist() == [0, 100, 199]  # 99.5 is rounded to the even number
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "2,010", "4,000"]


def test_negative_outputs_are_as_black_as_positive_ones() -> None:
    [axes] = raster({"a": np.array([[-4.0, 1.0], [2.0, 0.0]])}).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[1.0, 0.5], [0.25, 0.0]])
    assert axes.images[0].get_clim() == (0, 1)
    assert axes.get_title(loc="right") == "2 neurons, 75.0 % non-zero"
    [axes] = raster({"one": np.ones((1, 1))}).axes
    assert axes.get_title(loc="right") == "1 neurons, 100.0 % non-zero"


def test_indices_are_evenly_spaced_with_both_ends() -> None:
    assert evenly_spaced(5, 9) == evenly_spaced(5, 5) == [0, 1, 2, 3, 4]
    assert evenly_spaced(9, 3) == [0, 4, 8]
    assert evenly_spaced(101, 5) == [0, 25, 50, 75, 100]
    assert evenly_spaced(1, 3) == [0]
