"""A record's table and figure, and the tables that pages hold, written anew from what is committed."""

import json
import re
from pathlib import Path

import pytest
from paper_rows import result, row

from membrane.errors import ConfigError
from membrane.papers.entry import read_entry
from membrane.papers.registry import paper_rows
from membrane.report.claims import HELD, with_tables
from membrane.report.record_pages import record_figure, record_table, write_record_pages

ROOT = Path(__file__).parents[2]
UNREAD: list[str] = []
ENTRIES = [read_entry(ROOT / "records", row, UNREAD) for row in paper_rows(ROOT / "conf" / "experiment")]
RECORDED = [entry for entry in ENTRIES if entry.results]
COUNTS = ("none", "one", "two", "three", "four", "five")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def write_seed(folder: Path, accuracies: list[float], column: str, threads: int = 1) -> None:
    folder.mkdir(parents=True)
    scores = result(test__acc=0.5, test__acc_best_oracle=max(accuracies))
    (folder / "result.json").write_text(
        json.dumps(scores | {"seed": int(folder.name[4:]), "fingerprint": folder.parent.name})
    )
    (folder / "provenance.json").write_text(
        json.dumps({"versions": {"torch": "2.11.0"}, "processor": "a", "threads": threads})
    )
    cells = "".join(f"{epoch},{epoch + 1},{each}\n" for epoch, each in enumerate(accuracies))
    (folder / "curves.csv").write_text(f"epoch,step,{column}\n{cells}")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "paper" / "row"
    write_seed(folder / "paper_best_on_test" / "seed0", [0.5, 0.9], "oracle/acc")
    write_seed(folder / "paper_best_on_test" / "seed1", [0.6, 0.8], "oracle/acc")
    write_seed(folder / "val_best" / "seed0", [0.4, 0.7], "val/acc", threads=2)
    return tmp_path


def test_a_figure_has_a_panel_a_protocol_and_a_line_a_seed_beside_the_published_one(records: Path) -> None:
    figure = record_figure(read_entry(records, row(), []))
    assert figure is not None
    paper, honest = figure.axes
    assert [line.get_ydata().tolist() for line in paper.lines[:2]] == [[0.5, 0.9], [0.6, 0.8]]  # type: ignore[union-attr]
    assert set(paper.lines[2].get_ydata()) == {0.9}  # type: ignore[arg-type]  # the published number
    assert [line.get_ydata().tolist() for line in honest.lines] == [[0.4, 0.7]]  # type: ignore[union-attr]
    titles = [axes.get_title(loc="left") for axes in (paper, honest)]
    assert titles == ["paper_best_on_test: accuracy, test set", "val_best: accuracy, validation"]


def test_a_seed_without_curves_is_left_out_of_the_figure(records: Path) -> None:
    (records / "paper" / "row" / "val_best" / "seed0" / "curves.csv").unlink()
    figure = record_figure(read_entry(records, row(), []))
    assert figure is not None
    assert len(figure.axes) == 1


def test_a_page_has_the_claim_the_report_and_each_combination_of_versions(records: Path) -> None:
    write_record_pages(records, row())
    page = (records / "paper" / "row" / "table.md").read_text()
    assert "Under `paper_best_on_test`, best epoch: to lie within 85.00 to 95.00. Ours: **in band**." in page
    assert "|ours|85.00 ± 7.07 (n = 2)|–|–|" in page
    versions = [line for line in page.splitlines() if line.startswith("Versions")]
    assert versions == [
        "Versions: torch 2.11.0. Machine: a, threads 1: paper_best_on_test 0, paper_best_on_test 1.",
        "Versions: torch 2.11.0. Machine: a, threads 2: val_best 0.",
    ]


def test_nothing_is_drawn_of_what_is_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is recorded of paper/row"):
        write_record_pages(tmp_path, row())
    folder = tmp_path / "paper" / "row" / "last" / "seed0"
    write_seed(folder, [0.5], "train/acc")
    write_record_pages(tmp_path, row())
    assert not (tmp_path / "paper" / "row" / "figure.png").exists()


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.row.id)
def test_each_table_on_record_is_that_of_its_seeds(entry: object) -> None:
    assert isinstance(entry, type(ENTRIES[0]))
    assert (entry.folder / "table.md").read_text() == record_table(entry)
    assert (entry.folder / "figure.png").exists() == (record_figure(entry) is not None)


def test_the_tables_in_the_pages_are_those_of_the_records() -> None:
    assert UNREAD == []
    texts = {page: page.read_text() for page in PAGES}
    assert HELD.search(texts[ROOT / "README.md"])
    old = [page.name for page, text in texts.items() if with_tables(text, ENTRIES) != text]
    assert old == [], "python scripts/record_tables.py writes them"


EXAMPLES = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
BASELINES = re.compile(r"^## Our own baselines$.*?(?=^## )", re.DOTALL | re.MULTILINE)
"""A section of its own, whose table tests/papers/test_baselines.py holds to its records."""


def test_the_numbers_in_the_text_are_those_of_the_records() -> None:
    text = HELD.sub("", (ROOT / "docs" / "reproducing.md").read_text())
    text = EXAMPLES.sub("", BASELINES.sub("", text))
    tables = "".join((entry.folder / "table.md").read_text() for entry in RECORDED)
    results = [each["metrics"] for entry in RECORDED for seeds in entry.results.values() for each in seeds.values()]
    tables += " ".join(f"{100 * score:.2f}" for metrics in results for name, score in metrics.items() if "acc" in name)
    by_hand = [each["last"] for entry in RECORDED for each in entry.by_hand.values()]
    half = (ROOT / "records").glob("*/*/by_hand/half_precision/seed*.json")
    by_hand += [json.loads(path.read_text())["mean_last10"] for path in half]
    tables += " ".join(f"{100 * score:.2f}" for score in by_hand)
    numbers = re.findall(r"\b\d+\.\d\d\b", text)
    assert numbers
    assert [number for number in numbers if number not in tables] == []
    (feedback,) = (entry for entry in RECORDED if entry.row.id == "seq_fmnist/feedback")
    ours = [each["metrics"] for each in feedback.results["paper_best_on_test"].values()]
    fallen = [each for each in ours if each["test/acc_best_oracle"] - each["test/acc_mean_last10"] > 0.05]
    by_hand = [each for each in feedback.by_hand.values() if each["best"] - each["mean_last10"] > 0.05]
    assert f"{COUNTS[len(fallen)]} of {COUNTS[len(ours)]} seeds lose" in text
    assert f"{COUNTS[len(by_hand)]} of {COUNTS[len(feedback.by_hand)]} does" in " ".join(text.split())
