"""Grid search: where its points lie, and that none is visited twice."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    ForbiddenGreaterThanRelation,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from scipy.stats import chisquare

from lcbench.space import encode, key
from optimizers.grid import GridSearch, Permutation
from optimizers.rungs import ladder
from tests.fakes import mixed_space


def visits(space, n, seed=0, **settings):
    """The first n configurations."""
    optimizer = GridSearch(space, ladder(50, 6, 2), np.random.default_rng(seed), **settings)
    return [query.configuration for query in islice(iter(optimizer.ask, None), n)]


def test_numbers_stand_in_the_middles_of_cells_on_their_scale():
    space = ConfigurationSpace(
        space=[UniformFloatHyperparameter("rate", 1e-4, 1e-1, log=True), UniformIntegerHyperparameter("layers", 1, 5)]
    )
    visited = visits(space, 9)
    assert sorted({configuration["rate"] for configuration in visited}) == pytest.approx([10**-3.5, 10**-2.5, 10**-1.5])
    assert {configuration["layers"] for configuration in visited} == {2, 3, 4}


def test_points_that_round_to_one_whole_number_are_one():
    space = ConfigurationSpace(space=[UniformIntegerHyperparameter("layers", 1, 2), UniformFloatHyperparameter("x", 0.0, 1.0)])
    visited = visits(space, 16, points_per_number=8)
    assert len({key(configuration) for configuration in visited}) == 16
    np.testing.assert_allclose(np.unique(encode(visited, space)[:, 1]), (np.arange(8) + 0.5) / 8)


@pytest.mark.parametrize("seed", range(3))
def test_inactive_hyperparameters_make_no_repeats_whatever_the_grid(seed):
    """100 asks at one point per number: the first grid has 8 + 8 + 3 + 3 members, the next are finer."""
    visited = visits(mixed_space(), 100, seed, points_per_number=1)
    assert len({key(configuration) for configuration in visited}) == 100
    assert len({configuration["num_layers"] for configuration in visited[:22]}) == 1
    assert len({configuration["num_layers"] for configuration in visited}) > 1


def test_a_grid_too_large_to_list_is_no_obstacle():
    space = ConfigurationSpace(space=[UniformFloatHyperparameter(f"x{j}", 0.0, 1.0) for j in range(40)])  # 3^40 members
    points = encode(visits(space, 50), space)
    np.testing.assert_allclose(np.unique(np.round(points, 6)), np.round([1 / 6, 1 / 2, 5 / 6], 6))
    assert len(np.unique(points, axis=0)) == 50


def test_a_space_that_is_used_up_is_begun_again():
    space = ConfigurationSpace(space=[UniformIntegerHyperparameter("layers", 1, 3), CategoricalHyperparameter("c", ["a", "b"])])
    visited = [key(configuration) for configuration in visits(space, 18)]
    for start in (0, 6, 12):
        assert len(set(visited[start : start + 6])) == 6


def permutation(n, seed):
    return iter(Permutation(n, np.random.default_rng(seed)).next, None)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 300])
def test_a_permutation_holds_every_number_once(n):
    assert sorted(permutation(n, n)) == list(range(n))


def test_every_permutation_is_as_likely():
    drawn = Counter(tuple(permutation(3, seed)) for seed in range(6000))
    assert len(drawn) == 6
    assert chisquare(list(drawn.values())).pvalue > 0.01


def test_a_permutation_of_more_numbers_than_fit_into_64_bits():
    drawn = list(islice(permutation(3**80, 0), 100))
    assert len(set(drawn)) == 100
    assert max(drawn) > 2**100


def test_where_no_grid_has_a_legal_member_draws_take_its_place():
    numbers = [UniformFloatHyperparameter("x", 0.0, 1.0, default_value=0.01), UniformFloatHyperparameter("y", 0.0, 0.04)]
    space = ConfigurationSpace(space=numbers)
    space.add(ForbiddenGreaterThanRelation(space["x"], space["y"]))
    optimizer = GridSearch(space, ladder(50, 50, 2), np.random.default_rng(0))
    assert all(query.configuration["x"] <= query.configuration["y"] for query in (optimizer.ask() for _ in range(5)))
