"""Statistics against scipy, resamples against a loop, bands against what they promise."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.aggregate import (
    aggregate,
    band,
    by_point,
    cumulative,
    detectable_difference,
    ranks,
    resample_counts,
    resampled,
    summary,
)
from analysis.options import STATISTICS

SCIPY = {
    "mean": lambda x: np.mean(x, axis=-1),
    "median": lambda x: np.median(x, axis=-1),
    "iqm": lambda x: scipy.stats.trim_mean(x, 0.25, axis=-1),
}
VALUES = st.floats(-1e3, 1e3, allow_subnormal=False)


@given(arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=VALUES), st.sampled_from(STATISTICS))
def test_statistics_are_those_of_scipy(values, statistic):
    np.testing.assert_allclose(aggregate(values, statistic), SCIPY[statistic](values), atol=1e-9)


@given(st.integers(1, 200), st.sampled_from(STATISTICS))
def test_weights_rise_from_0_to_1_and_are_symmetric(n, statistic):
    weight = cumulative(statistic, n)
    assert weight[0] == 0
    assert weight[-1] == 1
    assert (np.diff(weight) >= 0).all()
    np.testing.assert_allclose(weight + weight[::-1], 1)


@given(arrays(float, (3, 12), elements=VALUES), st.sampled_from(STATISTICS))
def test_resamples_equal_a_loop_that_repeats_values(values, statistic):
    counts = resample_counts(3, 4, 20, np.random.default_rng(0))
    loop = [[SCIPY[statistic](np.repeat(x, count)) for x in values] for count in counts]
    np.testing.assert_allclose(resampled(values, statistic, counts), loop, atol=1e-9)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_missing_value_makes_its_point_missing_and_no_other(statistic):
    values = np.random.default_rng(0).normal(size=(4, 12))
    values[1, 3] = np.nan
    counts = resample_counts(3, 4, 50, np.random.default_rng(0))
    assert np.isnan(aggregate(values, statistic)).tolist() == [False, True, False, False]
    assert np.isnan(resampled(values, statistic, counts)).all(axis=0).tolist() == [False, True, False, False]
    low, high = band(resampled(values, statistic, counts), 0.9)
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [False, True, False, False]


def test_every_task_has_the_same_draws_and_as_many_as_seeds():
    counts = resample_counts(5, 7, 100, np.random.default_rng(0)).reshape(100, 5, 7)
    assert (counts.sum(axis=2) == 7).all()
    assert (counts == counts[:, :1]).all()
    assert counts.var(axis=0).min() > 0.3  # of a binomial with 7 draws: 0.86


def test_equal_generators_give_equal_bands():
    values = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    first, again = (summary(values, "iqm", n_boot=100, level=0.9, rng=np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_summary_is_that_of_every_curve_and_point():
    values = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    value, low, high = summary(values, "median", n_boot=200, level=0.95, rng=np.random.default_rng(0))
    for o, g in itertools.product(range(2), range(4)):
        assert value[o, g] == pytest.approx(np.median(values[o, ..., g]))
    assert (low <= value).all()
    assert (value <= high).all()


def test_runs_last_points_first():
    values = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    assert by_point(values)[1 * 4 + 2].tolist() == values[1, :, :, 2].ravel().tolist()


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_a_band_covers_the_mean_about_as_often_as_it_says(shared):
    """Also where a part of the luck of a seed is the same on all tasks."""
    rng = np.random.default_rng(0)
    centres = np.array([0.0, 5.0, -3.0])  # tasks differ far more than seeds: a bootstrap that mixed tasks would have bands of width 1
    covered, widths = 0, []
    for _ in range(300):
        runs = centres[:, None] + np.sqrt(shared) * rng.normal(size=30) + np.sqrt(1 - shared) * rng.normal(size=(3, 30))
        _, low, high = summary(runs[None, :, :, None], "mean", n_boot=300, level=0.9, rng=rng)
        covered += low[0, 0] <= centres.mean() <= high[0, 0]
        widths.append(high[0, 0] - low[0, 0])
    assert 0.84 < covered / 300 < 0.94
    assert np.mean(widths) == pytest.approx(2 * 1.645 * np.sqrt((1 + 2 * shared) / 90), rel=0.1)


@given(arrays(float, (5, 3), elements=st.sampled_from([0.0, 1.0, 2.0, np.nan])))
def test_ranks_by_brute_force(values):
    ranked = ranks(values)
    for j in range(3):
        column = [np.inf if np.isnan(value) else value for value in values[:, j]]
        for i in range(5):
            smaller = sum(other < column[i] for other in column)
            equal = sum(other == column[i] for other in column)
            assert ranked[i, j] == smaller + (equal + 1) / 2
        assert ranked[:, j].tolist() == scipy.stats.rankdata(column).tolist()


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_the_detectable_difference_is_detected_as_often_as_it_says(shared):
    rng = np.random.default_rng(0)
    spread = np.array([0.5, 1.0, 2.0])[:, None]

    def runs(n_seeds):
        return spread * (np.sqrt(shared) * rng.normal(size=n_seeds) + np.sqrt(1 - shared) * rng.normal(size=(3, n_seeds)))

    difference = detectable_difference(np.stack([runs(4000), runs(4000)])) * np.sqrt(4000 / 40)  # for 40 seeds
    found = 0
    for _ in range(500):
        a, b = runs(40), runs(40)
        gap = (b + difference).mean() - a.mean()
        error = np.sqrt((a.mean(axis=0).var(ddof=1) + b.mean(axis=0).var(ddof=1)) / 40)
        found += abs(gap / error) > 1.96
    assert 0.74 < found / 500 < 0.86
    assert np.isnan(detectable_difference(np.zeros((2, 3, 1))))
