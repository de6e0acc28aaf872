"""The random forest: its predictions, its random draws, and what conditional spaces and open asks mean to it."""

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, EqualsCondition, UniformFloatHyperparameter
from scipy.stats import binomtest, spearmanr, wilcoxon

from lcbench.query import Origin, Result, Status
from lcbench.space import encode, lcbench_space
from optimizers.forest import NARROWEST, RandomForestSearch, _complete, _logarithmic
from optimizers.random_search import RandomSearch
from tests.fakes import FakeBenchmark, mixed_space
from tests.laws.test_optimizers import LADDER, drive, said


def make(space, seed=0, **settings):
    return RandomForestSearch(space, LADDER, np.random.default_rng(seed), **{"n_candidates": 200, **settings})


def conditional_space():
    space = ConfigurationSpace(space=[CategoricalHyperparameter("on", [True, False]), UniformFloatHyperparameter("x", 0.0, 1.0)])
    space.add(EqualsCondition(space["x"], space["on"], True))
    space.seed(0)
    return space


def test_a_forest_predicts_between_what_it_saw():
    rng = np.random.default_rng(0)
    x = rng.random((200, 3))
    y = np.sin(5 * x[:, 0]) + x[:, 1]
    predict = make(lcbench_space(), n_trees=30)._model(x, y)
    points = rng.random((300, 3))
    mean, std = predict(points)
    assert mean.min() >= y.min()
    assert mean.max() <= y.max()
    assert (std >= NARROWEST).all()
    assert spearmanr(mean, np.sin(5 * points[:, 0]) + points[:, 1]).statistic > 0.9
    assert predict(x)[1].mean() < std.mean()


def test_where_all_trees_agree_the_deviation_has_a_floor():
    x = np.random.default_rng(0).random((20, 2))
    mean, std = make(lcbench_space())._model(x, np.full(20, 0.3))(x)
    assert mean == pytest.approx(0.3)
    assert std == pytest.approx(NARROWEST)


def test_the_logarithm_keeps_the_order_and_spreads_the_best():
    losses = np.array([-2.0, -1.9, 0.0, 1.0, 3.0])
    stretched = _logarithmic(losses)
    assert (np.diff(stretched) > 0).all()
    assert stretched[1] - stretched[0] > 2 * (losses[1] - losses[0]) / np.ptp(losses) * np.ptp(stretched)
    assert _logarithmic(3 * losses + 7) == pytest.approx(stretched)
    assert _logarithmic(np.zeros(4)) == pytest.approx(0)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (1.0, 80, 80), (0.3, 1, 79)])
def test_some_asks_are_random_draws(share, low, high):
    asked, _ = drive(make(lcbench_space(), random_fraction=share, n_candidates=10), FakeBenchmark(), 88)
    origins = [query.origin for query in asked]
    assert set(origins[:8]) == {Origin.INITIAL}
    n_random = origins[8:].count(Origin.RANDOM)
    assert low <= n_random <= high
    assert binomtest(n_random, 80, share).pvalue > 1e-4


def test_inactive_is_a_value_of_its_own():
    """Training without the conditional hyperparameter is good, with it bad however it is set."""
    space, rng = conditional_space(), np.random.default_rng(0)
    configurations = space.sample_configuration(60)
    points = encode(configurations, space)
    losses = np.where(np.isnan(points).any(axis=1), -1.0, 1.0) + 0.01 * rng.random(60)
    on, off = (space.sample_configuration(40) for _ in range(2))
    asked = encode([*on, *off], space)
    mean, _ = make(space)._model(_complete(points), losses)(_complete(asked))
    assert mean[np.isnan(asked).any(axis=1)].max() < -0.5
    assert mean[~np.isnan(asked).any(axis=1)].min() > 0.5
    assert set(_complete(asked)[np.isnan(asked)]) == {-1.0}


def test_parallel_asks_differ():
    optimizer = make(lcbench_space(), random_fraction=0.0)
    drive(optimizer, FakeBenchmark(), 20)
    asked = encode([optimizer.ask().configuration for _ in range(6)], optimizer.space)
    assert len(np.unique(asked, axis=0)) == 6


def test_in_a_small_space_the_best_open_ask_is_not_asked_again():
    space = ConfigurationSpace(space=[CategoricalHyperparameter("c", list("abcdefgh"))])
    optimizer = make(space, random_fraction=0.0)
    drive(optimizer, FakeBenchmark(space), 30)
    waiting = [optimizer.ask().configuration["c"] for _ in range(4)]
    assert len(set(waiting)) == 4


def test_is_better_than_random_search():
    gains = []
    for seed in range(10):
        methods = RandomSearch(lcbench_space(), LADDER, np.random.default_rng(seed)), make(lcbench_space(), seed)
        random, model = (min(result.loss for result in drive(method, FakeBenchmark(), 35)[1]) for method in methods)
        gains.append(random - model)
    assert wilcoxon(gains, alternative="greater").pvalue < 0.01


def test_stays_away_from_failures():
    """Half of the space crashes."""
    space, crashed = ConfigurationSpace(space=[UniformFloatHyperparameter(name, 0.0, 1.0) for name in "xy"]), []
    optimizer, benchmark = make(space, random_fraction=0.0), FakeBenchmark(space)
    for _ in range(50):
        query = optimizer.ask()
        crashed.append(query.configuration["x"] < 0.5)
        optimizer.tell(Result.failure(query, Status.CRASHED, "told to fail") if crashed[-1] else benchmark.evaluate(query))
    assert sum(crashed[10:]) < 14


def test_a_flat_prior_changes_nothing():
    flat, benchmark = make(mixed_space()), FakeBenchmark(mixed_space())
    flat.weigh(lambda points: np.zeros(len(points)), 10.0)
    assert said(drive(flat, benchmark, 20)[0]) == said(drive(make(mixed_space()), benchmark, 20)[0])


def test_a_prior_steers_the_model():
    optimizer = make(lcbench_space())
    optimizer.weigh(lambda points: -1e6 * (points[:, 0] < 0.6), 10.0)
    asked, _ = drive(optimizer, FakeBenchmark(), 30)
    proposed = encode([query.configuration for query in asked if query.origin is Origin.MODEL], optimizer.space)
    assert (proposed[:, 0] >= 0.6 - 1e-9).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_initial": -1}, "`n_initial` is -1, but must be at least 1, or 0 for d \\+ 1"),
        ({"n_trees": 1}, "`n_trees` is 1, but must be at least 2"),
        ({"random_fraction": 1.5}, "`random_fraction` is 1.5, but must lie in 0..1"),
        ({"n_candidates": 0}, "`n_candidates` is 0, but must be at least 2"),
    ],
)
def test_bad_settings_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(lcbench_space(), **settings)
