"""Panels of a given size, labels at given distances, and a PNG without its white margins."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from membrane.report.panels import content_slice, label_all, panels, place_labels, width_of, write_png


def test_panels_have_their_size_and_distances_in_inches() -> None:
    figure, grid = panels(3.0, 2.0, lines=2, columns=3, across=0.5, down=0.25, margin=0.75)
    assert grid.shape == (2, 3)
    assert figure.get_size_inches() == pytest.approx([3 * 3.0 + 2 * 0.5 + 2 * 1.75, 2 * 2.0 + 0.25 + 2 * 1.75])
    for line in range(2):
        for column in range(3):
            left, right = 1.75 + column * 3.5, 1.75 + column * 3.5 + 3.0
            top = 7.75 - 1.75 - line * 2.25
            box = grid[line, column].get_position()
            corners = np.array([[left, top - 2.0], [right, top]]) / figure.get_size_inches()
            assert np.array([[box.x0, box.y0], [box.x1, box.y1]]) == pytest.approx(corners)


def test_one_panel_has_an_inch_around_it() -> None:
    figure, [[axes]] = panels(3.0, 2.0)
    assert figure.get_size_inches() == pytest.approx([5.0, 4.0])
    assert axes.get_position().bounds == pytest.approx((0.2, 0.25, 0.6, 0.5))
    assert figure.dpi == 150
    two, _ = panels(3.0, 2.0, lines=2, columns=2)
    assert two.get_size_inches() == pytest.approx([2 * 3.0 + 1.1 + 2, 2 * 2.0 + 0.35 + 2])


def test_labels_stand_at_a_distance_in_inches_from_their_panel() -> None:
    figure, [[axes]] = panels(3.0, 2.0)
    place_labels(axes, under=0.5, beside=0.25)
    axes.set(xlabel="x", ylabel="y")
    figure.draw_without_rendering()
    under = axes.xaxis.label.get_transform().transform(axes.xaxis.label.get_position()) / 150
    beside = axes.yaxis.label.get_transform().transform(axes.yaxis.label.get_position()) / 150
    assert under == pytest.approx([1.0 + 1.5, 1.0 - 0.5])  # an inch of margin, then the panel's middle
    assert beside == pytest.approx([1.0 - 0.25, 1.0 + 1.0])


def test_a_name_is_at_most_an_em_a_letter_wide() -> None:
    assert width_of(["a", "abcd", "ab"]) == pytest.approx(4 * 9.5 / 72)
    assert width_of(iter(["a"])) == pytest.approx(9.5 / 72)


def test_labels_of_all_panels_stand_in_their_middle() -> None:
    figure, grid = panels(3.0, 2.0, lines=2, columns=2, across=1.0, down=0.5)
    label_all(figure, grid, "time", "neuron")
    under, beside = figure.texts
    width, height = figure.get_size_inches()
    assert (under.get_text(), beside.get_text()) == ("time", "neuron")
    assert np.array(under.get_position()) * [width, height] == pytest.approx([1 + 3.5, 1 - 0.32])
    assert np.array(beside.get_position()) * [width, height] == pytest.approx([1 - 0.55, 1 + 2.25])
    assert beside.get_rotation() == 90


@pytest.mark.parametrize("corner", [(0, 0), (20, 30), (3, 60)])
def test_a_picture_keeps_six_white_pixels_around_its_content(corner: tuple[int, int], tmp_path: Path) -> None:
    figure = Figure(figsize=(1, 1), dpi=100)
    drawn = np.full((100, 100, 4), 255, dtype=np.uint8)
    top, left = corner
    drawn[top : top + 10, left : left + 25] = 0, 0, 0, 255
    figure.figimage(drawn, origin="upper")
    write_png(figure, tmp_path / "a.png")
    seen = matplotlib.image.imread(tmp_path / "a.png")
    above, before = min(top, 6), min(left, 6)
    assert seen.shape == (above + 10 + 6, before + 25 + 6, 3)
    expected = np.ones_like(seen)
    expected[above : above + 10, before : before + 25] = 0
    np.testing.assert_array_equal(seen, expected)


def test_a_white_picture_is_written_whole(tmp_path: Path) -> None:
    write_png(Figure(figsize=(0.4, 0.2), dpi=100), tmp_path / "a.png")
    assert matplotlib.image.imread(tmp_path / "a.png").shape == (20, 40, 3)


def test_the_slice_of_what_has_ink() -> None:
    assert content_slice(np.array([10, 11, 40])) == slice(4, 47)
    assert content_slice(np.array([6])) == slice(0, 13)
    assert content_slice(np.array([2, 3])) == slice(0, 10)
    assert content_slice(np.array([], dtype=int)) == slice(None)
