"""Published numbers beside ours: tables in Markdown over the rows of papers that are recorded."""

import re
from collections.abc import Callable, Mapping, Sequence

from membrane.papers.entry import Entry
from membrane.papers.spread import SeedMean
from membrane.schema.paper import Number, Paper

NUMBERS: Mapping[Number, str] = {"best": "best epoch", "last": "last epoch", "mean_last10": "last ten"}
"""Which of a training's accuracies a paper prints → how it is called in a table."""
NOTHING = "–"


def claims_table(entries: Sequence[Entry]) -> str:
    """Return for each row the published number, ours, by hand, under ``val_best``, and whether ours is in its band."""
    header = ("row", "number", "published", "ours", "n", "band", "by hand", "`val_best`", "state")
    return pipe_table(header, "llrrrrrrl", [claim_cells(entry) for entry in entries if entry.ours()])


def claim_cells(entry: Entry) -> list[str]:
    """Return the cells of a recorded row, accuracies in percent."""
    paper, ours = entry.row.paper, entry.ours()
    return [
        f"`{entry.row.id}`",
        NUMBERS[paper.compared],
        published_text(paper, paper.compared),
        mean_text(ours),
        str(ours.n if ours else 0),
        band_text(paper).replace(" to ", "–"),
        mean_text(entry.hand()),
        mean_text(entry.honest()),
        entry.state(),
    ]


def numbers_table(entry: Entry) -> str:
    """Return the best, the last and the mean of the last ten epochs: published, ours and by hand."""
    paper = entry.row.paper
    of_whom: list[tuple[str, Callable[[Number], str]]] = [
        ("published", lambda number: published_text(paper, number)),
        ("ours", lambda number: counted_text(entry.ours(number))),
        ("by hand", lambda number: counted_text(entry.hand(number))),
    ]
    rows = [[whose, *map(text, NUMBERS)] for whose, text in of_whom]
    return pipe_table(("test accuracy, %", *NUMBERS.values()), "lrrr", rows)


def flattery_table(entries: Sequence[Entry]) -> str:
    """Return for each row how far the best epoch on the test set lies above the last ten and above ``val_best``."""
    header = ("row", "best epoch", "last ten", "best flatters by", "`val_best`")
    rows = [
        [f"`{each.row.id}`", *map(mean_text, (each.ours("best"), each.ours("mean_last10"), flattery, each.honest()))]
        for each in entries
        if (flattery := each.flattery())
    ]
    return pipe_table(header, "lrrrr", rows)


def versions_table(entries: Sequence[Entry]) -> str:
    """Return for each row with trainings by hand the published number, the same by hand at our versions, and ours."""
    header = ("row", "published", "by hand at our versions", "n", "moved by", "ours", "ours less by hand")
    rows = []
    for each in entries:
        hand, ours, published = each.hand(), each.ours(), each.row.paper.published.get(each.row.paper.compared)
        if hand and ours:
            moved = NOTHING if published is None else points_text(hand.mean - published)
            texts = (published_text(each.row.paper, each.row.paper.compared), mean_text(hand), str(hand.n), moved)
            rows.append([f"`{each.row.id}`", *texts, mean_text(ours), points_text(ours.mean - hand.mean)])
    return pipe_table(header, "lrrrrrr", rows)


def times_table(entries: Sequence[Entry]) -> str:
    """Return for each row with trainings by hand the seconds of a whole training, ours and by hand, and their ratio."""
    rows = [
        [f"`{each.row.id}`", f"{times[0]:.0f}", f"{times[1]:.0f}", f"{times[0] / times[1]:.2f}"]
        for each in entries
        if (times := each.seconds())
    ]
    return pipe_table(("row", "ours, s", "by hand, s", "ratio"), "lrrr", rows)


TABLES: Mapping[str, Callable[[Sequence[Entry]], str]] = {
    "claims": claims_table,
    "flattery": flattery_table,
    "versions": versions_table,
}
"""The tables over all rows, by the name under which a page holds one."""
HELD = re.compile(r"(<!-- membrane report records --papers: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""A table in a page: its name, and the marks around it."""


def with_tables(page: str, entries: Sequence[Entry]) -> str:
    """Return a page in Markdown with the tables that it holds written anew."""
    return HELD.sub(lambda held: f"{held[1]}{TABLES[held[2]](entries)}{held[3]}", page)


def pipe_table(header: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns stand left or right, as ``sides`` has an l or an r for each."""
    ends = ["--:" if side == "r" else "---" for side in sides]
    return "".join(f"|{'|'.join(cells)}|\n" for cells in (header, ends, *rows))


def published_text(paper: Paper, number: Number) -> str:
    """Return a published number in percent, a dash if there is none."""
    published = paper.published.get(number)
    return NOTHING if published is None else f"{published * 100:.2f}"


def mean_text(spread: SeedMean | None) -> str:
    """Return mean ± standard deviation in percent, a dash for nothing."""
    return NOTHING if spread is None else str(spread)


def points_text(difference: float) -> str:
    """Return a difference of accuracies in points, with its sign."""
    return f"{difference * 100:+.2f}"


def counted_text(spread: SeedMean | None) -> str:
    """Return mean ± standard deviation in percent with the number of seeds."""
    return NOTHING if spread is None else f"{spread} (n = {spread.n})"


def band_text(paper: Paper) -> str:
    """Return a band in percent, as ``68.85 to 71.85``, ``≥ 97.00`` of one without an upper bound, a dash for none."""
    if paper.band is None:
        return NOTHING
    low, high = paper.band
    return f"≥ {low * 100:.2f}" if high == 1 else f"{low * 100:.2f} to {high * 100:.2f}"
