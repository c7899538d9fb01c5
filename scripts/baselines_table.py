#!/usr/bin/env python
"""Print the table of docs/reproducing.md on our own baselines and their twins, from their records."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
RECORDS = Path(__file__).parents[1] / "records"
HEAD = """\
| test accuracy, % | framework | SNN | n | ANN twin | n | difference in points | verdict |
|---|---|--:|--:|--:|--:|--:|---|"""


def accuracy(row: Row) -> str:
    """Return the cells of a row's accuracy: mean ± deviation over seeds, and the number of seeds."""
    score = row["metrics"]["test/acc"]
    spread = "" if score["std"] is None else f" ± {100 * score['std']:.2f}"
    return f"{100 * score['mean']:.2f}{spread} | {row['n']}"


def difference(row: Row) -> str:
    """Return the cells of a row's paired difference: mean, interval, verdict."""
    paired = row["difference"]
    low, high = (100 * end for end in paired["ci95"])
    return f"{100 * paired['mean']:+.2f} [{low:.2f}, {high:.2f}] | {paired['verdict']}"


def line(name: str, framework: str, snn: Row, ann: Row) -> str:
    """Return the line of a set under a framework."""
    return f"| {' | '.join([f'`{name}`', framework, accuracy(snn), accuracy(ann), difference(snn)])} |"


def read_rows(report: Path) -> list[Row]:
    """Return the rows of a report in JSON."""
    rows: list[Row] = json.loads(report.read_text(encoding="utf-8"))
    return rows


def baseline_lines(folder: Path) -> list[str]:
    """Return a line for each framework of a set's report; the rows' folders are called <framework>_<neuron>."""
    rows = {Path(row["folders"][0]).parent.name: row for row in read_rows(folder / "report.json")}
    frameworks = [name.removesuffix("_relu") for name in rows if name.endswith("_relu")]
    frameworks.sort(key=lambda name: ("tid" in name, "single" in name))
    return [line(folder.name, each, rows[f"{each}_lif"], rows[f"{each}_relu"]) for each in frameworks]


def table() -> str:
    """Return the table of all sets that are recorded, and of the study of Fashion-MNIST."""
    lines = [each for folder in sorted((RECORDS / "baselines").iterdir()) for each in baseline_lines(folder)]
    study = {row["settings"]["neuron"]: row for row in read_rows(RECORDS / "study" / "table.json")}
    return "\n".join([HEAD, *lines, line("fashion_mnist_small", "multistep", study["lif"], study["relu"])])


if __name__ == "__main__":
    print(table())
