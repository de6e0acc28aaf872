"""TPE: its split, its densities and its choice, beyond the laws."""

import math
import pickle

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformFloatHyperparameter
from scipy.stats import norm, wilcoxon

from lcbench.query import Origin, Result, Status
from lcbench.space import decode, encode, lcbench_space
from optimizers.kde import KDE
from optimizers.random_search import RandomSearch
from optimizers.tpe import TPE, _with_prior
from tests.fakes import FakeBenchmark, mixed_space
from tests.laws.test_optimizers import LADDER, drive, said

SMALL = ConfigurationSpace(space=[UniformFloatHyperparameter("x", 0.0, 1.0), CategoricalHyperparameter("c", ["a", "b", "c"])])


def make(space, seed=0, **settings):
    return TPE(space, LADDER, np.random.default_rng(seed), **settings)


def fail(optimizer, n):
    for _ in range(n):
        optimizer.tell(Result.failure(optimizer.ask(), Status.CRASHED, "told to fail"))


def modelled(optimizer, monkeypatch):
    """The points behind the good and the bad density of the next ask."""
    seen, density = [], TPE._density
    monkeypatch.setattr(TPE, "_density", lambda self, points: (seen.append(points), density(self, points))[1])
    optimizer.ask()
    return seen


def test_a_density_with_its_prior_has_mass_one():
    data = np.array([[0.4, 1 / 6], [0.6, 5 / 6], [0.5, 5 / 6]])
    density = KDE(data, np.array([0, 3]), np.array([0.05, 0.3]))
    x = (np.arange(2000) + 0.5) / 2000
    masses = [np.exp(_with_prior(density, np.column_stack([x, np.full(2000, (k + 0.5) / 3)]))).mean() for k in range(3)]
    assert sum(masses) == pytest.approx(1, abs=1e-6)
    assert masses[2] > masses[0] > masses[1]


def test_without_data_the_prior_is_all_there_is():
    nothing = KDE(np.empty((0, 2)), np.array([0, 3]), np.array([0.1, 0.1]))
    assert np.exp(_with_prior(nothing, np.array([[0.2, 0.5]]))) == pytest.approx([1 / 3])


@pytest.mark.parametrize(("n", "n_good"), [(10, 2), (20, 3), (100, 15), (200, 25)])
def test_the_lowest_losses_are_good_and_the_others_bad(monkeypatch, n, n_good):
    optimizer, benchmark = make(lcbench_space()), FakeBenchmark()
    _, results = drive(optimizer, benchmark, n)
    good, bad = modelled(optimizer, monkeypatch)
    ranked = sorted(results, key=lambda result: result.loss)
    assert np.array_equal(good, encode([result.query.configuration for result in ranked[:n_good]], benchmark.space))
    assert len(bad) == n - n_good


def test_open_asks_count_as_bad(monkeypatch):
    optimizer = make(lcbench_space())
    drive(optimizer, FakeBenchmark(), 20)
    waiting = encode([optimizer.ask().configuration for _ in range(4)], optimizer.space)
    _, bad = modelled(optimizer, monkeypatch)
    assert np.array_equal(bad[-4:], waiting)


def test_a_failure_is_never_good(monkeypatch):
    optimizer = make(lcbench_space())
    _, results = drive(optimizer, FakeBenchmark(), 3)
    fail(optimizer, 60)
    good, bad = modelled(optimizer, monkeypatch)
    succeeded = encode([result.query.configuration for result in results], optimizer.space)
    assert all((row == succeeded).all(axis=1).any() for row in good)
    assert len(bad) >= 60


def test_proposes_the_largest_ratio_of_its_candidates():
    """Against sums over kernels, one at a time, on the same candidates."""
    space = ConfigurationSpace(space=[UniformFloatHyperparameter(name, 0.0, 1.0) for name in "xyz"])
    optimizer = make(space, 3)
    _, results = drive(optimizer, FakeBenchmark(space), 40)
    ranked = encode([result.query.configuration for result in sorted(results, key=lambda result: result.loss)], space)
    good, bad, rng = ranked[:6], ranked[6:], pickle.loads(pickle.dumps(optimizer.rng))
    candidates = optimizer._density(good).sample(64, rng)
    from_prior = rng.random(64) < 1 / 7
    candidates[from_prior] = rng.random((int(from_prior.sum()), 3))

    def density(rows, point):
        width = 0.2 * len(rows) ** (-1 / 7)
        return (1 + sum(math.prod(norm.pdf(point, row, width)) for row in rows)) / (len(rows) + 1)

    best = max(candidates, key=lambda point: density(good, point) / density(bad, point))
    assert encode([optimizer.ask().configuration], space)[0] == pytest.approx(best, abs=1e-8)


