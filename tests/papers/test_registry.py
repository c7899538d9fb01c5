"""Rows of papers: every block in conf/experiment, and blocks that cannot be read."""

from pathlib import Path

import pytest
from configurations import configured

from membrane.errors import ConfigError
from membrane.papers.registry import PaperRow, paper_rows
from membrane.runs.fingerprint import fingerprint

EXPERIMENTS = Path(__file__).parents[2] / "conf" / "experiment"
ROWS = paper_rows(EXPERIMENTS)
BLOCK = """
paper:
  citation: A
  row: B
  source: C
  protocol: last
  band: [0.1, 0.2]
"""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_composes_under_its_protocol(row: PaperRow) -> None:
    config = configured(f"experiment={row.id}")
    assert config.paper == row.paper, "the block of the file itself, not one that it inherits"
    assert config.protocol == row.paper.protocol


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_published_number_lies_in_its_band_unless_it_is_none(row: PaperRow) -> None:
    published = row.paper.published.get(row.paper.compared)
    if row.paper.band is None:
        assert published is None
    else:
        assert published is None or row.paper.band[0] <= published <= row.paper.band[1]


def test_the_claim_shapes_no_result() -> None:
    config = configured("experiment=seq_fmnist/plain")
    assert fingerprint(config) == fingerprint(config.model_copy(update={"paper": None}))


def test_files_without_a_block_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("# One\nname: one\n")
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "two.yaml").write_text(f"# Two\n{BLOCK}")
    (tmp_path / "three.yaml").write_text(BLOCK.lstrip())
    row, other = paper_rows(tmp_path)
    assert other.id == "three"
    assert (row.id, row.paper.band, row.paper.seeds) == ("paper/two", [0.1, 0.2], 5)


@pytest.mark.parametrize(
    ("block", "line"),
    [
        (BLOCK.replace("[0.1, 0.2]", "[0.2, 0.1]"), "band: the lower bound comes first, got [0.2, 0.1]"),
        (BLOCK.replace("[0.1, 0.2]", "[0.2]"), "one: paper.band"),
        (BLOCK.replace("[0.1, 0.2]", "[0.2, 0.1]"), "one: paper: band"),
        ("paper: text\n", "one: paper: Input should be a valid dictionary"),
        (
            BLOCK + "  published: {last: 98.6}\n",
            "paper.published.last: Input should be less than or equal to 1, got 98.6",
        ),
        (BLOCK + "  published: {acc: 0.9}\n", "one: paper.published.acc: Input should be 'best'"),
        (BLOCK + "  published: {best: 0.9}\n", "paper.compared is last, of which nothing is published; choose best"),
        (BLOCK.replace("[0.1, 0.2]", "[0.1,"), "one.yaml, line 9: "),
        (BLOCK.replace("last", "test"), "one: paper.protocol"),
        (BLOCK + "  sedes: 3\n", "one: paper.sedes"),
        (BLOCK.replace("last", "test") + "  sedes: 3\n", "one: paper.protocol"),  # the first of two
    ],
)
def test_a_block_that_cannot_be_read_is_named(block: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(f"# One\n{block}")
    with pytest.raises(ConfigError) as caught:
        paper_rows(tmp_path)
    assert line in str(caught.value)
