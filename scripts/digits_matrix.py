"""Writes digits_matrix.jsonl and the table in digits_matrix.md: ``python scripts/digits_matrix.py RUNS OUT``.

RUNS is the folder of records_models.sh, with a folder for each row; what stands around the table stays as it is.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

MODELS = ("smlp", "scnn", "sresnet", "sresnet_stride")
FRAMEWORKS = ("singlestep", "multistep", "singlestep_tid", "multistep_tid")
SHARED = ("model", "framework", "seed", "protocol", "epochs", "threads", "name", "logger", "paths.runs")
"""Settings that all rows have, or that stand in a column of their own."""


def runs_of(row: Path) -> list[tuple[dict[str, Any], str]]:
    """Return (result, the row's own settings) of each seed in a row's folder, in the order of seeds."""
    runs = []
    for path in row.glob("*/*/seed*/result.json"):
        command = json.loads((path.parent / "provenance.json").read_text(encoding="utf-8"))["command"]
        overrides = [word for word in command[1:] if "=" in word and word.split("=")[0] not in SHARED]
        runs.append((json.loads(path.read_text(encoding="utf-8")), " ".join(overrides)))
    return sorted(runs, key=lambda run: run[0]["seed"])


def line_of(runs: list[tuple[dict[str, Any], str]]) -> str:
    """Return a row of the table: mean accuracy and seconds are over the seeds."""
    results, [settings] = [result for result, _ in runs], {settings for _, settings in runs}
    accuracies = [result["metrics"]["test/acc"] for result in results]
    seconds = sum(result["fit_seconds"] for result in results) / len(results)
    cells = [
        results[0]["model"],
        results[0]["framework"],
        ", ".join(f"{accuracy:.3f}" for accuracy in accuracies),
        f"{sum(accuracies) / len(accuracies):.3f}",
        f"{results[0]['parameters']:,}",
        f"{seconds:.0f}",
        f"`{settings}`" if settings else "none",
    ]
    return f"| {' | '.join(cells)} |"


def main(runs: Path, out: Path) -> None:
    """Write both files from the rows that there are. Ends with a line if there is none."""
    folders = [runs / f"{model}_{framework}" for model in MODELS for framework in FRAMEWORKS]
    rows = [row for row in map(runs_of, folders) if row]
    if not rows:
        raise SystemExit(f"{runs}: no finished run of the matrix lies there; nothing was written")
    lines = [f"{json.dumps(result)}\n" for row in rows for result, _ in row]
    (out / "digits_matrix.jsonl").write_text("".join(lines), encoding="utf-8")
    page = (out / "digits_matrix.md").read_text(encoding="utf-8").splitlines()
    table = [number for number, line in enumerate(page) if line.startswith("|")]
    head, rest = page[: table[0] + 2], page[table[-1] + 1 :]
    (out / "digits_matrix.md").write_text("\n".join([*head, *map(line_of, rows), *rest]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("runs", metavar="RUNS", type=Path)
    parser.add_argument("out", metavar="OUT", type=Path)
    paths = parser.parse_args()
    main(paths.runs, paths.out)
