"""A record's table.md and figure.png, drawn from the files of its seeds alone, so that they can be at any time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from membrane.errors import ConfigError, DataError
from membrane.files.durable import write_utf8
from membrane.papers.entry import HONEST, Entry, read_entry
from membrane.papers.record import CURVES
from membrane.papers.registry import PaperRow
from membrane.report.claims import NUMBERS, band_text, mean_text, numbers_table, times_table
from membrane.runs.saved import read_provenance
from membrane.schema.paper import Paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from membrane.report.curves import Line

TABLE, FIGURE = "table.md", "figure.png"
SCORES = ("test/acc_mean_last10", "test/acc_best_oracle")
"""Scores beside that of a report's rows."""
MEASURED = ("oracle/acc", "val/acc")
"""The accuracies that are measured after each epoch, on the test set and in validation."""
PAPER = "paper_best_on_test"
BUSY = "the machine did other work too: `membrane bench W6` times both alone"
PUBLISHED = "#D55E00"


def write_record_pages(records: Path, row: PaperRow) -> Entry:
    """Write a record's table.md and figure.png, and return what is recorded. Raises ConfigError if nothing is."""
    unread: list[str] = []
    entry = read_entry(records, row, unread)
    if unread:
        raise DataError(unread[0])
    if not entry.results:
        raise ConfigError(f"{entry.folder}: nothing is recorded of {row.id}")
    write_utf8(entry.folder / TABLE, record_table(entry))
    if (figure := record_figure(entry)) is not None:
        from membrane.report.panels import write_png

        write_png(figure, entry.folder / FIGURE)
    return entry


def record_table(entry: Entry) -> str:
    """Return a record as a page: the claim, the numbers beside it, the report of its runs, versions."""
    paper = entry.row.paper
    parts = [
        f"# {entry.row.id}",
        f"{paper.row}; {paper.citation}. Numbers from {paper.source}.",
        f"Under `{paper.protocol}`, {NUMBERS[paper.compared]}: {bar_text(paper)}. Ours: **{entry.state()}**.",
        numbers_table(entry).rstrip(),
    ]
    if (honest := entry.honest()) is not None:
        parts.append(f"Under `{HONEST}`: {mean_text(honest)} (n = {honest.n}).")
    if paper.differs:
        parts.append(f"In another way than the paper: {paper.differs}.")
    if entry.seconds() is not None:
        parts += [f"A whole training, with a test after each epoch ({BUSY}):", times_table([entry]).rstrip()]
    return "\n\n".join([*parts, report_of(entry.folder).rstrip(), *origins(entry)]) + "\n"


def bar_text(paper: Paper) -> str:
    """Return where ours is to lie, in percent."""
    bars = [f"{'at' if paper.band[1] == 1 else 'within'} {band_text(paper)}"] if paper.band else []
    if paper.by_hand_within is not None:
        bars.append(f"within {paper.by_hand_within * 100:.2f} of the recipe by hand")
    return f"to lie {', or '.join(bars)}" if bars else "nothing to be held to"


def report_of(folder: Path) -> str:
    """Return the table that `membrane report` makes of a folder's runs, in Markdown."""
    from membrane.report.flags import flag_rows
    from membrane.report.formats import rows_as_markdown
    from membrane.report.recorded import gather_runs
    from membrane.report.rows import group_runs

    rows = group_runs(gather_runs([folder]).runs)
    flag_rows(rows)
    scores = [score for score in SCORES if any(score in row.metrics for row in rows)]
    return rows_as_markdown(rows, scores)


def origins(entry: Entry) -> list[str]:
    """Return a line for each combination of versions, machine and threads, with the runs that have it if several."""
    runs: dict[str, list[str]] = {}
    for protocol, seeds in entry.results.items():
        for seed in sorted(seeds):
            provenance = read_provenance(entry.folder / protocol / f"seed{seed}")
            runs.setdefault(origin_text(provenance), []).append(f"{protocol} {seed}")
    if len(runs) == 1:
        return [f"{text}." for text in runs]
    return [f"{text}: {', '.join(which)}." for text, which in runs.items()]


def origin_text(provenance: Mapping[str, Any]) -> str:
    """Return versions, processor and threads of a run in a line."""
    versions = ", ".join(f"{name} {version}" for name, version in provenance.get("versions", {}).items())
    machine = ", ".join(str(provenance[key]) for key in ("processor", "device", "kernels") if provenance.get(key))
    return f"Versions: {versions}. Machine: {machine}, threads {provenance.get('threads', 'unknown')}"


def record_figure(entry: Entry) -> "Figure | None":
    """Draw the accuracy after each epoch: a panel a protocol, a line a seed; None if none was measured."""
    from membrane.report.panels import panels

    curves = {protocol: seed_curves(entry, protocol) for protocol in sorted(entry.results)}
    drawn = {protocol: lines for protocol, lines in curves.items() if lines}
    if not drawn:
        return None
    figure, axes_of = panels(4.6, 2.9, columns=len(drawn))
    for axes, (protocol, lines) in zip(axes_of[0], drawn.items(), strict=True):
        draw_seeds(axes, entry, protocol, lines)
    return figure


def draw_seeds(axes: "Axes", entry: Entry, protocol: str, lines: "Sequence[Line]") -> None:
    """Draw the seeds of a protocol, under the paper's beside the published number."""
    import numpy as np
    from matplotlib import colormaps

    from membrane.report.curves import over_epochs, plot, scale_values

    paper = entry.row.paper
    for colour, line in zip(colormaps["viridis"](np.linspace(0, 0.75, len(lines))), lines, strict=True):
        plot(axes, line, colour, "_seed")
    values = np.concatenate([values for _, values in lines])
    if protocol == paper.protocol and (published := paper.published.get(paper.compared)) is not None:
        axes.axhline(published, color=PUBLISHED, lw=1.2, ls="--", label=f"published, {NUMBERS[paper.compared]}")
        axes.legend(fontsize=8, frameon=False, loc="lower right")
        values = np.append(values, published)
    on = "test set" if protocol == PAPER else "validation"
    over_epochs(axes, f"{protocol}: accuracy, {on}")
    scale_values(axes, "acc", values)


def seed_curves(entry: Entry, protocol: str) -> "list[Line]":
    """Return the accuracies after each epoch of a protocol's seeds, those that have any and that are recorded."""
    from membrane.report.curves import by_epoch
    from membrane.runs.table import read_rows

    lines = []
    tables = [entry.folder / protocol / f"seed{seed}" / CURVES for seed in sorted(entry.results[protocol])]
    for table in tables:
        rows = read_rows(table) if table.exists() else []
        lines += [line for name in MEASURED if len((line := by_epoch(rows, name))[0])]
    return lines
