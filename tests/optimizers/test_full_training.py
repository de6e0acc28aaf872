"""Grid, Sobol and evolution: what each of them promises beyond the laws; and that no model proposes what is known."""

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformFloatHyperparameter, UniformIntegerHyperparameter
from scipy.stats import qmc

from lcbench.query import Origin
from lcbench.space import encode, key, lcbench_space
from optimizers.bayesian import GaussianProcessSearch
from optimizers.evolution import RegularizedEvolution
from optimizers.forest import RandomForestSearch
from optimizers.grid import GridSearch
from optimizers.rungs import ladder
from optimizers.sobol import SobolSearch
from optimizers.tpe import TPE
from tests.fakes import FakeBenchmark, mixed_space
from tests.laws.test_optimizers import drive

LADDER = ladder(50, 6, 2)
SMALL = ConfigurationSpace(
    space=[
        UniformFloatHyperparameter("x", 0.0, 3.0),
        UniformIntegerHyperparameter("n", 1, 2),
        CategoricalHyperparameter("c", ["a", "b", "c", "d"]),
    ]
)


def make(method, space, seed=0, **settings):
    return method(space, LADDER, np.random.default_rng(seed), **settings)


def test_a_grid_is_visited_whole_before_a_finer_one_begins():
    optimizer = make(GridSearch, SMALL)
    seen = [optimizer.ask().configuration for _ in range(3 * 2 * 4)]
    assert len({key(configuration) for configuration in seen}) == 24
    assert {configuration["x"] for configuration in seen} == {0.5, 1.5, 2.5}
    finer = {optimizer.ask().configuration["x"] for _ in range(40)}
    assert finer >= {0.375, 1.125}


def test_the_order_of_a_grid_is_random():
    orders = {
        tuple(optimizer.ask().configuration["x"] for _ in range(12)) for optimizer in (make(GridSearch, SMALL, seed) for seed in range(4))
    }
    assert len(orders) == 4


def test_a_space_of_three_configurations_is_begun_again():
    space = ConfigurationSpace(space=[CategoricalHyperparameter("c", ["a", "b", "c"])])
    optimizer = make(GridSearch, space)
    assert len({optimizer.ask().configuration["c"] for _ in range(3)}) == 3
    assert optimizer.ask().configuration["c"] in "abc"


def test_sobol_is_more_even_than_random():
    space = ConfigurationSpace(space=[UniformFloatHyperparameter(name, 0.0, 1.0) for name in "abcd"])
    optimizer = make(SobolSearch, space)
    points = encode([optimizer.ask().configuration for _ in range(128)], space)
    assert qmc.discrepancy(points) < 0.3 * qmc.discrepancy(np.random.default_rng(0).random(points.shape))


def test_sobol_gives_every_whole_number_its_share():
    optimizer = make(SobolSearch, SMALL)
    drawn = [optimizer.ask().configuration for _ in range(256)]
    assert abs(sum(configuration["n"] == 1 for configuration in drawn) - 128) <= 2
    assert all(abs(sum(configuration["c"] == c for configuration in drawn) - 64) <= 2 for c in "abcd")


@pytest.mark.parametrize("n_open", [1, 3])
@pytest.mark.parametrize("method", [GaussianProcessSearch, RandomForestSearch, TPE])
def test_a_model_proposes_nothing_that_is_known_until_everything_is(method, n_open):
    space = ConfigurationSpace(space=[CategoricalHyperparameter("c", ["a", "b", "c"]), UniformIntegerHyperparameter("n", 1, 3)])
    asked, _ = drive(make(method, space, n_initial=3), FakeBenchmark(space), 15, n_open=n_open)
    by_model = [i for i, query in enumerate(asked) if query.origin is Origin.MODEL]
    known = [{key(query.configuration) for query in asked[:i]} for i in range(15)]
    assert len(by_model) > 3
    assert not [i for i in by_model if key(asked[i].configuration) in known[i]]


@pytest.mark.parametrize("space", [lcbench_space, mixed_space])
def test_a_child_differs_from_a_living_member_in_one_mutation(space):
    space = space()
    optimizer = make(RegularizedEvolution, space)
    benchmark, told = FakeBenchmark(space), []
    for n in range(120):
        query = optimizer.ask()
        if n < 10:
            assert query.origin is Origin.INITIAL
        elif query.origin is Origin.MODEL and space.name == "lcbench":
            child = encode([query.configuration], space)[0]
            living = encode([result.query.configuration for result in told[-10:]], space)
            assert ((np.abs(living - child) > 1e-9).sum(axis=1) == 1).any()
        told.append(benchmark.evaluate(query))
        optimizer.tell(told[-1])


def test_the_best_dies_of_age():
    optimizer, benchmark = make(RegularizedEvolution, lcbench_space(), population=5, sample=5), FakeBenchmark()
    _, results = drive(optimizer, benchmark, 60)
    assert list(optimizer._members) == results[-5:]


@pytest.mark.parametrize(
    ("method", "settings", "sentence"),
    [
        (GridSearch, {"points_per_number": 0}, "`points_per_number` is 0, but must be at least 1"),
        (RegularizedEvolution, {"sample": 30}, "`sample` is 30, but must lie in 1..10"),
        (RegularizedEvolution, {"step": 0.0}, "`step` is 0.0, but must be above 0"),
    ],
)
def test_bad_settings_are_refused(method, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(method, lcbench_space(), **settings)
