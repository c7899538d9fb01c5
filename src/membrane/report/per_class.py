"""Precision, recall and F1 of each class, as a file and as a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from membrane.errors import printable_text
from membrane.report.confusion import MOST_WRITTEN, class_names, confusion_counts
from membrane.scores import score_text


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class in [0,1], and ``support``, its number of samples; 0/0 is 0, as in the macro averages."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def scores_by_class(labels: np.ndarray, predictions: np.ndarray, classes: int | Sequence[str]) -> list[ClassScores]:
    """Score labels and predictions [n] by class, in the order of the classes."""
    names = class_names(classes)
    counts = confusion_counts(labels, predictions, len(names))
    right, support, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    whole = (predicted, support, (support + predicted) / 2)
    shares = [right / np.where(each > 0, each, 1) for each in whole]
    columns = [each.tolist() for each in (*shares, support)]
    return [ClassScores(*row) for row in zip(names, *columns, strict=True)]


def scores_of_outputs(outputs: Mapping[str, np.ndarray]) -> list[ClassScores]:
    """Score by class what outputs/test.npz holds: label [n], output [n,K], and the classes' names if they have any."""
    names = outputs["classes"].tolist() if "classes" in outputs else outputs["output"].shape[1]
    return scores_by_class(outputs["label"], outputs["output"].argmax(1), names)


def as_csv(scores: Sequence[ClassScores]) -> str:
    """Return the content of per_class.csv: a row for each class, under ``class,precision,recall,f1,support``."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class", *(field.name for field in fields(ClassScores)[1:])])
    for each in scores:
        name, *values = astuple(each)
        writer.writerow([name, *(f"{value:.10g}" for value in values)])
    return text.getvalue()


def class_table(scores: Sequence[ClassScores]) -> Table:
    """Build a table with a row for each class, its scores in percent; of many classes those of the lowest F1."""
    few = len(scores) <= MOST_WRITTEN
    title = None if few else f"the {MOST_WRITTEN} of {len(scores)} classes with the lowest F1"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", overflow="fold")
    for field in fields(ClassScores)[1:]:
        table.add_column(field.name, justify="right", no_wrap=True)
    for each in scores if few else sorted(scores, key=lambda each: each.f1)[:MOST_WRITTEN]:
        shares = (score_text(name, getattr(each, name)) for name in ("precision", "recall", "f1"))
        table.add_row(Text(printable_text(each.name)), *shares, str(each.support))
    return table
