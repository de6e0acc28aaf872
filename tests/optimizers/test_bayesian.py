"""The Gaussian process: its model against its formulas, what it believes of open asks, and what it makes of failures."""

import itertools
import math

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformFloatHyperparameter
from scipy.spatial.distance import cdist
from scipy.stats import wilcoxon

from lcbench.query import Origin, Result, Status
from lcbench.space import encode, key, lcbench_space
from optimizers import bayesian
from optimizers.bayesian import GROWTH, GaussianProcessSearch
from optimizers.candidates import Embedding
from optimizers.observations import Observations
from optimizers.random_search import RandomSearch
from tests.fakes import FakeBenchmark, mixed_space
from tests.laws.test_optimizers import LADDER, drive, said

SQUARE = ConfigurationSpace(space=[UniformFloatHyperparameter(name, 0.0, 1.0) for name in "xy"])


def make(space, seed=0, **settings):
    return GaussianProcessSearch(space, LADDER, np.random.default_rng(seed), **{"n_candidates": 100, **settings})


def wave(points):
    """A function of the first entry alone."""
    return np.sin(6 * points[:, 0])


def some_data(n=30, seed=0):
    x = np.random.default_rng(seed).random((n, 2))
    return x, wave(x)


def posterior(process, x, y, points):
    """Mean and variance of a noisy observation, written out (Rasmussen and Williams, 2006, Eq. 2.25 and 2.26)."""
    height, lengths = process.kernel_.k1.k1.constant_value, process.kernel_.k1.k2.length_scale
    noise = process.kernel_.k2.noise_level

    def matern(a, b):
        r = np.sqrt(5) * cdist(a / lengths, b / lengths)
        return height * (1 + r + r**2 / 3) * np.exp(-r)

    covariance = matern(x, x) + (noise + 1e-8) * np.eye(len(x))
    across = matern(points, x)
    mean = across @ np.linalg.solve(covariance, y)
    return mean, height + noise - np.einsum("ij,ji->i", across, np.linalg.solve(covariance, across.T))


def test_the_process_is_that_of_the_book():
    optimizer, (x, y) = make(SQUARE), some_data()
    points = np.random.default_rng(1).random((50, 2))
    process = optimizer._fit(x, y)
    mean, variance = posterior(process, x, y, points)
    told = process.predict(points, return_std=True)
    assert told[0] == pytest.approx(mean, abs=1e-5)
    assert told[1] ** 2 == pytest.approx(variance, abs=1e-5)


def test_the_marginal_likelihood_finds_what_matters():
    optimizer, (x, y) = make(SQUARE), some_data()
    optimizer._fit(x, y)
    _, first, second, noise = np.exp(optimizer._theta)
    assert second > 5 * first
    assert noise < 1e-3


def test_the_model_knows_where_it_has_data():
    optimizer, (x, y) = make(SQUARE), some_data()
    mean, std = optimizer._model(x, y)[0](x)
    assert mean == pytest.approx(y, abs=0.05)
    x = x * [0.5, 1]
    far = optimizer._model(x, wave(x))[0](np.array([[1.0, 0.5]]))[1]
    assert far[0] > 5 * std.max()


def test_what_is_believed_of_open_asks_moves_no_mean_but_ends_the_doubt():
    optimizer = make(SQUARE)
    drive(optimizer, FakeBenchmark(SQUARE), 12)
    x, y = optimizer._embed(optimizer._seen.points), optimizer._seen.standardised()
    optimizer._model(x, y)
    points = np.random.default_rng(1).random((50, 2))
    alone = optimizer._model(x, y)[0]
    before = alone(points)
    waiting = optimizer._embed(encode([optimizer.ask().configuration], SQUARE))
    after = optimizer._model(x, y)[0]
    assert after(points)[0] == pytest.approx(before[0], abs=1e-4)
    assert (after(points)[1] <= before[1] + 1e-6).all()
    assert after(waiting)[1] < 0.9 * alone(waiting)[1]


def test_the_doubt_is_about_the_function_and_not_about_its_noise():
    optimizer, (x, y) = make(SQUARE), some_data()
    y = y + np.random.default_rng(2).normal(scale=0.5, size=len(y))
    predict, _ = optimizer._model(x, y)
    process = optimizer._fit(x, y, keep=True)
    assert (noise := process.kernel_.k2.noise_level) > 0.1
    assert predict(x)[1] ** 2 == pytest.approx(posterior(process, x, y, x)[1] - noise, abs=1e-5)


def test_what_is_believed_of_an_open_ask_is_to_be_improved_on():
    optimizer = make(SQUARE)
    drive(optimizer, FakeBenchmark(SQUARE), 12)
    x, y = optimizer._embed(optimizer._seen.points), optimizer._seen.standardised()
    assert optimizer._model(x, y)[1] == y.min()
    process = optimizer._fit(x, y, keep=True)
    believed = [process.predict(optimizer._embed(encode([optimizer.ask().configuration], SQUARE)))[0] for _ in range(4)]
    assert min(believed) < y.min()
    assert optimizer._model(x, y)[1] == pytest.approx(min(believed), abs=1e-3)


@pytest.mark.parametrize("space", [lcbench_space, mixed_space])
def test_parallel_asks_differ(space):
    optimizer = make(space())
    drive(optimizer, FakeBenchmark(space()), 15)
    asked = [optimizer.ask() for _ in range(6)]
    assert {query.origin for query in asked} == {Origin.MODEL}
    assert len({key(query.configuration) for query in asked}) == 6


