"""The scores of each class against scikit-learn's report, in the file and in the table."""

import csv

import numpy as np
import pytest
from sklearn.metrics import classification_report
from tables import cells, text

from membrane.report.per_class import ClassScores, as_csv, class_table, scores_by_class, scores_of_outputs


@pytest.mark.parametrize("classes", [2, 5, 30])
def test_the_scores_of_each_class_are_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels, predictions = rng.integers(0, classes, 200), rng.integers(0, classes, 200)
    labels[labels == 1] = 0  # a class without samples
    predictions[predictions == 0] = classes - 1  # one that is never predicted
    names = [f"class {k}" for k in range(classes)]
    expected = classification_report(
        labels, predictions, labels=range(classes), target_names=names, output_dict=True, zero_division=0
    )
    scores = scores_by_class(labels, predictions, names)
    assert [each.name for each in scores] == names
    for each in scores:
        found = {"precision": each.precision, "recall": each.recall, "f1-score": each.f1, "support": each.support}
        assert found == pytest.approx(expected[each.name])
    numbered = scores_by_class(labels, predictions, classes)
    assert [each.name for each in numbered] == [str(k) for k in range(classes)]
    assert [each.f1 for each in numbered] == [each.f1 for each in scores]


def test_the_file_holds_what_a_table_program_reads() -> None:
    outputs = {"label": np.array([0, 0, 1]), "output": np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])}
    lines = as_csv(scores_of_outputs(outputs)).splitlines()
    assert lines == ["class,precision,recall,f1,support", "0,1,0.5,0.6666666667,2", "1,0.5,1,0.6666666667,1"]
    named = as_csv(scores_of_outputs({**outputs, "classes": np.array(["T-shirt, top", "Trouser"])}))
    assert [row[0] for row in csv.reader(named.splitlines())] == ["class", "T-shirt, top", "Trouser"]


def test_the_table_shows_percent_and_of_many_classes_the_worst() -> None:
    few = class_table([ClassScores("[b]cat", 0.5, 0.25, 1 / 3, 8), ClassScores("dog", 1.0, 0.0, 0.0, 3)])
    assert cells(few)["class"] == ["precision", "recall", "f1", "support"]
    assert cells(few)["[b]cat"] == ["50.00 %", "25.00 %", "33.33 %", "8"]
    assert cells(few)["dog"] == ["100.00 %", "0.00 %", "0.00 %", "3"]
    many = class_table([ClassScores(f"class{k}", 0.5, 0.5, (7 * k % 25) / 25, 1) for k in range(25)])
    worst = {f"class{k}" for k in range(25) if 7 * k % 25 < 20}
    assert set(cells(many)) & {f"class{k}" for k in range(25)} == worst
    assert "the 20 of 25 classes with the lowest F1" in text(many)
