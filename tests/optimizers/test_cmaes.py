"""CMA-ES: equal to the library asked by hand, whatever the order of the answers; failures; cells; new beginnings."""

import math
from dataclasses import replace

import numpy as np
import pytest
from cmaes import CMA
from ConfigSpace import ConfigurationSpace, UniformFloatHyperparameter
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.query import Origin, Result, Status
from lcbench.space import cardinalities, encode, lcbench_space, sample
from optimizers.cmaes import CMAES
from optimizers.random_search import RandomSearch
from optimizers.rungs import ladder
from tests.fakes import OPTIMUM, FakeBenchmark, mixed_space
from tests.laws.test_optimizers import drive, said

LADDER = ladder(50, 6, 2)


def floats(d):
    return ConfigurationSpace(space=[UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(d)])


def make(space, seed=0, **settings_):
    return CMAES(space, LADDER, np.random.default_rng(seed), **settings_)


def test_it_is_the_library_on_the_unit_cube():
    space = floats(5)
    benchmark, optimizer = FakeBenchmark(space), make(space, seed=3, sigma=0.2)
    seed = int(np.random.default_rng(3).integers(2**31))
    library = CMA(mean=np.full(5, 0.5), sigma=0.2, bounds=np.tile([0.0, 1.0], (5, 1)), seed=seed)
    for _ in range(20):
        generation = []
        for _ in range(library.population_size):
            point, query = library.ask(), optimizer.ask()
            vector = encode([query.configuration], space)[0]
            assert vector == pytest.approx(point, abs=1e-6)
            result = benchmark.evaluate(query)
            generation.append((vector, result.loss))
            optimizer.tell(result)
        library.tell(generation)


@given(order=st.randoms(use_true_random=False), n_open=st.integers(1, 30), fails=st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=40)
def test_a_generation_is_learned_when_enough_results_are_there(order, n_open, fails):
    """Late, out of order, failed: after every whole generation with a success in it there is one update, and none between."""
    space = floats(3)
    benchmark, optimizer, waiting, told, updates = FakeBenchmark(space), make(space), [], [], 0
    size = optimizer._strategy.population_size
    for _ in range(10 * size):
        waiting.append(optimizer.ask())
        if len(waiting) >= n_open:
            query = waiting.pop(order.randrange(len(waiting)))
            failed = order.random() < fails
            optimizer.tell(Result.failure(query, Status.TIMEOUT, "told to fail") if failed else benchmark.evaluate(query))
            told.append(failed)
            if len(told) % size == 0:
                updates += not all(told[-size:])
        assert optimizer._strategy.generation == updates


def test_a_failure_ranks_after_every_loss():
    """Told as a failure or told as a horrible loss: the same asks."""
    space, runs = lcbench_space(), []
    for fail in (
        lambda query: Result.failure(query, Status.CRASHED, "told to fail"),
        lambda query: replace(FakeBenchmark(space).evaluate(query), loss=1e6),
    ):
        optimizer, asked = make(space), []
        for n in range(120):
            asked.append(optimizer.ask())
            optimizer.tell(fail(asked[-1]) if n % 4 == 0 else FakeBenchmark(space).evaluate(asked[-1]))
        runs.append(said(asked))
    assert runs[0] == runs[1]


def test_nothing_is_learned_where_everything_failed():
    optimizer = make(lcbench_space())
    for _ in range(40):
        optimizer.tell(Result.failure(optimizer.ask(), Status.DIVERGED, "told to fail"))
    assert optimizer._strategy.generation == 0
    assert len(optimizer._told) < optimizer._strategy.population_size


