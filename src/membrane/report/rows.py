"""Runs grouped into the rows of a report: one for each setting, its seeds together."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from membrane.report.recorded import Recorded, tested_rates
from membrane.report.sample_scores import count_test_samples
from membrane.report.settings import ABSENT, Flat, differing_settings, setting_text
from membrane.report.statistics import Interval, standard_deviation, student_interval, wilson_interval
from membrane.scores import principal_score, score_of

IDENTITY = ("dataset", "model", "neuron", "framework")
"""Settings that name a single row, which differs from no other."""
LARGEST = 1e100
"""The size of a score or a time that is taken for one, at most: the square of a larger one may be infinite."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Summary:
    """A score over seeds: mean, standard deviation with n−1, Student's 95 % interval; None of a single seed."""

    mean: float
    std: float | None
    interval: Interval | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Compared:
    """A row's difference to the baseline ``to``: p corrected by Holm's method, p of this comparison alone, verdict."""

    to: str
    mean: float
    interval: Interval
    p: float
    p_alone: float
    verdict: str


@dataclass
class ReportRow:
    """A row of a report: the runs of one setting.

    Arguments:
        fingerprint: the same of all its runs.
        settings: those that shape the result, flat, by dotted name.
        runs: the finished ones, by seed.
        unfinished: the others.
        shown: the settings that are columns, as text.
        flags: what a reader should know of it.
        difference: that to the baseline, if there is one to compare with.
        is_baseline: whether others are compared with it.
    """

    fingerprint: str
    settings: Flat
    runs: list[Recorded]
    unfinished: list[Recorded]
    shown: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    difference: Compared | None = None
    is_baseline: bool = False

    @property
    def seeds(self) -> list[int | None]:
        """Return the seeds of the finished runs."""
        return [run.seed for run in self.runs]

    @cached_property
    def metrics(self) -> dict[str, Summary]:
        """Return the scores that every finished run has, usable in each."""
        tables = [run.metrics for run in self.runs]
        common = [name for name in (tables[0] if tables else ()) if all(name in table for table in tables)]
        columns = {name: [table[name] for table in tables] for name in common}
        return {name: summarise(values) for name, values in columns.items() if all(map(is_usable, values))}

    @cached_property
    def principal(self) -> str | None:
        """Return the score that the row is known by, such as ``test/acc``."""
        score = principal_score({name: summary.mean for name, summary in self.metrics.items()})
        return None if score is None else score[0]

    @cached_property
    def wilson(self) -> Interval | None:
        """Return the Wilson interval of the accuracy on one seed's test set, pooled over seeds; None if there is none.

        Seeds share their test samples, so that more seeds are no more samples.
        """
        sizes = {count_test_samples(run) for run in self.runs}
        if self.principal is None or not score_of(self.principal).counted or len(sizes) != 1 or None in sizes:
            return None
        (samples,) = sizes
        return wilson_interval(self.metrics[self.principal].mean, samples) if samples else None

    @cached_property
    def parameters(self) -> int | None:
        """Return the number of the model's parameters."""
        return self.constant("parameters")

    @cached_property
    def passes(self) -> int | None:
        """Return how often the model runs for a sample."""
        return self.constant("forward_passes_per_sample")

    @cached_property
    def fit_seconds(self) -> float | None:
        """Return the mean time of fitting."""
        times = [run.result["fit_seconds"] for run in self.runs if is_usable(run.result.get("fit_seconds"))]
        return float(np.mean(times)) if times else None

    @cached_property
    def rates(self) -> dict[str, float]:
        """Return layer → firing rate of the tested checkpoints, the mean over seeds; empty of an ANN."""
        tables = [tested_rates(run) for run in self.runs if run.result.get("is_snn")]
        common = [name for name in (tables[0] if tables else ()) if all(name in table for table in tables)]
        means = {name: float(np.mean([table[name] for table in tables])) for name in common}
        return {name: mean for name, mean in means.items() if np.isfinite(mean)}

    @property
    def rate(self) -> float | None:
        """Return the mean firing rate of the layers, each counting alike."""
        return float(np.mean(list(self.rates.values()))) if self.rates else None

    def constant(self, key: str) -> int | None:
        """Return a whole number that every finished run recorded alike, else None."""
        values = [run.result.get(key) for run in self.runs]
        first = values[0] if values else None
        return first if isinstance(first, int) and all(value == first for value in values) else None


def is_usable(value: Any) -> bool:
    """Return whether a value of JSON is a number that means and spreads can be computed of."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def summarise(values: Sequence[float]) -> Summary:
    """Return mean, spread and interval of a score over seeds."""
    mean = float(np.mean(values))
    return Summary(mean, standard_deviation(values), student_interval(values), tuple(values))


def group_runs(runs: Sequence[Recorded]) -> list[ReportRow]:
    """Return a row for each fingerprint, sorted by the settings that differ, with duplicates of a seed left out."""
    rows: dict[str, ReportRow] = {}
    for run in sorted(runs, key=lambda run: (run.seed is None, run.seed or 0, str(run.folder))):
        row = rows.setdefault(run.fingerprint, ReportRow(run.fingerprint, dict(run.settings), [], []))
        if not run.result:
            row.unfinished.append(run)
        elif run.seed is not None and run.seed in row.seeds:
            row.flags.append(f"seed {run.seed} twice: {run.folder} is left out")
        else:
            row.runs.append(run)
        row.settings = row.settings or dict(run.settings)
    return sorted_rows(list(rows.values()))


def sorted_rows(rows: list[ReportRow]) -> list[ReportRow]:
    """Name each row by the settings that differ, a single one by what it is, and sort by them, numbers as numbers."""
    names = differing_settings([row.settings for row in rows])
    if not names:
        names = [name for name in IDENTITY if any(name in row.settings for row in rows)]
    for row in rows:
        row.shown = {name: setting_text(row.settings[name]) if name in row.settings else ABSENT for name in names}
    texts = [tuple(row.shown.values()) for row in rows]
    if len(set(texts)) < len(rows):
        for row in rows:
            row.shown["fingerprint"] = row.fingerprint
    return sorted(rows, key=lambda row: [sort_key(text) for text in row.shown.values()])


def sort_key(text: str) -> tuple[int, float, str]:
    """Return a key by which numbers come first, by their value, then texts."""
    return (0, float(text), text) if NUMBER.fullmatch(text) else (1, 0.0, text)


def common_settings(rows: Sequence[ReportRow]) -> dict[str, str]:
    """Return the main settings that all rows share, for the line above a table."""
    names = ("dataset", "model", "neuron", "framework", "timesteps", "epochs", "protocol")
    shown = rows[0].shown if rows else {}
    texts = {name: {setting_text(row.settings.get(name)) for row in rows if name in row.settings} for name in names}
    return {name: each.pop() for name, each in texts.items() if len(each) == 1 and name not in shown}


def title_of(shown: Mapping[str, str]) -> str:
    """Return ``model=smlp, neuron=lif``, without settings that are absent."""
    return ", ".join(f"{name}={text}" for name, text in shown.items() if text != ABSENT)