def test_a_model_follows_the_initial_draws():
    asked, _ = drive(make(mixed_space(), n_initial=7), FakeBenchmark(mixed_space()), 30)
    assert {query.origin for query in asked[:7]} == {Origin.INITIAL}
    assert {query.origin for query in asked[7:]} == {Origin.MODEL}


def test_without_a_success_there_is_no_model():
    optimizer = make(lcbench_space())
    fail(optimizer, 30)
    assert optimizer.ask().origin is Origin.INITIAL


def test_learns_a_category():
    optimizer, counts = make(SMALL), dict.fromkeys("abc", 0)
    for _ in range(60):
        query = optimizer.ask()
        counts[query.configuration["c"]] += 1
        curve = FakeBenchmark(SMALL).evaluate(query).curve
        optimizer.tell(Result.measured(query, curve, 0.1 if query.configuration["c"] == "b" else 0.5, 1.0))
    assert counts["b"] > 35


def test_is_better_than_random_search():
    gains = []
    for seed in range(15):
        runs = (drive(method, FakeBenchmark(), 50)[1] for method in (RandomSearch(*parts(seed)), TPE(*parts(seed))))
        random, tpe = (min(result.loss for result in results) for results in runs)
        gains.append(random - tpe)
    assert wilcoxon(gains, alternative="greater").pvalue < 0.001


def parts(seed):
    return lcbench_space(), LADDER, np.random.default_rng(seed)


def test_a_flat_prior_changes_nothing():
    flat = make(mixed_space())
    flat.weigh(lambda points: np.zeros(len(points)), 10.0)
    benchmark = FakeBenchmark(mixed_space())
    assert said(drive(flat, benchmark, 60)[0]) == said(drive(make(mixed_space()), benchmark, 60)[0])


def test_a_prior_steers_the_model():
    optimizer = make(lcbench_space())
    optimizer.weigh(lambda points: -1e6 * (points[:, 0] > 0.5), 10.0)
    asked, _ = drive(optimizer, FakeBenchmark(), 60)
    proposed = encode([query.configuration for query in asked[10:]], optimizer.space)
    assert (proposed[:, 0] <= 0.5 + 1e-9).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_initial": 0}, "`n_initial` is 0, but must be at least 1"),
        ({"gamma": 1.0}, "`gamma` is 1.0, but must lie between 0 and 1"),
        ({"n_candidates": 0}, "`n_candidates` is 0, but must be at least 1"),
        ({"width": -0.1}, "`width` is -0.1, but must be at least 0.001"),
    ],
)
def test_bad_settings_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(lcbench_space(), **settings)


def test_a_prior_weighs_beta_by_the_number_of_results(monkeypatch):
    """The candidate that is proposed is the best by the formula, and not by that of another weight."""
    optimizer, n, beta, kept, drawn, differs = make(lcbench_space()), 30, 30.0, [], [], 0
    drive(optimizer, FakeBenchmark(), n)
    density = TPE._density
    monkeypatch.setattr(TPE, "_density", lambda self, points: (kept.append(density(self, points)), kept[-1])[1])

    def log_prior(points):
        drawn.append(points)
        return np.sin(40 * points.sum(axis=1))

    optimizer.weigh(log_prior, beta)
    for _ in range(10):
        query = optimizer.ask()
        (good, bad), points = kept[-2:], drawn[-1]
        gain, belief = _with_prior(good, points) - _with_prior(bad, points), log_prior(points)
        assert query.configuration == decode(points[np.argmax(gain + beta / n * belief)], optimizer.space)[0]
        differs += len({int(np.argmax(gain + weight * belief)) for weight in (beta / n, beta, beta / n**2)}) == 3
    assert differs
