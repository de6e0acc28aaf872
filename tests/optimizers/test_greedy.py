"""The greedy rule against brute force, by hand, and in what it must never look at."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optimizers.greedy import by_size, greedy, leave_one_out, random_by_size, regrets_of

EIGHTHS = arrays(np.int64, st.tuples(st.integers(1, 7), st.integers(1, 4)), elements=st.integers(0, 8)).map(lambda counts: counts / 8)
"""Regrets (n, M) whose sums are exact, with many ties."""
SCORES = arrays(np.float64, (5, 3), elements=st.sampled_from([np.nan, 0.1, 0.4, 0.5, 0.9, 1.0]))
BY_HAND = np.array(
    [
        [0.0, 1.0, 1.0],
        [1.0, 0.0, 0.0],
        [0.25, 0.25, 0.25],
        [0.0, 0.0, 1.0],
    ]
)


def mean_regret(regrets, members):
    """Of a portfolio; that of none is 1, the worst there is."""
    return np.min(regrets[list(members)], axis=0).mean() if members else 1.0


def test_golden_by_hand():
    """2 is the best alone (mean 1/4); beside it 1 and 3 leave a twelfth, and 1 stands before; then 0 and 3 leave nothing, and 0 does."""
    assert greedy(BY_HAND, 3) == [2, 1, 0]
    assert by_size(BY_HAND, [2, 1, 0]).tolist() == [[0.25, 0.25, 0.25], [0.25, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert greedy(BY_HAND, 9) == [2, 1, 0, 3]


@given(EIGHTHS)
def test_every_pick_is_that_of_brute_force_and_the_first_of_equal_ones(regrets):
    members = greedy(regrets, len(regrets))
    assert sorted(members) == list(range(len(regrets)))
    assert members[0] == min(range(len(regrets)), key=lambda c: mean_regret(regrets, [c]))
    for k in range(len(members)):
        others = [c for c in range(len(regrets)) if c not in members[:k]]
        assert members[k] == min(others, key=lambda c: mean_regret(regrets, [*members[:k], c]))


@given(EIGHTHS, st.integers(1, 7))
def test_the_mean_regret_never_rises_and_a_smaller_portfolio_is_a_prefix(regrets, size):
    members = greedy(regrets, size)
    assert len(members) == min(size, len(regrets))
    assert (np.diff(by_size(regrets, members).mean(axis=1)) <= 0).all()
    assert members == greedy(regrets, len(regrets))[:size]


@given(EIGHTHS, st.data())
def test_what_a_member_adds_shrinks_as_the_portfolio_grows(regrets, data):
    candidates = st.sets(st.integers(0, len(regrets) - 1))
    small = data.draw(candidates)
    large, one = small | data.draw(candidates), data.draw(st.integers(0, len(regrets) - 1))
    gains = [mean_regret(regrets, members) - mean_regret(regrets, members | {one}) for members in (small, large)]
    assert gains[0] >= gains[1] - 1e-12 >= -2e-12


@given(EIGHTHS, st.integers(1, 4))
def test_greed_is_never_far_from_the_best_portfolio(regrets, size):
    size = min(size, len(regrets))
    best = min(mean_regret(regrets, members) for members in combinations(range(len(regrets)), size))
    assert 1 - mean_regret(regrets, greedy(regrets, size)) >= (1 - 1 / np.e) * (1 - best) - 1e-12


@given(EIGHTHS)
def test_the_mean_over_random_portfolios_is_exact(regrets):
    means = random_by_size(regrets, len(regrets))
    for k in range(1, len(regrets) + 1):
        every = [np.min(regrets[list(members)], axis=0) for members in combinations(range(len(regrets)), k)]
        assert means[k - 1] == pytest.approx(np.mean(every, axis=0))
    assert random_by_size(regrets, 99).shape == regrets.shape


@given(EIGHTHS, st.integers(2, 3))
def test_identical_tasks_count_as_one(regrets, times):
    assert greedy(np.hstack([regrets] * times), len(regrets)) == greedy(regrets, len(regrets))


@given(arrays(np.float64, (6, 3), elements=st.floats(0, 1)), arrays(np.float64, 6, elements=st.floats(-5, 5)), st.integers(0, 2))
def test_a_task_that_is_left_out_is_never_seen(scores, others, t):
    """Whatever is measured on it, also nothing: the members chosen without it stay."""
    changed, unknown = scores.copy(), scores.copy()
    changed[:, t] = others
    unknown[1:, t] = np.nan
    members = leave_one_out(regrets_of(scores), 4, "abc")[t]
    assert leave_one_out(regrets_of(changed), 4, "abc")[t] == members
    assert leave_one_out(regrets_of(unknown), 4, "abc")[t] == members
    assert members == greedy(np.delete(regrets_of(scores), t, axis=1), 4)


def test_folds_of_a_table_are_left_out_together():
    regrets = np.random.default_rng(0).random((9, 4))
    without = {"a": greedy(regrets[:, [1, 3]], 3), "b": greedy(regrets[:, [0, 2, 3]], 3), "c": greedy(regrets[:, [0, 1, 2]], 3)}
    assert leave_one_out(regrets, 3, "abac") == [without[table] for table in "abac"]


def test_one_table_cannot_be_left_out():
    for tables in ("a", "aa"):
        with pytest.raises(ValueError, match="there is 1 table"):
            leave_one_out(np.zeros((3, len(tables))), 2, tables)


def test_regrets_by_hand():
    scores = np.array([[0.5, 0.9, 0.7], [0.8, np.nan, 0.7], [0.6, 0.6, 0.7]])
    assert regrets_of(scores) == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [2 / 3, 1, 0]]))
    assert regrets_of(scores, "best") == pytest.approx(np.array([[3 / 8, 0, 0], [0, 1 / 3, 0], [1 / 4, 1 / 3, 0]]))


def test_the_best_and_the_worst_may_be_others_than_candidates():
    among = np.array([[0.5], [0.8], [0.9], [0.4]])
    assert regrets_of(np.array([[0.5], [np.nan]]), among=among) == pytest.approx(np.array([[0.8], [1.0]]))
    assert regrets_of(among[:2], "best", among) == pytest.approx(np.array([[4 / 9], [1 / 9]]))


@given(SCORES, st.floats(0.5, 4), st.floats(-3, 3))
def test_the_range_knows_no_unit_and_what_is_missing_is_the_worst(scores, scale, shift):
    scores[0] = 0.3
    regrets = regrets_of(scores)
    assert ((regrets >= 0) & (regrets <= 1)).all()
    assert (regrets.min(axis=0) == 0).all()
    assert regrets_of(scale * scores + shift) == pytest.approx(regrets, abs=1e-9)
    assert (regrets[np.isnan(scores)] == np.broadcast_to(regrets.max(axis=0), regrets.shape)[np.isnan(scores)]).all()


def test_scores_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="task 1 has no finite score"):
        regrets_of(np.array([[1.0, np.nan], [2.0, np.inf]]))
    with pytest.raises(ValueError, match="best score of a task is 0"):
        regrets_of(np.array([[0.0], [-1.0]]), "best")
    assert regrets_of(np.zeros((2, 1)), "best").tolist() == [[0.0], [0.0]]
