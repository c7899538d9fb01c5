"""Flags of a report: what a reader should know of a row before trusting its numbers or comparing them with others'."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from membrane.report.recorded import Recorded
from membrane.report.rows import ReportRow, is_usable
from membrane.report.sample_scores import clustered_samples

Origin = Callable[[Recorded], Any]
ORIGINS: Mapping[str, Origin] = {
    "code": lambda run: as_text(run.provenance.get("code_digest")),
    "library versions": lambda run: as_text(run.provenance.get("versions")),
    "data": lambda run: as_text(run.provenance.get("data_hash")),
    "splits": lambda run: as_text(run.result.get("split_hash") or run.provenance.get("split_hash")),
    "machines, so that times do not compare": lambda run: as_text(
        {key: run.provenance[key] for key in ("processor", "device", "threads") if key in run.provenance}
    ),
}
"""What should be the same of all runs that are compared → how it is read; None where a run does not tell."""
OF_DATA = ("data", "splits")


def as_text(value: Any) -> str | None:
    """Return a value as text that can be compared, None for nothing."""
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value) if value else None


def flag_rows(rows: Sequence[ReportRow]) -> None:
    """Add the flags of every row."""
    seeds = sorted({seed for row in rows for seed in row.seeds if seed is not None})
    for row in rows:
        row.flags += [*unfinished_flags(row), *missing_seeds(row, seeds), *test_flags(row)]
    for what, origin in ORIGINS.items():
        for group in comparable_rows(rows, what):
            flag_origins(group, what, origin)


def unfinished_flags(row: ReportRow) -> list[str]:
    """Return a flag for each run of the row that has no result."""
    flags = []
    for run in row.unfinished:
        standing = run.standing
        epochs = "" if standing.completed is None else f" after {standing.completed} of {standing.epochs or '?'} epochs"
        flags.append(f"seed {'?' if run.seed is None else run.seed} not finished: {standing.status}{epochs}")
    return flags


def missing_seeds(row: ReportRow, seeds: Iterable[int]) -> list[str]:
    """Return a flag if other rows have seeds that this one has not even begun."""
    begun = {*row.seeds, *(run.seed for run in row.unfinished)}
    missing = [str(seed) for seed in seeds if seed not in begun]
    return [f"seed{'s' * (len(missing) > 1)} missing: {', '.join(missing)}"] if missing else []


def test_flags(row: ReportRow) -> list[str]:
    """Return flags on how the test numbers came about."""
    flags = []
    if len(row.runs) == 1:
        flags.append("one seed")
    broken = {run.seed: [name for name, value in run.metrics.items() if not is_usable(value)] for run in row.runs}
    flags += [f"seed {seed}: not finite: {', '.join(names)}" for seed, names in broken.items() if names]
    if any(run.result.get("protocol") == "paper_best_on_test" for run in row.runs):
        flags.append("oracle: the test set was read after every epoch (paper_best_on_test)")
    if chosen := [name for name in row.metrics if name.endswith("_best_oracle")]:
        flags.append(f"selected on test: {', '.join(chosen)}")
    if ended := [f"seed {run.seed}: {run.result['ended']}" for run in row.runs if run.result.get("ended")]:
        flags.append(f"ended early: {'; '.join(ended)}")
    if row.wilson is not None and (clusters := clustered_samples(row.runs[0])):
        origin = "one group or recording" if clusters == 1 else f"{clusters} groups or recordings"
        flags.append(f"test samples come from {origin}: Wilson takes them as independent")
    return flags


def comparable_rows(rows: Sequence[ReportRow], what: str) -> list[list[ReportRow]]:
    """Return the rows among which something should be the same: data and splits those of one data set's settings."""
    if what not in OF_DATA:
        return [list(rows)]
    groups: dict[str, list[ReportRow]] = {}
    for row in rows:
        own = {key: value for key, value in row.settings.items() if key.partition(".")[0] == "dataset"}
        groups.setdefault(repr(own), []).append(row)
    return list(groups.values())


def flag_origins(rows: Sequence[ReportRow], what: str, origin: Origin) -> None:
    """Flag the rows whose runs differ from each other in ``what``, or from the baseline, else from most rows."""
    origins = {id(row): {each for run in row.runs if (each := origin(run)) is not None} for row in rows}
    counts = Counter(each for values in origins.values() for each in values)
    baselines = [each for row in rows if row.is_baseline for each in origins[id(row)]]
    usual = (baselines or [each for each, _ in counts.most_common(1)])[:1]
    for row in rows:
        values = origins[id(row)]
        if len(values) > 1:
            row.flags.append(f"mixed {what}")
        elif values and values != set(usual):
            row.flags.append(f"other {what} than {'the baseline' if baselines else 'most rows'}")
