"""Expected improvement against numbers of other origin, and what the search for its maximum promises."""

import numpy as np
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    UniformFloatHyperparameter,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from lcbench.space import decode, encode, lcbench_space
from optimizers.acquisition import log_expected_improvement, maximise
from tests.fakes import mixed_space

GOLDEN = (  # z, log(phi(z) + z Phi(z)) computed with 60 digits
    (-1000.0, -500014.73445209116),
    (-100.0, -5010.1295788002498),
    (-10.0, -55.553122036122356),
    (-3.0, -7.8696860596030285),
    (-2.0, -4.7687835239171142),
    (-1.2, -2.8805757826097246),
    (-1.0001, -2.4853114564458834),
    (-1.0, -2.4851210257126413),
    (-0.9, -2.2982829894596517),
    (0.0, -0.91893853320467274),
    (1.0, 0.08002621884930694),
    (5.0, 1.6094379231264314),
)


def log_ei(z):
    """Of a standard deviation of 1 and a best loss of 0."""
    return log_expected_improvement(-np.atleast_1d(np.float64(z)), np.ones(np.size(z)), 0.0)


def rare_space(n_choices=12, allowed=((0, 0), (3, 4), (7, 7))):
    """Two categories whose pairs are nearly all forbidden."""
    space = ConfigurationSpace(space=[CategoricalHyperparameter(name, range(n_choices)) for name in "ab"])
    pairs = ((i, j) for i in range(n_choices) for j in range(n_choices) if (i, j) not in allowed)
    for i, j in pairs:
        space.add(ForbiddenAndConjunction(ForbiddenEqualsClause(space["a"], i), ForbiddenEqualsClause(space["b"], j)))
    return space


@pytest.mark.parametrize(("z", "value"), GOLDEN)
def test_agrees_with_sixty_digits(z, value):
    assert log_ei(z)[0] == pytest.approx(value, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("mean", "std", "best"), [(0.3, 0.2, 0.1), (-1.0, 3.0, 0.5), (0.4, 0.1, 0.27), (0.0, 1.0, -1.5)])
def test_is_the_mean_of_the_improvement(mean, std, best):
    expected, _ = quad(lambda y: (best - y) * norm.pdf(y, mean, std), mean - 12 * std, best, epsabs=0, epsrel=1e-11)
    assert np.exp(log_expected_improvement(np.array([mean]), np.array([std]), best))[0] == pytest.approx(expected, rel=1e-8)


@given(st.floats(-1e5, 50), st.floats(1e-6, 10))
def test_more_promising_is_never_less(z, step):
    low, high = log_ei([z, z + step])
    assert low <= high + 1e-9 * abs(low)


@given(st.floats(-50, 50), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(-5, 5))
def test_units_shift_the_logarithm(mean, std, unit, zero):
    """Losses in other units, unit · y + zero, have the same improvement in those units."""
    plain = log_expected_improvement(np.array([mean]), np.array([std]), 0.0)
    other = log_expected_improvement(np.array([unit * mean + zero]), np.array([unit * std]), zero)
    assert other - np.log(unit) == pytest.approx(plain, rel=1e-6, abs=1e-6)


def test_hopeless_points_still_have_an_order():
    values = log_ei([-1e4, -1e3, -100.0, -38.0])
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("make", [lcbench_space, mixed_space])
def test_every_candidate_is_legal_and_they_fall(make):
    space, rng = make(), np.random.default_rng(0)
    space.seed(0)
    centres = encode(space.sample_configuration(3), space)

    def score(points):
        return -np.nansum((points - 0.3) ** 2, axis=1)

    found = maximise(score, space, rng, centres, n_random=300, n_near=100)
    assert (np.diff(score(found)) <= 0).all()
    assert encode(decode(found, space), space) == pytest.approx(found, nan_ok=True, abs=1e-9)


def test_neighbours_find_a_narrow_peak_that_random_draws_miss():
    space = ConfigurationSpace(space=[UniformFloatHyperparameter(name, 0.0, 1.0) for name in "abcdef"])
    rng, nowhere = np.random.default_rng(1), np.empty((0, 6))

    def score(points):
        return -np.sum((points - 0.3) ** 2, axis=1)

    with_steps = [score(maximise(score, space, rng, nowhere, n_random=200, n_near=200))[0] for _ in range(30)]
    without = [score(rng.random((800, 6))).max() for _ in range(30)]
    assert np.mean(with_steps) > 0.5 * np.mean(without)


@pytest.mark.parametrize("seed", range(5))
def test_finds_a_candidate_where_nearly_everything_is_forbidden(seed):
    found = maximise(lambda points: points[:, 0], rare_space(), np.random.default_rng(seed), np.empty((0, 2)), n_random=20, n_near=10)
    assert len(found)
