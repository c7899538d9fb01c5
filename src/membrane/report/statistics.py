"""The statistics of a report: intervals over seeds and over test samples, and paired differences between two rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Interval = tuple[float, float]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean difference, its 95 % interval and the p-value of no difference."""

    mean: float
    interval: Interval
    p: float


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation with n−1, None of fewer than two values."""
    return None if len(values) < 2 else float(np.std(values, ddof=1))


def student_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's 95 % interval of the mean, None of fewer than two values."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    if error == 0:
        return mean, mean
    low, high = t.interval(CONFIDENCE, len(values) - 1, mean, error)
    return float(low), float(high)


def wilson_interval(proportion: float, samples: int) -> Interval:
    """Return the 95 % score interval of a proportion of samples (Wilson 1927, JASA 22).

    A mean over seeds may lie between two counts of correct samples: the interval then lies between theirs, linearly.
    """
    from scipy.stats import binomtest

    count = min(max(proportion, 0.0), 1.0) * samples
    below, above = math.floor(count), math.ceil(count)
    ends = [binomtest(each, samples).proportion_ci(CONFIDENCE, method="wilson") for each in (below, above)]
    share = count - below
    low, high = ((1 - share) * first + share * second for first, second in zip(*ends, strict=True))
    return float(low), float(high)


def paired_difference(differences: np.ndarray, clusters: np.ndarray | None = None) -> Difference:
    """Differences between two rows [seeds,samples], of the same seeds and test samples → their mean, interval and p.

    Both seeds and test samples are drawn: another seed would give other weights, another test set other samples. The
    variance is that of a bootstrap that resamples seeds and samples independently of each other (Owen 2007, "The
    pigeonhole bootstrap", Annals of Applied Statistics 1), in closed form since the statistic is a mean: the variance
    of the seeds' means plus that of the samples' means, each with n−1. Percentiles of so few seeds would be far too
    narrow; the interval is Student's, with the degrees of freedom of Welch 1947 (Biometrika 34) for a sum of two
    variances. It is about samples alone if there is one seed. Samples of a cluster [samples], a recording or a person,
    are resampled together.
    """
    from scipy.stats import t

    mean = float(differences.mean())
    parts = [sample_variance(differences.mean(0) - mean, clusters)]
    seeds = len(differences)
    if seeds > 1:
        parts.append((float(differences.mean(1).var(ddof=1)) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Difference(mean, (mean, mean), 0.0 if mean else 1.0)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if part)
    low, high = t.interval(CONFIDENCE, freedom, mean, math.sqrt(variance))
    p = 2 * float(t.sf(abs(mean) / math.sqrt(variance), freedom))
    return Difference(mean, (float(low), float(high)), p)


def sample_variance(deviations: np.ndarray, clusters: np.ndarray | None) -> tuple[float, int]:
    """Deviations from the mean [samples] → the variance of the mean, and its degrees of freedom.

    With clusters [samples] the sums of each are what varies (the linearised variance of a ratio, Cochran 1977, ch. 9A).
    Fewer than two clusters tell nothing: 0.
    """
    sums = deviations if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], deviations)
    if len(sums) < 2:
        return 0.0, 1
    scale = len(sums) / (len(sums) - 1)
    return float(scale * np.square(sums).sum() / len(deviations) ** 2), len(sums) - 1


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the exact p-value of the test of two classifiers on the same samples (McNemar 1947, Psychometrika 12).

    Each argument counts the samples that only one of them got right. Dietterich 1998 (Neural Computation 10)
    recommends it where each learned once.
    """
    from scipy.stats import binomtest

    return float(binomtest(first_only, first_only + second_only).pvalue) if first_only + second_only else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979, Scandinavian Journal of Statistics 6)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=float)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(each) for each in corrected]
