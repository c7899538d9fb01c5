"""Predictions for files as a table, CSV and JSON. Without torch."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from membrane.errors import printable_text
from membrane.report.formats import csv_text


@dataclass(frozen=True)
class Prediction:
    """A run's answer for a sample of a file.

    Arguments:
        file: its path, as it was typed.
        sample: number of the sample in the file, from 0.
        values: probabilities of classes, or targets, after 1 to T timesteps [T][K], or after all of them [1][K].
        classified: whether they are probabilities.
        classes: names of the classes, None if they have none.
    """

    file: str
    sample: int
    values: list[list[float]]
    classified: bool
    classes: Sequence[str] | None = None

    def answer(self, steps: int) -> dict[str, Any]:
        """Return the answer after so many timesteps, by column: label, class and confidence, or the targets."""
        values = self.values[steps - 1]
        if not self.classified:
            return {f"target {number}": value for number, value in enumerate(values)}
        label = max(range(len(values)), key=values.__getitem__)
        named = {} if self.classes is None else {"class": self.classes[label]}
        return {"label": label, **named, "confidence": values[label]}

    def rows(self, timesteps: bool) -> list[dict[str, Any]]:
        """Return the answer, or one after each number of timesteps, by column."""
        last = len(self.values)
        whole = {"file": self.file, "sample": self.sample}
        if not timesteps:
            return [{**whole, **self.answer(last)}]
        return [{**whole, "timesteps": steps, **self.answer(steps)} for steps in range(1, last + 1)]

    def content(self, timesteps: bool) -> dict[str, Any]:
        """Return the answer as JSON has it: with the probability of each class, and what came before."""
        content = {"file": self.file, "sample": self.sample, **self.answer(len(self.values))}
        if self.classified:
            content["probabilities"] = self.values[-1]
        if timesteps:
            content["timesteps"] = [self.answer(steps) for steps in range(1, len(self.values) + 1)]
        return content


def ensemble_line(runs: Sequence[str]) -> str:
    """Return that several runs answer together, or nothing of one."""
    return f"ensemble of {len(runs)} runs, the mean of what each predicts: {', '.join(runs)}" if len(runs) > 1 else ""


def predictions_as_table(predictions: Sequence[Prediction], runs: Sequence[str], timesteps: bool) -> Table:
    """Build a table for a terminal, without the numbers of samples where each file is one."""
    rows = [row for prediction in predictions for row in prediction.rows(timesteps)]
    several = any(prediction.sample for prediction in predictions)
    title = Text(printable_text(ensemble_line(runs))) if len(runs) > 1 else None
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    columns = [name for name in dict.fromkeys(key for row in rows for key in row) if several or name != "sample"]
    for name in columns:
        text = name in ("file", "class")
        table.add_column(name, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    for row in rows:
        table.add_row(*(Text(cell_text(name, row.get(name, ""))) for name in columns))
    return table


def cell_text(name: str, value: Any) -> str:
    """Return a cell's text: a confidence in percent, other fractions with four digits."""
    if isinstance(value, float):
        return f"{100 * value:.2f} %" if name == "confidence" else f"{value:.4g}"
    return printable_text(str(value))


def predictions_as_csv(predictions: Sequence[Prediction], runs: Sequence[str], timesteps: bool) -> str:
    """Return a row for each answer; ``runs`` counts those that an ensemble is of."""
    rows = [{"runs": len(runs), **row} for prediction in predictions for row in prediction.rows(timesteps)]
    text = io.StringIO()
    writer = csv.writer(text)
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["runs", "file", "sample"]
    writer.writerow(columns)
    for row in rows:
        writer.writerow([csv_text(value) if isinstance(value, str) else value for value in map(row.get, columns)])
    return text.getvalue()


def predictions_as_json(
    predictions: Sequence[Prediction], runs: Sequence[str], timesteps: bool, unread: Sequence[str] = ()
) -> str:
    """Return an object of the runs, whether they are an ensemble, the predictions, and lines on files not read."""
    classes = next((list(each.classes) for each in predictions if each.classes), None)
    content = {
        "runs": list(runs),
        "ensemble": len(runs) > 1,
        "classes": classes,
        "predictions": [prediction.content(timesteps) for prediction in predictions],
        "unread": list(unread),
    }
    return json.dumps(content, indent=2) + "\n"
