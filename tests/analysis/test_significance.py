"""Tests against scipy and scikit-posthocs, and published numbers."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.significance import Friedman, holm, mann_whitney, seed_tests


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_smallest_level_at_which_the_steps_reach_a_test(p):
    adjusted = holm(np.array(p))
    for level in (0.01, 0.05, 0.3, 0.99):
        rejected = set()
        for step, i in enumerate(np.argsort(p, kind="stable")):  # in rising order, until one fails
            if p[i] * (len(p) - step) >= level:
                break
            rejected.add(i)
        assert rejected == set(np.flatnonzero(adjusted < level))


def test_holm_on_a_worked_example():
    np.testing.assert_allclose(holm(np.array([[0.01, 0.04], [0.03, 0.005]])), [[0.03, 0.06], [0.06, 0.02]])


@pytest.mark.parametrize("n_seeds", [5, 12, 30])
def test_mann_whitney_is_that_of_scipy_row_by_row(n_seeds):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, n_seeds)), rng.normal(0.7, size=(6, n_seeds))
    x[3:], y[3:] = np.round(x[3:]), np.round(y[3:])  # ties
    p, larger = mann_whitney(x, y)
    for i in range(6):
        method = "exact" if i < 3 and n_seeds <= 20 else "asymptotic"
        expected = scipy.stats.mannwhitneyu(x[i], y[i], method=method)
        assert p[i] == pytest.approx(expected.pvalue)
        pairs = [(a > b) + 0.5 * (a == b) for a in x[i] for b in y[i]]
        assert larger[i] == pytest.approx(np.mean(pairs))


def test_equal_runs_are_not_separable():
    p, larger = mann_whitney(np.ones((2, 5)), np.ones((2, 5)))
    assert p.tolist() == [1, 1]
    assert larger.tolist() == [0.5, 0.5]


@given(arrays(float, (3, 2, 6), elements=st.sampled_from([0.0, 0.5, 1.0, np.nan])))
def test_seed_tests_are_symmetric(values):
    p, better = seed_tests(values)
    assert np.array_equal(p, p.transpose(1, 0, 2))
    np.testing.assert_allclose(better + better.transpose(1, 0, 2), 1)
    assert ((p >= 0) & (p <= 1)).all()


def test_who_is_better_is_better_and_a_missing_value_is_the_worst():
    values = np.arange(3)[:, None, None] + np.linspace(0, 0.5, 20)[None, None, :] * np.ones((3, 2, 1))
    values[1, 1] = np.nan
    p, better = seed_tests(values)
    assert (better[0, 1] == 1).all()
    assert better[1, 2].tolist() == [1, 0]
    assert (p[0, 1] < 1e-6).all()


def test_one_optimizer_has_nobody_to_be_compared_with():
    p, better = seed_tests(np.zeros((1, 2, 5)))
    assert p.shape == better.shape == (1, 1, 2)


def test_the_critical_differences_are_the_published_ones():
    # q at 0.05 of Demšar (JMLR 2006), table 5a
    for n_optimizers, q in ((3, 2.343), (4, 2.569), (7, 2.949), (10, 3.164)):
        values = np.random.default_rng(0).normal(size=(n_optimizers, 14))
        expected = q * np.sqrt(n_optimizers * (n_optimizers + 1) / (6 * 14))
        assert Friedman.of(values).critical_difference == pytest.approx(expected, abs=1e-3)


@given(arrays(float, (4, 6), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0])))
def test_friedman_is_that_of_scipy_with_ties(values):
    test = Friedman.of(values)
    if np.ptp(scipy.stats.rankdata(values, axis=0)) == 0:
        assert (test.statistic, test.p) == (0, 1)
    else:
        expected = scipy.stats.friedmanchisquare(*values)
        assert (test.statistic, test.p) == pytest.approx((expected.statistic, expected.pvalue))
    np.testing.assert_allclose(test.ranks, scipy.stats.rankdata(values, axis=0).mean(axis=1))


def test_groups_are_those_that_nemenyi_does_not_separate():
    posthocs = pytest.importorskip("scikit_posthocs")
    rng = np.random.default_rng(1)
    values = rng.normal(size=(6, 20)) + np.linspace(0, 2.5, 6)[:, None]
    test = Friedman.of(values)
    p = np.asarray(posthocs.posthoc_nemenyi_friedman(values.T))
    order = np.argsort(test.ranks)
    together = np.zeros((6, 6), bool)
    for first, last in test.groups():
        together[np.ix_(order[first : last + 1], order[first : last + 1])] = True
    np.fill_diagonal(together, True)
    assert np.array_equal(together, p > 0.05)


def test_groups_are_the_largest_and_none_is_inside_another():
    assert Friedman(np.array([3.0, 1.0, 2.0, 5.0]), 0, 1, 1.5).groups() == [(0, 1), (1, 2)]
    assert Friedman(np.array([1.0, 1.2, 1.4, 9.0]), 0, 1, 1.5).groups() == [(0, 2)]
    assert Friedman(np.array([1.0, 3.0, 5.0]), 0, 1, 1.5).groups() == []
    assert Friedman(np.array([1.0, 2.5, 5.0]), 0, 1, 1.5).groups() == []  # a difference of just the critical one is separable


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="2 optimizers and 5 tasks"):
        Friedman.of(np.zeros((2, 5)))
