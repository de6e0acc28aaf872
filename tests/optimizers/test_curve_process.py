"""The process of learning curves: against its formulas, written out, and against the density of scipy."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal, norm

from optimizers.curve_process import AMPLITUDES, BETA, JITTER, LENGTH, TREND, WIDTHS, CurveProcess, Places

GROUPS = np.array([0, 1, 1])
"""Two hyperparameters, the second of which is embedded in two entries."""


def places(n=12, seed=0):
    """Curves of four trials, whose configurations are theirs."""
    rng = np.random.default_rng(seed)
    trial = rng.integers(0, 4, n)
    x = rng.random((4, 3))[trial]
    return Places(x, rng.integers(1, 50, n).astype(float), trial)


def process(seed=0):
    """A process with hyperparameters of its own."""
    made = CurveProcess(GROUPS, np.random.default_rng(seed))
    made.theta = made.theta + np.random.default_rng(1).normal(size=len(made.theta)) * 0.5
    return made


def kernel(theta, a, b):
    """k of the notation, without the noise."""
    s_a, s_i, s_c, s_x, s_t, _ = np.exp(theta[:6])
    beta, lengths = math.exp(theta[6]), np.exp(theta[7:9])[GROUPS]
    r = math.sqrt(5) * cdist(a.x / lengths, b.x / lengths)
    k_x = (1 + r + r**2 / 3) * np.exp(-r)
    k_t = beta / (a.t[:, None] + b.t[None, :] + beta)
    same = (a.trial[:, None] == b.trial[None, :]).astype(float)
    return s_a * k_x + s_i * same + (s_c + s_x * k_x + s_t * same) * k_t


def trend(theta, t):
    beta = math.exp(theta[6])
    return theta[9] * (beta / (t + beta) - 0.3)


def covariance(theta, at):
    return kernel(theta, at, at) + (math.exp(theta[5]) + JITTER) * np.eye(len(at.t))


def test_predictions_are_those_of_the_formulas():
    model, seen, at = process(), places(), places(8, seed=3)
    y = np.random.default_rng(2).normal(size=len(seen.t))
    model.condition(seen, y)
    mean, std = model.predict(at)
    across, inverse = kernel(model.theta, at, seen), np.linalg.inv(covariance(model.theta, seen))
    expected = trend(model.theta, at.t) + across @ inverse @ (y - trend(model.theta, seen.t))
    variance = np.diag(kernel(model.theta, at, at) - across @ inverse @ across.T)
    np.testing.assert_allclose(mean, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(std**2, np.maximum(variance, JITTER), rtol=1e-5, atol=1e-9)


def test_the_posterior_density_is_the_likelihood_times_the_prior():
    """Up to the constants, which the difference of two settings does not have."""
    model, seen = process(), places()
    y = np.random.default_rng(2).normal(size=len(seen.t))
    centre = np.concatenate([np.log(AMPLITUDES), [math.log(BETA)], [math.log(LENGTH)] * 2, [TREND]])
    width = np.repeat(WIDTHS, [6, 1, 2, 1])

    def density(theta):
        likelihood = multivariate_normal(trend(theta, seen.t), covariance(theta, seen)).logpdf(y)
        return likelihood + norm(centre, width).logpdf(theta).sum()

    one, other = model.theta, centre
    found = model._log_posterior(seen, y, one) - model._log_posterior(seen, y, other)
    assert found == pytest.approx(density(one) - density(other), rel=1e-6)


def test_it_begins_at_the_centre_of_its_prior_and_climbs():
    model, seen = CurveProcess(GROUPS, np.random.default_rng(0)), places(30)
    np.testing.assert_allclose(np.exp(model.theta[:9]), [*AMPLITUDES, BETA, LENGTH, LENGTH])
    assert model.theta[9] == TREND
    y = trend(model.theta, seen.t) + 3 * seen.x[:, 0]
    heights = [model._log_posterior(seen, y, model.theta)]
    for _ in range(5):
        model.climb(seen, y, 20)
        heights.append(model._log_posterior(seen, y, model.theta))
    assert np.all(np.diff(heights) >= 0)
    assert heights[-1] > heights[0] + 1


def test_no_steps_change_nothing():
    model, before = process(), process().theta
    model.climb(places(), np.zeros(12), 0)
    np.testing.assert_array_equal(model.theta, before)


def test_a_curve_that_is_known_far_says_more_of_its_end_than_another():
    model, x = CurveProcess(GROUPS, np.random.default_rng(0)), np.array([[0.2, 0.5, 0.5]])
    model.condition(Places(np.repeat(x, 20, 0), np.arange(1.0, 21), np.zeros(20, int)), np.linspace(1, 0, 20))
    ends = Places(np.vstack([x, x, x + 0.4]), np.full(3, 50.0), np.array([0, 1, 2]))
    _, std = model.predict(ends)
    assert std[0] < std[1] < std[2]
