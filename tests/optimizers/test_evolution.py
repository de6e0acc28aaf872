"""Regularized evolution: who has a child, and what a mutation changes."""

from dataclasses import replace

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Constant, UniformFloatHyperparameter
from scipy.stats import chisquare

from lcbench.curve import LearningCurve
from lcbench.query import Origin, Result, Status
from lcbench.space import encode, lcbench_space, sample
from optimizers.evolution import RegularizedEvolution
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark, mixed_space


def make(space, seed=0, **settings):
    return RegularizedEvolution(space, ladder(50, 6, 2), np.random.default_rng(seed), **settings)


def answered(query, loss):
    """A failure if there is no loss."""
    if loss is None:
        return Result.failure(query, Status.CRASHED, "told to fail")
    return Result(query, LearningCurve.empty(), loss, 1.0)


def children_of(parent, space, n, origin=Origin.MODEL, **settings):
    """n children of a population of one, which was put into the place of what the method had proposed."""
    optimizer = make(space, population=1, sample=1, **settings)
    optimizer.tell(answered(replace(optimizer.ask(), configuration=parent, origin=Origin.PORTFOLIO), 0.5))
    queries = [optimizer.ask() for _ in range(n)]
    assert {query.origin for query in queries} == {origin}
    return [query.configuration for query in queries]


def test_the_parent_is_the_best_of_a_sample_with_replacement():
    """The r-th best of P is it with probability ((P - r + 1)^S - (P - r)^S) / P^S; a failure is the worst."""
    optimizer, losses = make(lcbench_space(), population=5, sample=3), [0.4, None, 0.1, 0.3, 0.2]
    queries = [optimizer.ask() for _ in losses]
    for query, loss in zip(queries, losses, strict=True):
        optimizer.tell(answered(query, loss))
    members = encode([query.configuration for query in queries], optimizer.space)
    children = encode([optimizer.ask().configuration for _ in range(2000)], optimizer.space)  # never told: the members stay
    parents = np.argmin((np.abs(children[:, None] - members) > 1e-9).sum(axis=2), axis=1)
    best_first = np.bincount(parents, minlength=5)[[2, 4, 3, 0, 1]]
    assert chisquare(best_first, 2000 * -np.diff(np.arange(5, -1, -1) ** 3) / 5**3).pvalue > 0.01


@pytest.mark.parametrize("seed", range(5))
def test_a_mutation_changes_one_hyperparameter_and_what_hangs_on_it(seed):
    space = mixed_space()
    parent = sample(space, np.random.default_rng(seed))
    for child in children_of(parent, space, 100):
        child.check_valid_configuration()
        both = [name for name in space if name in parent and name in child]
        changed = [name for name in both if parent[name] != child[name]]
        assert len(changed) == 1
        assert changed == ["optimizer"] or parent.keys() == child.keys()


def test_a_number_moves_by_the_step_on_its_scale():
    space = ConfigurationSpace(space=[UniformFloatHyperparameter("rate", 1e-6, 1.0, log=True, default_value=1e-3)])
    moves = encode(children_of(space.get_default_configuration(), space, 2000, step=0.1), space)[:, 0] - 0.5
    assert np.mean(moves) == pytest.approx(0, abs=0.01)
    assert np.std(moves) == pytest.approx(0.1, rel=0.06)


def test_a_category_turns_into_each_other_choice_alike():
    space = ConfigurationSpace(space=[CategoricalHyperparameter("c", ["a", "b", "c", "d"], default_value="c")])
    drawn = [child["c"] for child in children_of(space.get_default_configuration(), space, 900)]
    assert set(drawn) == {"a", "b", "d"}
    assert chisquare([drawn.count(c) for c in "abd"]).pvalue > 0.01


def test_where_nothing_can_change_a_child_is_a_draw():
    space = ConfigurationSpace(space=[Constant("c", "only")])
    assert [child["c"] for child in children_of(space.get_default_configuration(), space, 3, origin=Origin.RANDOM)] == ["only"] * 3


def test_initial_trials_may_all_be_open():
    """As many are drawn as the population has members; with no result yet, more draws and no child."""
    optimizer, benchmark = make(lcbench_space(), population=4, sample=2), FakeBenchmark()
    queries = [optimizer.ask() for _ in range(6)]
    assert {query.origin for query in queries} == {Origin.INITIAL}
    optimizer.tell(benchmark.evaluate(queries[-1]))
    assert optimizer.ask().origin is Origin.MODEL


def test_what_a_mutation_activates_is_drawn():
    space = mixed_space()
    parent = next(c for c in (sample(space, np.random.default_rng(seed)) for seed in range(50)) if c["optimizer"] != "sgd")
    momenta = {child["momentum"] for child in children_of(parent, space, 300) if "momentum" in child}
    assert len(momenta) > 20