def test_the_kernel_is_fitted_again_when_the_data_have_grown():
    optimizer, fitted = make(SQUARE), []
    benchmark = FakeBenchmark(SQUARE)
    for _ in range(40):
        drive(optimizer, benchmark, 1)
        fitted.append(optimizer._n_fitted)
    times = sorted(set(fitted) - {0})
    assert len(times) > 5
    assert all(later >= GROWTH * earlier for earlier, later in itertools.pairwise(times))
    assert times[-1] * GROWTH > 38


def test_is_better_than_random_search():
    gains = []
    for seed in range(8):
        methods = RandomSearch(lcbench_space(), LADDER, np.random.default_rng(seed)), make(lcbench_space(), seed)
        random, model = (min(result.loss for result in drive(method, FakeBenchmark(), 24)[1]) for method in methods)
        gains.append(random - model)
    assert wilcoxon(gains, alternative="greater").pvalue < 0.01


def test_stays_away_from_failures():
    """Half of the square crashes."""
    optimizer, benchmark, crashed = make(SQUARE), FakeBenchmark(SQUARE), []
    for _ in range(40):
        query = optimizer.ask()
        crashed.append(query.configuration["x"] < 0.5)
        optimizer.tell(Result.failure(query, Status.CRASHED, "told to fail") if crashed[-1] else benchmark.evaluate(query))
    assert sum(crashed[10:]) < 10


def test_a_model_needs_a_success():
    optimizer = make(SQUARE)
    for _ in range(10):
        optimizer.tell(Result.failure(optimizer.ask(), Status.CRASHED, "told to fail"))
    assert optimizer.ask().origin is Origin.INITIAL


def observations(losses):
    seen, optimizer = Observations(SQUARE), RandomSearch(SQUARE, LADDER, np.random.default_rng(0))
    benchmark = FakeBenchmark(SQUARE)
    for loss in losses:
        query = optimizer.ask()
        curve = benchmark.evaluate(query).curve
        seen.add(Result.measured(query, curve, loss, 1.0))
    return seen


def test_failures_and_outliers_stand_at_the_fence():
    losses = np.array([*np.linspace(0.1, 0.3, 21), 50.0, np.inf])
    targets = observations(losses).standardised()
    assert targets.mean() == pytest.approx(0, abs=1e-12)
    assert targets.std() == pytest.approx(1)
    assert targets[-1] == targets[-2]
    assert targets[-1] > targets[:-2].max()
    assert np.corrcoef(targets[:-2], losses[:-2])[0, 1] == pytest.approx(1)


def test_equal_losses_are_all_zero():
    assert observations([0.4, 0.4, 0.4]).standardised() == pytest.approx(0)


@pytest.mark.parametrize("losses", [[math.inf, math.inf, 0.3, math.inf], [0.0, math.inf, 0.0], [1e9, math.inf]])
def test_failures_are_worse_than_successes_that_are_all_equal(losses):
    targets, failed = observations(losses).standardised(), np.isinf(losses)
    assert targets.std() == pytest.approx(1)
    assert targets[failed].min() > targets[~failed].max() + 1


def test_the_embedding_puts_choices_as_far_apart_as_the_ends_of_a_number():
    space = ConfigurationSpace(space=[UniformFloatHyperparameter("x", 0.0, 1.0), CategoricalHyperparameter("y", ["a", "b", "d"])])
    embedded = Embedding(space)(np.array([[0.0, 1 / 6], [1.0, 1 / 6], [0.0, 3 / 6], [0.0, 5 / 6], [np.nan, np.nan]]))
    distances = cdist(embedded[:1], embedded)[0]
    assert distances[1:4] == pytest.approx(1)
    assert embedded[4] == pytest.approx([0.5, 0, 0, 0])


def test_a_flat_prior_changes_nothing():
    flat, benchmark = make(mixed_space()), FakeBenchmark(mixed_space())
    flat.weigh(lambda points: np.zeros(len(points)), 10.0)
    assert said(drive(flat, benchmark, 15)[0]) == said(drive(make(mixed_space()), benchmark, 15)[0])


def test_a_prior_steers_the_model():
    optimizer = make(SQUARE)
    optimizer.weigh(lambda points: -1e6 * (points[:, 0] < 0.6), 10.0)
    asked, _ = drive(optimizer, FakeBenchmark(SQUARE), 20)
    assert all(query.configuration["x"] >= 0.6 for query in asked[3:])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_initial": -1}, "`n_initial` is -1, but must be at least 1, or 0 for d \\+ 1"),
        ({"n_candidates": 1}, "`n_candidates` is 1, but must be at least 2"),
    ],
)
def test_bad_settings_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(SQUARE, **settings)


@pytest.mark.parametrize("beta", [3.0, 100.0])
def test_a_prior_adds_beta_by_the_number_of_results_to_the_acquisition(monkeypatch, beta):
    optimizer, scores = make(SQUARE), []
    drive(optimizer, FakeBenchmark(SQUARE), 12)
    search = bayesian.maximise
    monkeypatch.setattr(bayesian, "maximise", lambda score, *rest, **options: (scores.append(score), search(score, *rest, **options))[1])
    optimizer.ask()
    points = np.random.default_rng(1).random((20, 2))
    plain = scores[0](points)
    optimizer.weigh(lambda points: np.sin(points.sum(axis=1)), beta)
    np.testing.assert_allclose(scores[0](points) - plain, beta / 12 * np.sin(points.sum(axis=1)))


@pytest.mark.parametrize(("n_initial", "n_random"), [(0, 3), (7, 7)])
def test_there_is_a_model_after_the_random_draws(n_initial, n_random):
    asked, _ = drive(make(SQUARE, n_initial=n_initial), FakeBenchmark(SQUARE), 9)
    assert [query.origin for query in asked] == [Origin.INITIAL] * n_random + [Origin.MODEL] * (9 - n_random)
