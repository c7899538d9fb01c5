"""The confusion matrix: its counts are scikit-learn's, and names and confusions stand where they should."""

import numpy as np
import pytest
from drawing import size_in_inches, texts, title_is_above
from sklearn import metrics

from membrane.report.confusion import confusion_matrix, frequent_confusions

SHARES = ["0 %", "1 %", "5 %", "10 %", "25 %", "50 %", "100 %"]


@pytest.mark.parametrize("classes", [2, 10, 20, 100])
def test_the_confusion_matrix_is_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels, predictions = rng.integers(0, classes, 400), rng.integers(0, classes, 400)
    labels[labels == 1] = 0  # a class without samples
    figure = confusion_matrix(labels, predictions, classes)
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
    shown = texts(confusion_matrix(labels, predictions, 30))
    assert any(text.endswith("most often confused: 0 as 7 (3 of 5), 2 as 3 (2 of 5)") for text in shown)


def test_class_names_stand_at_the_cells() -> None:
    figure = confusion_matrix(np.array([0, 1]), np.array([1, 1]), ["walking", "sitting"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["walking", "sitting"]


def test_a_row_is_the_share_of_a_class_on_a_scale_that_shows_small_ones_if_there_are_many() -> None:
    for classes, gamma in ((20, 1), (21, 0.5)):
        some = np.arange(classes)
        [image] = confusion_matrix(some, some, classes).axes[0].images
        assert (image.norm.gamma, image.norm.vmin, image.norm.vmax) == (gamma, 0, 1)  # type: ignore[attr-defined]


def test_counts_are_readable_on_their_colour() -> None:
    labels = np.array([0] * 100 + [1] * 100)
    predictions = np.array([0] * 56 + [1] * 44 + [0] * 45 + [1] * 55)
    axes = confusion_matrix(labels, predictions, 2).axes[0]
    assert {text.get_text(): text.get_color() for text in axes.texts} == {
        "56": "white",
        "44": "black",
        "45": "black",
        "55": "black",  # white begins above 55 %
    }


@pytest.mark.parametrize(
    ("classes", "side"),
    [(2, 3.5), (4, 3.5), (5, 1.9 + 5 * 0.36), (10, 5.5), (13, 1.9 + 13 * 0.36), (20, 6.8), (21, 5.5)],
)
def test_the_panel_grows_with_the_classes_whose_counts_are_written(classes: int, side: float) -> None:
    some = np.arange(classes)
    assert size_in_inches(confusion_matrix(some, some, classes).axes[0]) == pytest.approx((side, side))


def test_cells_are_told_apart_while_they_have_counts() -> None:
    some = np.arange(3)
    across, down = confusion_matrix(some, some, 3).axes[0].collections
    assert [segment.tolist() for segment in across.get_segments()] == [[[-0.5, y], [2.5, y]] for y in (0.5, 1.5)]
    assert [segment.tolist() for segment in down.get_segments()] == [[[x, -0.5], [x, 2.5]] for x in (0.5, 1.5)]
    some = np.arange(21)
    axes = confusion_matrix(some, some, 21).axes[0]
    assert not axes.collections
    assert axes.spines["top"].get_visible()


def test_a_scale_stands_beside_many_classes() -> None:
    some = np.arange(21)
    figure = confusion_matrix(some, some, 21)
    [axes], [scale] = figure.axes, figure.axes[0].child_axes
    figure.draw_without_rendering()
    assert [label.get_text() for label in scale.get_yticklabels()] == [
        f"{share} %" for share in (0, 1, 5, 10, 25, 50, 100)
    ]
    panel, beside = axes.get_window_extent(), scale.get_window_extent()
    assert (beside.x0 - panel.x0) / panel.width == pytest.approx(1.05)
    assert beside.width / panel.width == pytest.approx(0.04)
    assert (beside.y0 + beside.y1) / 2 == pytest.approx((panel.y0 + panel.y1) / 2)
    assert title_is_above(axes)


@pytest.mark.parametrize("name", ["abc", "a long name"])
def test_labels_stand_clear_of_the_names(name: str) -> None:
    some = np.arange(4)
    figure = confusion_matrix(some, some, [name] * 4)
    [axes] = figure.axes
    figure.draw_without_rendering()
    under, beside = axes.xaxis.label.get_window_extent(), axes.yaxis.label.get_window_extent()
    assert all(under.y1 <= each.get_window_extent().y0 for each in axes.get_xticklabels())
    assert all(beside.x1 <= each.get_window_extent().x0 for each in axes.get_yticklabels())
    assert title_is_above(axes)


def test_counts_of_more_than_ten_classes_are_smaller() -> None:
    sizes = []
    for classes in (10, 11, 20):
        some = np.arange(classes)
        sizes.append({text.get_fontsize() for text in confusion_matrix(some, some, classes).axes[0].texts})
    assert sizes == [{9.5}, {7}, {7}]


def test_long_names_are_slanted_and_every_tenth_is_written_of_many() -> None:
    some = np.arange(25)
    for length, rotation in ((3, 0), (4, 45)):
        names = [f"{k:0{length}d}" for k in some]
        axes = confusion_matrix(some, some, names).axes[0]
        assert axes.get_xticks().tolist() == axes.get_yticks().tolist() == [0, 10, 20]
        assert [label.get_text() for label in axes.get_xticklabels()] == [names[0], names[10], names[20]]
        assert {label.get_rotation() for label in axes.get_xticklabels()} == {rotation}
        assert (axes.get_xlabel().splitlines()[0], axes.get_ylabel()) == ("predicted class", "true class")


def test_the_four_most_frequent_confusions_are_listed() -> None:
    counts = np.array([[9, 1, 5], [4, 9, 2], [3, 5, 9]])
    listed = frequent_confusions(counts, "012").replace("\n", " ")
    assert listed == "most often confused: 0 as 2 (5 of 15), 2 as 1 (5 of 17), 1 as 0 (4 of 15), 2 as 0 (3 of 17)"
    assert frequent_confusions(counts, ["a", "b", "c"], most=1) == "most often confused: a as c (5 of 15)"
    assert frequent_confusions(np.diag([3, 4]), "01") == ""
    assert frequent_confusions(np.array([[3, 1], [0, 4]]), "01") == "most often confused: 0 as 1 (1 of 4)"


def test_lines_of_confusions_break_between_pairs() -> None:
    counts = np.array([[0, 5], [4, 0]])
    lines = frequent_confusions(counts, ["a cat that sleeps", "a dog that barks at it"]).splitlines()
    assert lines == [
        "most often confused: a cat that sleeps as a dog that barks at it (5 of 5),",
        "a dog that barks at it as a cat that sleeps (4 of 4)",
    ]
