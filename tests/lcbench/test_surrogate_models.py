"""The parts of a surrogate: gradients, networks, trees and kernels agree with their slow and plain forms."""

import numpy as np
import pytest

from lcbench.surrogate import gaussian
from lcbench.surrogate.baselines import BASELINES
from lcbench.surrogate.fitting import PARTS
from lcbench.surrogate.gaussian import fit_kernel, likelihood
from lcbench.surrogate.kernels import KINDS, kernel_matrix, on_grid
from lcbench.surrogate.networks import _gradients, _initial, _silu
from lcbench.surrogate.noise import Noise
from lcbench.surrogate.trees import DEPTH, TreeModel


def smooth(n=150, d=3, seed=0):
    X = np.random.default_rng(seed).random((n, d))
    level = np.sin(4 * X[:, 0]) + X[:, 1]
    return X, np.stack([level, 0.3 * X[:, 0] * X[:, 1]], axis=1) - [level.mean(), 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_the_likelihood_is_that_of_its_values(kind):
    X, C = smooth(25)
    theta = np.array([-2.0, 0.3, -0.4, 0.8])
    slope = likelihood(theta, kind, X, C)[1]
    steps = 1e-6 * np.eye(4)
    numeric = [(likelihood(theta + step, kind, X, C)[0] - likelihood(theta - step, kind, X, C)[0]) / 2e-6 for step in steps]
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_is_one_on_its_diagonal_and_decays(kind):
    X = smooth(20)[0]
    K = kernel_matrix(kind, X, X, np.array([1.0, 2, 3]))
    np.testing.assert_allclose(np.diag(K), 1, atol=1e-6)
    np.testing.assert_allclose(K, K.T)
    assert np.linalg.eigvalsh(K).min() > -1e-9
    assert (kernel_matrix(kind, X, X + 5, np.ones(3)) < 1e-2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_many_points_are_summed_up_by_few(kind, monkeypatch):
    X, C = smooth(400)
    A, truth = smooth(100, seed=1)
    exact = fit_kernel(kind, X, C, np.random.default_rng(0)).predict(A)
    monkeypatch.setattr(gaussian, "N_POINTS", 150)
    short = fit_kernel(kind, X, C, np.random.default_rng(0))
    assert short.points.shape == (150, 3)
    assert np.corrcoef(short.predict(A)[:, 0], exact[:, 0])[0, 1] > 0.99
    assert np.corrcoef(short.predict(A)[:, 0], truth[:, 0])[0, 1] > 0.98


@pytest.mark.parametrize("name", PARTS)
def test_one_row_is_predicted_as_among_many_and_twice_the_same(name):
    X, C = smooth()
    X = on_grid(X)
    model, again = (PARTS[name](X, C, np.random.default_rng(3)) for _ in range(2))
    many = model.predict(X)
    np.testing.assert_array_equal(many, again.predict(X))
    np.testing.assert_allclose(np.stack([model.predict_one(x) for x in X]), many, atol=1e-4)
    assert np.corrcoef(many[:, 0], C[:, 0])[0, 1] > 0.95


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_learn(name):
    X, C = smooth()
    A, truth = smooth(50, seed=1)
    U = np.tile(C[:, :1], (1, 6)) + 0.01 * np.arange(6)
    predicted = BASELINES[name](X, U, np.random.default_rng(0))(A)
    assert predicted.shape == (50, 6)
    assert np.corrcoef(predicted[:, -1], truth[:, 0])[0, 1] > 0.8


def test_network_gradients_are_those_of_the_loss():
    rng = np.random.default_rng(0)
    parameters = tuple(p.astype(np.float64) for p in _initial(rng, 2, (3, 4, 4, 2)))
    X, Y = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 2)) * 0.1

    def loss(values):
        W1, b1, W2, b2, W3, b3 = values
        R = np.abs(_silu(_silu(X @ W1 + b1)[0] @ W2 + b2)[0] @ W3 + b3 - Y)
        return np.where(R < 1, 0.5 * R**2, R - 0.5).sum() / X.shape[1]

    for i, gradient in enumerate(_gradients(parameters, X, Y)):
        direction = rng.normal(size=gradient.shape)
        ends = [loss([p + s * 1e-6 * direction if j == i else p for j, p in enumerate(parameters)]) for s in (1, -1)]
        assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


def test_a_tree_asks_every_question_of_everyone():
    rng = np.random.default_rng(0)
    model = TreeModel(
        features=rng.integers(3, size=(4, DEPTH)).astype(np.uint8),
        thresholds=rng.random((4, DEPTH)).astype(np.float32),
        leaves=rng.normal(size=(4, 2**DEPTH, 2)).astype(np.float16),
        start=np.array([1.0, -1.0], np.float32),
    )
    x = rng.random(3)
    expected = model.start.astype(float)
    for features, thresholds, leaves in zip(model.features, model.thresholds, model.leaves, strict=True):
        expected += leaves[sum(int(x[f] > t) << level for level, (f, t) in enumerate(zip(features, thresholds, strict=True)))]
    np.testing.assert_allclose(model.predict_one(x), expected, rtol=1e-3)


def test_noise_is_learned_where_it_is():
    rng = np.random.default_rng(0)
    predicted = np.tile(rng.random((2000, 1)), (1, 8))
    walk = np.cumsum(rng.normal(size=(2000, 8)), axis=1)
    true = predicted + (0.02 + 0.1 * predicted) * walk  # wider to the right, wider with time, and no white noise
    noise = Noise.fit(predicted, true)
    for level in (0.5, 0.8, 0.95):
        low, high = noise.interval(predicted, level)
        inside = ((true >= low) & (true <= high)).mean(axis=0)
        np.testing.assert_allclose(inside, level, atol=0.06)
    drawn = noise.sample(predicted, np.random.default_rng(1)) - predicted
    wide, narrow = predicted[:, 0] > 0.7, predicted[:, 0] < 0.3
    assert drawn[wide].std() > 1.5 * drawn[narrow].std()
    assert np.corrcoef(drawn[:, -1], drawn[:, -2])[0, 1] == pytest.approx(np.corrcoef(walk[:, -1], walk[:, -2])[0, 1], abs=0.1)


def test_deviates_invert_quantiles():
    rng = np.random.default_rng(0)
    predicted = rng.random((200, 5))
    noise = Noise.fit(predicted, predicted + rng.normal(size=predicted.shape))
    deviates = rng.uniform(-2, 2, predicted.shape)
    np.testing.assert_allclose(noise.deviates(predicted, noise.at(predicted, deviates)), deviates, atol=0.05)
