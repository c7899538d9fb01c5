"""The records of our own baselines: tables are those of the runs, and a network and its twin were trained alike."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from membrane.cli.report import report_rows
from membrane.report.formats import rows_as_json, rows_as_markdown

ROOT = Path(__file__).parents[2]
SETS = sorted(path.relative_to(ROOT) for path in (ROOT / "records" / "baselines").iterdir())
PAIRS = sorted(path for each in SETS for path in (ROOT / each).glob("*_lif"))


@cache
def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def results(cell: Path) -> dict[int, dict[str, Any]]:
    """Return the results of a network by seed."""
    return {read(path)["seed"]: read(path) for path in sorted(cell.glob("seed*/result.json"))}


def twin(cell: Path) -> Path:
    return cell.with_name(cell.name.replace("_lif", "_relu"))


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
def test_a_sets_tables_are_those_of_its_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rows, unread = report_rows([folder], {"neuron": "relu"}, evaluations=False)
    assert unread == []
    assert (ROOT / folder / "report.md").read_text() == rows_as_markdown(rows)
    assert (ROOT / folder / "report.json").read_text() == rows_as_json(rows)


@pytest.mark.parametrize("cell", PAIRS, ids=lambda cell: f"{cell.parent.name}-{cell.name}")
def test_a_pairs_difference_is_that_of_its_accuracies(cell: Path) -> None:
    rows = json.loads((cell.parent / "report.json").read_text())
    row = next(row for row in rows if Path(row["folders"][0]).parent.name == cell.name)
    ours, others = results(cell), results(twin(cell))
    shared = sorted(ours.keys() & others.keys())
    assert shared == row["seeds"]
    differences = [ours[seed]["metrics"]["test/acc"] - others[seed]["metrics"]["test/acc"] for seed in shared]
    assert row["difference"]["mean"] == pytest.approx(mean(differences), abs=1e-6)


@pytest.mark.parametrize("cell", PAIRS, ids=lambda cell: f"{cell.parent.name}-{cell.name}")
def test_a_pair_was_trained_alike(cell: Path) -> None:
    for seed, ours in results(cell).items():
        theirs = results(twin(cell))[seed]
        assert (ours["is_snn"], theirs["is_snn"]) == (True, False)
        assert all(ours[key] == theirs[key] for key in ("parameters", "split_hash", "epochs", "protocol", "framework"))
        one, other = (read(folder / f"seed{seed}" / "provenance.json") for folder in (cell, twin(cell)))
        assert all(one[key] == other[key] for key in ("code_digest", "data_hash", "versions", "threads", "processor"))


def test_the_page_has_the_table_of_the_records() -> None:
    command = [sys.executable, ROOT / "scripts" / "baselines_table.py"]
    table = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert table.count("\n") == len(PAIRS) + 3  # its head, and the study of Fashion-MNIST
    assert table in (ROOT / "docs" / "reproducing.md").read_text()
