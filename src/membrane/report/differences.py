"""Differences of a report's rows to a baseline, paired over the same seeds and the same test samples."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from membrane.errors import ConfigError, DataError
from membrane.report.recorded import Recorded
from membrane.report.rows import Compared, ReportRow, is_usable, title_of
from membrane.report.sample_scores import SampleScores, read_scores
from membrane.report.settings import setting_text
from membrane.report.statistics import CONFIDENCE, Difference, holm, mcnemar, paired_difference
from membrane.scores import score_of

NO_DIFFERENCE = "no difference"
TOLERANCE = 1e-3
"""By how much, relatively, a score from the outputs may differ from the recorded one, which is a sum in float32."""


class NotPaired(ValueError):
    """Two rows cannot be paired; the message says why, in a few words."""


def compare_rows(rows: Sequence[ReportRow], baseline: Mapping[str, str]) -> None:
    """Set the difference of every row to its baseline, or flag why there is none.

    Raises ConfigError if no finished row has the baseline's settings.
    """
    for row in rows:
        row.is_baseline = all(matches(row, key, text) for key, text in baseline.items())
    candidates = [row for row in rows if row.is_baseline and row.runs]
    if not candidates:
        raise ConfigError(f"--baseline {title_of(baseline)}: no finished run has it; {choices_line(rows, baseline)}")
    outputs: dict[str, SampleScores] = {}
    compared: dict[int, Difference] = {}
    for number, row in enumerate(rows):
        if row.is_baseline or not row.runs:
            continue
        try:
            reference = baseline_of(row, candidates, baseline)
            compared[number] = compare_pair(row, reference, outputs)
        except (NotPaired, DataError) as error:
            row.flags.append(f"not compared: {error}")
    corrected = holm([difference.p for difference in compared.values()])
    for (number, difference), p in zip(compared.items(), corrected, strict=True):
        score = rows[number].principal or ""
        rows[number].difference = Compared(
            title_of(baseline), difference.mean, difference.interval, p, difference.p, verdict_of(score, difference, p)
        )


def matches(row: ReportRow, key: str, text: str) -> bool:
    """Return whether a row has a setting, as it is shown; a group's choice by its name in any case."""
    known = row.settings | {"fingerprint": row.fingerprint}
    if key not in known:
        return False
    value = known[key]
    return text.lower() == setting_text(value).lower() or (is_usable(value) and text == f"{value:g}")


def choices_line(rows: Sequence[ReportRow], baseline: Mapping[str, str]) -> str:
    """Return what there is instead of a baseline that no row has."""
    parts = []
    for key in baseline:
        values = sorted({setting_text(row.settings[key]) for row in rows if key in row.settings and row.runs})
        parts.append(f"{key} is {', '.join(values)}" if values else f"no run has a setting {key}")
    return "; ".join(parts)


def baseline_of(row: ReportRow, candidates: Sequence[ReportRow], baseline: Mapping[str, str]) -> ReportRow:
    """Return the baseline that shares a row's other settings, or the only one there is. Raises NotPaired if unclear."""
    if len(candidates) == 1:
        return candidates[0]
    others = [key for key in row.shown if key not in (*baseline, "fingerprint")]
    same = [each for each in candidates if all(each.shown.get(key) == row.shown[key] for key in others)]
    if len(same) != 1:
        raise NotPaired(f"{len(same) or 'no'} baselines share its other settings")
    return same[0]


def compare_pair(row: ReportRow, reference: ReportRow, outputs: dict[str, SampleScores]) -> Difference:
    """Return the difference of the row's principal score to the reference's. Raises NotPaired if they do not pair."""
    if any(run.evaluation for run in (*row.runs, *reference.runs)):
        raise NotPaired("an evaluation keeps no outputs")
    if row.principal is None or row.principal != reference.principal:
        raise NotPaired("no score in common with the baseline")
    if row.settings.get("dataset") != reference.settings.get("dataset"):
        raise NotPaired("another data set than the baseline's")
    seeds = [seed for seed in row.seeds if seed in reference.seeds]
    if not seeds:
        raise NotPaired("no seed in common with the baseline")
    pairs = [
        (
            sample_scores(by_seed(row, seed), row.principal, outputs),
            sample_scores(by_seed(reference, seed), row.principal, outputs),
        )
        for seed in seeds
    ]
    if len({each.identity for pair in pairs for each in pair}) > 1:
        raise NotPaired("other test samples than the baseline's")
    if len(seeds) < max(len(row.seeds), len(reference.seeds)):
        row.flags.append(f"compared over the seeds that the baseline has too: {', '.join(map(str, seeds))}")
    differences = np.stack([first.scores.astype(float) - second.scores for first, second in pairs])
    return tested_difference(differences, pairs[0][0].clusters, score_of(row.principal).counted)


def tested_difference(differences: np.ndarray, clusters: np.ndarray | None, counted: bool) -> Difference:
    """Differences [seeds,samples] → their mean, interval and p; of one seed's right and wrong answers McNemar's p."""
    difference = paired_difference(differences, clusters)
    if len(differences) == 1 and counted and clusters is None:
        p = mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
        return dataclasses.replace(difference, p=p)
    return difference


def by_seed(row: ReportRow, seed: int | None) -> Recorded:
    """Return the run of a seed."""
    return row.runs[row.seeds.index(seed)]


def sample_scores(run: Recorded, principal: str, outputs: dict[str, SampleScores]) -> SampleScores:
    """Return the test samples' scores of a run, read once. Raises NotPaired if they are not those of its result."""
    key = str(run.folder)
    if key not in outputs:
        outputs[key] = read_scores(run)
    recorded, measured = run.metrics[principal], float(outputs[key].scores.mean())
    if abs(measured - recorded) > TOLERANCE * max(abs(recorded), 1e-2):
        raise NotPaired(f"seed {run.seed}: the outputs give {principal} {measured:.4f}, the result {recorded:.4f}")
    return outputs[key]


def verdict_of(score: str, difference: Difference, p: float) -> str:
    """Return ``better``, ``worse``, or ``no difference`` if the interval contains 0 or the corrected p is not small."""
    low, high = difference.interval
    if low <= 0 <= high or p >= 1 - CONFIDENCE:
        return NO_DIFFERENCE
    return "better" if (difference.mean > 0) != score_of(score).lower_is_better else "worse"
