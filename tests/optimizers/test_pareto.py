"""Fronts, crowding and the methods that use them: against brute force, and on a benchmark whose front is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.query import Status
from lcbench.space import lcbench_space
from optimizers.mo_hyperband import MultiObjectiveHyperband
from optimizers.parego import ParEGO
from optimizers.pareto import best_first, crowding_distances, front_numbers, objectives, rank_by_fronts
from optimizers.random_search import RandomSearch
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark
from tests.laws.test_optimizers import drive

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=25)


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


@given(rows)
def test_fronts_are_peeled_one_by_one(values):
    numbers, left, front = front_numbers(np.array(values, float)), list(range(len(values))), 0
    while left:
        first = [i for i in left if not any(dominates(values[j], values[i]) for j in left)]
        assert all(numbers[i] == front for i in first)
        left, front = [i for i in left if i not in first], front + 1


@given(rows)
def test_nothing_dominated_comes_before_what_dominates_it(values):
    order = best_first(np.array(values, float)).tolist()
    assert sorted(order) == list(range(len(values)))
    for place, i in enumerate(order):
        assert not any(dominates(values[j], values[i]) for j in order[place + 1 :])


def test_the_ends_of_a_front_are_never_crowded():
    values = np.array([[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [3.0, 1.0], [4.0, 0.0]])
    distances = crowding_distances(values)
    assert np.isinf(distances[[0, 4]]).all()
    assert distances[3] > distances[1] > 0
    assert best_first(values).tolist()[:2] == [0, 4]


def test_failures_are_not_ranked():
    benchmark, optimizer = FakeBenchmark(), RandomSearch(lcbench_space(), ladder(50, 6, 2), np.random.default_rng(0))
    _, results = drive(optimizer, benchmark, 20, n_open=2, shuffle=np.random.default_rng(0), fails=0.5)
    ranked = rank_by_fronts(results)
    assert len(ranked) == sum(result.status is Status.SUCCESS for result in results)
    values = np.array([objectives(result) for result in ranked])
    assert (np.diff(front_numbers(values)) >= 0).all()


def test_a_rung_promotes_its_front():
    space, benchmark = lcbench_space(), FakeBenchmark()
    optimizer = MultiObjectiveHyperband(space, ladder(50, 6, 2), np.random.default_rng(0))
    asked, results = drive(optimizer, benchmark, 12)  # the first rung of eight, and the four that go on
    values = np.array([objectives(result) for result in results[:8]])
    expected = sorted(best_first(values)[:4].tolist())
    assert [query.trial for query in asked[8:]] == expected


def hypervolume(values, corner):
    """The area between a front and a corner, by rectangles."""
    front = sorted(map(tuple, values[front_numbers(values) == 0]))
    area, height = 0.0, corner[1]
    for loss, seconds in front:
        area += max(corner[0] - loss, 0) * max(height - seconds, 0)
        height = min(height, seconds)
    return area


@pytest.mark.parametrize("seed", range(3))
def test_parego_covers_more_than_random_search(seed):
    space, benchmark = lcbench_space(), FakeBenchmark()
    volumes = []
    for method in (ParEGO, RandomSearch):
        _, results = drive(method(space, ladder(50, 6, 2), np.random.default_rng(seed)), benchmark, 45)
        volumes.append(hypervolume(np.array([objectives(result) for result in results]), (0.9, 80.0)))
    assert volumes[0] > volumes[1]


def test_crowding_is_measured_in_spreads_of_every_objective():
    """By hand: neighbours of the second are 2 of 4 apart in one objective, and 30 of 40 in the other."""
    values = np.array([[0.0, 40.0], [1.0, 30.0], [2.0, 10.0], [4.0, 0.0]])
    np.testing.assert_allclose(crowding_distances(values), [np.inf, 2 / 4 + 30 / 40, 3 / 4 + 30 / 40, np.inf])
    np.testing.assert_allclose(crowding_distances(values * [1000.0, 0.001]), crowding_distances(values))