def test_the_coordinate_of_a_category_is_the_one_that_was_drawn():
    """A coordinate that always lay in the middle of its cell would lose its spread; what was evaluated instead does lie there."""
    space = mixed_space()
    optimizer, benchmark, rng = make(space), FakeBenchmark(space), np.random.default_rng(0)
    unordered = cardinalities(space) > 0
    query = optimizer.ask()
    drawn = optimizer._drawn[query.trial].copy()
    optimizer.tell(benchmark.evaluate(query))
    assert np.array_equal(optimizer._told[-1][0][unordered], drawn[unordered])

    query = optimizer.ask()
    drawn = optimizer._drawn[query.trial].copy()
    other = next(c for c in iter(lambda: sample(space, rng), None) if c["optimizer"] != query.configuration["optimizer"])
    optimizer.tell(benchmark.evaluate(replace(query, configuration=other)))
    place = list(space).index("optimizer")
    learned = optimizer._told[-1][0]
    assert learned[place] == encode([other], space)[0, place] != drawn[place]
    assert not np.isnan(learned).any()


def test_the_mean_goes_to_what_was_evaluated():
    space = floats(4)
    optimizer, benchmark, rng = make(space), FakeBenchmark(space), np.random.default_rng(0)
    for _ in range(10 * optimizer._strategy.population_size):
        points = 0.8 + 0.02 * rng.standard_normal(4)
        there = type(sample(space, rng))(space, values={f"x{i}": float(x) for i, x in enumerate(points)})
        optimizer.tell(benchmark.evaluate(replace(optimizer.ask(), configuration=there)))
    assert optimizer._strategy._mean == pytest.approx(np.full(4, 0.8), abs=0.05)


def test_the_mean_goes_to_the_optimum():
    for seed in range(3):
        optimizer = make(floats(4), seed)
        drive(optimizer, FakeBenchmark(floats(4)), 240)
        assert optimizer._strategy._mean == pytest.approx(np.full(4, OPTIMUM), abs=0.05)


@pytest.mark.parametrize("n_open", [1, 8])
def test_it_beats_random_search(n_open):
    space, gains = lcbench_space(), []
    for seed in range(8):
        best = [
            min(result.loss for result in drive(optimizer, FakeBenchmark(space), 126, n_open=n_open)[1])
            for optimizer in (RandomSearch(space, LADDER, np.random.default_rng(seed)), make(space, seed))
        ]
        gains.append(best[0] - best[1])
    assert np.median(gains) > 0.01


def test_it_begins_anew_when_it_has_shrunk_to_a_point():
    space = floats(2)
    optimizer, benchmark = make(space), FakeBenchmark(space)
    first = optimizer._strategy
    for _ in range(3000):
        optimizer.tell(benchmark.evaluate(optimizer.ask()))
        if optimizer._strategy is not first:
            break
    assert first.should_stop()
    assert optimizer._strategy.generation == 0
    assert optimizer._strategy._sigma == 0.3
    assert not np.array_equal(optimizer._strategy._mean, np.full(2, 0.5))


def test_a_space_of_one_hyperparameter_is_drawn_from():
    """The library has no distribution for a single dimension."""
    space = floats(1)
    asked, _ = drive(make(space), FakeBenchmark(space), 50)
    assert len({query.configuration["x0"] for query in asked}) == 50


def test_every_trial_is_trained_in_full():
    asked, _ = drive(make(mixed_space()), FakeBenchmark(mixed_space()), 60, n_open=5)
    assert {(query.epoch, query.rung) for query in asked} == {(LADDER.max, 0)}
    assert Origin.PROMOTION not in {query.origin for query in asked}


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_bad_settings_are_refused(sigma):
    with pytest.raises(ValueError, match=f"`sigma` is {sigma}, but must be above 0"):
        make(lcbench_space(), sigma=sigma)


def test_a_plateau_ends_in_a_new_beginning_that_learns_nothing_of_the_old_one():
    optimizer, benchmark = make(floats(2)), FakeBenchmark(floats(2))
    first, waiting = optimizer._strategy, []
    for _ in range(2000):
        waiting.append(optimizer.ask())
        if len(waiting) > 10:
            optimizer.tell(replace(benchmark.evaluate(waiting.pop(0)), loss=0.5))
        if optimizer._strategy is not first:
            break
    second = optimizer._strategy
    assert second is not first
    for query in waiting:
        optimizer.tell(benchmark.evaluate(query))
    assert optimizer._strategy is second
    assert second.generation == 0
    assert not optimizer._told
