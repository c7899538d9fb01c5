"""The statistics of a report against scipy, and against numbers of statsmodels 0.15."""

import numpy as np
import pytest
from scipy import stats

from membrane.report.statistics import (
    holm,
    mcnemar,
    paired_difference,
    sample_variance,
    standard_deviation,
    student_interval,
    wilson_interval,
)


def test_student_over_seeds_equals_statsmodels() -> None:
    # its DescrStatsW gives
    assert student_interval([0.8981, 0.9012, 0.8955]) == pytest.approx(
        (0.891177800551975, 0.9053555327813583), rel=1e-12
    )
    assert standard_deviation([0.8981, 0.9012, 0.8955]) == pytest.approx(stats.tstd([0.8981, 0.9012, 0.8955]))
    assert student_interval([0.5, 0.5]) == (0.5, 0.5)
    assert student_interval([0.5]) is None
    assert standard_deviation([0.5]) is None


@pytest.mark.parametrize(
    ("correct", "samples", "low", "high"),
    [
        (8981, 10000, 0.8920170784941304, 0.9038771820031368),
        (281, 297, 0.9142915376510324, 0.9665710969034152),
        (297, 297, 0.9872309526893243, 1.0),
        (0, 20, 0.0, 0.1611251580528194),
    ],
)
def test_wilson_equals_statsmodels(correct: int, samples: int, low: float, high: float) -> None:
    # proportion_confint(correct, samples, method="wilson"), of the proportion as a result records it
    assert wilson_interval(float(np.float32(correct / samples)), samples) == pytest.approx((low, high), abs=1e-7)


def test_wilson_between_two_counts_lies_between_their_intervals() -> None:
    below, above = (stats.binomtest(count, 30).proportion_ci(0.95, "wilson") for count in (20, 21))
    low, high = wilson_interval(20.25 / 30, 30)
    assert (low, high) == pytest.approx((0.75 * below.low + 0.25 * above.low, 0.75 * below.high + 0.25 * above.high))


@pytest.mark.parametrize(("beyond", "end"), [(1.001, 1.0), (-0.001, 0.0)])
def test_wilson_of_a_proportion_beyond_its_range_is_that_of_its_end(beyond: float, end: float) -> None:
    expected = stats.binomtest(int(20 * end), 20).proportion_ci(0.95, "wilson")
    assert wilson_interval(beyond, 20) == pytest.approx((expected.low, expected.high))


def test_mcnemar_and_holm_equal_statsmodels() -> None:
    assert [mcnemar(12, 3), mcnemar(5, 0), mcnemar(40, 41), mcnemar(0, 0)] == pytest.approx([0.03515625, 0.0625, 1, 1])
    # its multipletests by holm gives
    assert holm([0.01, 0.04, 0.03, 0.5, 0.03]) == pytest.approx([0.05, 0.12, 0.12, 0.5, 0.12])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_samples_of_clusters_vary_together_as_in_statsmodels() -> None:
    d = np.array([1, 0, -1, 0, 1, 1, 0, 0, 1, 0, 0, -1.0])
    clusters = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3])
    # OLS on a constant, cov_type="cluster" without its own correction: bse² · 4/3
    assert sample_variance(d - d.mean(), clusters) == (pytest.approx(0.04063786, rel=1e-6), 3)
    assert sample_variance(d - d.mean(), np.zeros(12)) == (0.0, 1)
    alone = sample_variance(d - d.mean(), None)
    assert alone == (pytest.approx(stats.sem(d) ** 2), 11)
    assert sample_variance(d - d.mean(), np.arange(12)) == pytest.approx(alone)


def test_one_seed_is_the_t_test_of_its_samples() -> None:
    d = np.random.default_rng(0).integers(-1, 2, 80).astype(float)
    expected = stats.ttest_1samp(d, 0)
    measured = paired_difference(d[None])
    interval = expected.confidence_interval()
    assert (measured.mean, measured.p) == pytest.approx((d.mean(), expected.pvalue))
    assert measured.interval == pytest.approx((interval.low, interval.high))


def test_seeds_alone_are_the_paired_t_test_of_their_means() -> None:
    differences = np.array([0.01, 0.03, 0.05])
    expected = stats.ttest_1samp(differences, 0)
    measured = paired_difference(np.repeat(differences[:, None], 50, 1))
    assert (measured.mean, measured.p) == pytest.approx((0.03, expected.pvalue))


def test_the_variance_is_that_of_resampling_seeds_and_samples() -> None:
    # scipy's bootstrap of two samples, the seeds and the test samples, draws each by itself: the pigeonhole bootstrap
    draw = np.random.default_rng(1)
    d = draw.normal(0.02, 0.05, (12, 1)) + draw.normal(0, 0.4, 60) + draw.normal(0, 0.02, (12, 60))

    def mean(seeds: np.ndarray, samples: np.ndarray, axis: int) -> np.ndarray:
        return d[seeds[..., :, None].astype(int), samples[..., None, :].astype(int)].mean((-2, -1))

    drawn = stats.bootstrap((np.arange(12), np.arange(60)), mean, n_resamples=4000, rng=draw, vectorized=True)
    low, high = paired_difference(d).interval
    parts = [(d.mean(1).var(ddof=1) / 12, 11), (d.mean(0).var(ddof=1) / 60, 59)]
    freedom = sum(part for part, _ in parts) ** 2 / sum(part**2 / degrees for part, degrees in parts)
    error = (high - low) / 2 / stats.t.ppf(0.975, freedom)
    # the bootstrap divides by n where this divides by n−1: 4 % in the seeds' part; and its own error is 2 %
    assert error == pytest.approx(drawn.standard_error, rel=0.07)


def test_equal_rows_do_not_differ() -> None:
    same = paired_difference(np.zeros((3, 10)))
    assert (same.mean, same.interval, same.p) == (0.0, (0.0, 0.0), 1.0)


def test_a_difference_that_is_the_same_in_every_sample_is_certain() -> None:
    same = paired_difference(np.full((3, 10), -0.5))
    assert (same.mean, same.interval, same.p) == (-0.5, (-0.5, -0.5), 0.0)


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(spread: float) -> None:
    # whether samples are right: some are hard for all, each row has hard ones of its own, and seeds vary by `spread`
    draw, held, studies, seeds, samples = np.random.default_rng(2), 0, 400, 3, 300
    for _ in range(studies):
        difficulty = draw.normal(0, 0.3, samples)

        def right(level: float, difficulty: np.ndarray = difficulty) -> np.ndarray:
            own, seed = draw.normal(0, 0.1, samples), draw.normal(0, spread, (seeds, 1))
            return draw.random((seeds, samples)) < level + seed + np.tanh(difficulty) * 0.2 + own * 0.3

        low, high = paired_difference(right(0.65).astype(float) - right(0.6)).interval
        held += low <= 0.05 <= high
    assert 0.92 <= held / studies <= 1.0
