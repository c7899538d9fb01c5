"""The mean and the spread over seeds, folds and left-out groups that a sweep ends with."""

import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from membrane.errors import DataError
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import RunFolder
from membrane.runs.provenance import other_command
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.scores import principal_score
from membrane.sweep.jobs import Job, membrane_overrides

log = logging.getLogger(__name__)
AXES = {"seed": "seeds", "dataset.fold": "folds", "dataset.leave_out": "left-out groups"}
"""Settings over whose values runs are averaged, the innermost first → what their values are called."""


@dataclass(frozen=True)
class SweptRun:
    """A job of a sweep and the metrics of its run, empty if that has not finished."""

    job: Job
    config: Config
    metrics: Mapping[str, float]

    def value(self, setting: str) -> Any:
        """Return the value of one of `AXES`, groups as text; None if it has none."""
        dataset = self.config.dataset
        groups = None if dataset.leave_out is None else "+".join(map(str, dataset.leave_out))
        return {"seed": self.config.seed, "dataset.fold": dataset.fold, "dataset.leave_out": groups}[setting]

    def key_without(self, settings: Sequence[str]) -> tuple[str, ...]:
        """Return what runs share that differ in some settings of `AXES` alone; of folds they share the number."""
        dataset, count = self.config.dataset, ""
        if "dataset.fold" in settings and dataset.fold is not None:
            count = dataset.fold.partition("/")[2]
        erased = {setting.partition(".")[2]: None for setting in settings if setting.startswith("dataset.")}
        config = self.config.model_copy(update={"dataset": dataset.model_copy(update=erased)})
        return config.name, fingerprint(config), count


def log_spread(jobs: Sequence[tuple[Job, Config]]) -> None:
    """Log mean ± standard deviation (n − 1) of the scores over the seeds, folds and left-out groups, and how to report.

    A line stands for each set of jobs that differ in one of these alone, and in those before it, over which the values
    are means. Nothing of a search: it looks at validation only, and its jobs are not known beforehand.
    """
    if any(job.typical for job, _ in jobs):
        return
    folders = [RunFolder(config) for _, config in jobs]
    by_folder = {folder.path: SweptRun(*job, metrics_in(folder)) for job, folder in zip(jobs, folders, strict=True)}
    runs = list(by_folder.values())
    lines = spread_lines(runs)
    for line in lines:
        log.info("%s", line)
    if lines:
        above = common_folder([folder for folder, run in by_folder.items() if run.metrics])
        log.info("next:   %s   for a table with intervals", shlex.join([*other_command("report"), above]))


def common_folder(folders: Sequence[Path]) -> str:
    """Return the innermost folder that holds all of some, relative to the working directory if one of them is."""
    above = os.path.commonpath([Path.cwd() / folder for folder in folders])
    return above if all(folder.is_absolute() for folder in folders) else os.path.relpath(above)


def spread_lines(runs: Sequence[SweptRun]) -> list[str]:
    """Return the lines on a sweep's runs, each behind what its set of runs was told to be."""
    lines = []
    for depth, setting in enumerate(AXES, 1):
        averaged, sets = list(AXES)[:depth], dict[tuple[str, ...], list[SweptRun]]()
        for run in runs:
            if run.value(setting) is not None:
                sets.setdefault(run.key_without(averaged), []).append(run)
        for title, members in zip(set_titles(list(sets.values()), averaged), sets.values(), strict=True):
            if line := spread_line(setting, members):
                lines.append(f"{title}: {line}" if title else line)
    return lines


def metrics_in(folder: RunFolder) -> Mapping[str, float]:
    """Return the metrics of a finished run, none if it is unfinished or its result cannot be read."""
    with suppress(DataError):
        metrics: Mapping[str, float] = (folder.result() or {}).get("metrics", {})
        return metrics
    return {}


def set_titles(sets: Sequence[Sequence[SweptRun]], averaged: Sequence[str]) -> list[str]:
    """Return for each set of runs the overrides that not all sets have, but for the averaged ones; secrets masked."""
    settings = []
    for runs in sets:
        lines = [line.lstrip("+") for line in membrane_overrides(runs[0].job.overrides)]
        settings.append([masked_override(line) for line in lines if line.partition("=")[0] not in averaged])
    common = set.intersection(*map(set, settings)) if settings else set()
    return [" ".join(line for line in lines if line not in common) for lines in settings]


def spread_line(setting: str, runs: Sequence[SweptRun]) -> str:
    """Return the line on runs that differ in a setting; empty if fewer than two of its values have a finished run.

    Of folds, which are for validation, the line has the validation score too; of left-out groups each one's score.
    """
    name = next((score[0] for run in runs if (score := principal_score(run.metrics))), "")
    tested = scores_of_values(setting, runs, name)
    if len(tested) < 2:
        return ""
    texts = [spread_text(name, tested)]
    validated = scores_of_values(setting, runs, f"val/{name.partition('/')[2]}")
    if setting == "dataset.fold" and len(validated) > 1:
        texts.insert(0, spread_text(f"val/{name.partition('/')[2]}", validated))
    line = f"{', '.join(texts)} over {counted(setting, runs, len(tested))}{of_means(tested)}"
    each = [f"group {group} {mean(scores):.4f}" for group, scores in tested.items()]
    return "; ".join([f"{line} (mean ± standard deviation)", *(each if setting == "dataset.leave_out" else [])])


def scores_of_values(setting: str, runs: Sequence[SweptRun], score: str) -> dict[Any, list[float]]:
    """Return a score of the finished runs for each value of a setting."""
    scores: dict[Any, list[float]] = {}
    for run in runs:
        if score in run.metrics:
            scores.setdefault(run.value(setting), []).append(run.metrics[score])
    return scores


def spread_text(score: str, scores: Mapping[Any, Sequence[float]]) -> str:
    """Return the mean ± standard deviation over the means of each value, behind the name of the score."""
    means = [mean(each) for each in scores.values()]
    return f"{score} {mean(means):.4f} ± {stdev(means):.4f}"


def counted(setting: str, runs: Sequence[SweptRun], finished: int) -> str:
    """Return how many values have a finished run, as ``5 folds`` or ``4 of 5 folds``."""
    values = {run.value(setting) for run in runs}
    wanted = int(next(iter(values)).partition("/")[2]) if setting == "dataset.fold" else len(values)
    return f"{finished if finished == wanted else f'{finished} of {wanted}'} {AXES[setting]}"


def of_means(scores: Mapping[Any, Sequence[float]]) -> str:
    """Return of how many runs each value is the mean, for the middle of a line; empty if it is one."""
    sizes = {len(each) for each in scores.values()}
    if sizes == {1}:
        return ""
    return f", each the mean of {sizes.pop()} runs" if len(sizes) == 1 else ", each the mean of its runs"
