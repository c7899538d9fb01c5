"""The mean and the spread over seeds that a sweep ends with."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from statistics import mean, stdev

from membrane.errors import DataError
from membrane.runs.folder import RunFolder
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.scores import principal_score
from membrane.sweep.jobs import Job, membrane_overrides

log = logging.getLogger(__name__)
Runs = dict[int, tuple[Job, RunFolder]]
"""Seed → a job and its run, of jobs that are equal but for the seed."""


def log_seed_statistics(jobs: Sequence[tuple[Job, Config]]) -> None:
    """Log the test score's mean ± standard deviation (n − 1) over each group of jobs that differ in their seed alone.

    Nothing of a search: it looks at validation only, and its jobs are not known beforehand.
    """
    if any(job.typical for job, _ in jobs):
        return
    groups = grouped_by_experiment(jobs)
    titles = group_titles(groups)
    for title, runs in zip(titles, groups, strict=True):
        scores = scores_of(runs)
        if len(scores) < 2:
            continue
        [name] = {name for name, _ in scores}
        values = [value for _, value in scores]
        seeds = str(len(runs)) if len(scores) == len(runs) else f"{len(scores)} of {len(runs)}"
        log.info(
            "%s%s %.4f ± %.4f over %s seeds (mean ± standard deviation)",
            f"{title}: " if title else "",
            name,
            mean(values),
            stdev(values),
            seeds,
        )


def grouped_by_experiment(jobs: Sequence[tuple[Job, Config]]) -> list[Runs]:
    """Return the runs of each experiment (name and fingerprint), by seed."""
    groups: dict[tuple[str, str], Runs] = {}
    for job, config in jobs:
        folder = RunFolder(config)
        groups.setdefault((config.name, folder.fingerprint), {})[config.seed] = job, folder
    return list(groups.values())


def group_titles(groups: Sequence[Runs]) -> list[str]:
    """Return for each group the overrides that not all groups have, but for the seed; secrets masked."""
    settings = []
    for runs in groups:
        job, _ = next(iter(runs.values()))
        lines = [line.lstrip("+") for line in membrane_overrides(job.overrides)]
        settings.append([masked_override(line) for line in lines if not line.startswith("seed=")])
    common = set.intersection(*map(set, settings)) if settings else set()
    return [" ".join(line for line in lines if line not in common) for lines in settings]


def scores_of(runs: Runs) -> list[tuple[str, float]]:
    """Return the name and value of the score that each finished run is known by."""
    scores = []
    for _, folder in runs.values():
        with suppress(DataError):
            score = principal_score((folder.result() or {}).get("metrics", {}))
            if score is not None:
                scores.append(score)
    return scores
