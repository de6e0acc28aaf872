"""Gradients of the losses, number by number against torch's own differentiation."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.kernels.losses import Loss, Target, loss_gradient

N = 40


def _mixed(loss, out, y, other, share):
    """Gradient of the mixture with respect to the outputs."""
    (share * loss(out, y) + (1 - share) * loss(out, other)).backward()
    return out.grad.numpy()


def _ours(out, y, other, share, loss):
    gradient = np.full(out.shape, np.nan, np.float32)
    loss_gradient(out, Target(y.astype(np.float32), other.astype(np.float32), np.float32(share)), loss, gradient)
    return gradient


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("n_classes", [2, 7])
def test_weighted_cross_entropy(share, n_classes):
    rng = np.random.default_rng(n_classes)
    out = (3 * rng.standard_normal((N, n_classes))).astype(np.float32)
    y = rng.integers(0, n_classes, N)
    other, weights = rng.permutation(y), rng.uniform(0.1, 5, n_classes).astype(np.float32)  # a permutation, as mixup's: one sum of weights
    expected = _mixed(
        lambda z, t: functional.cross_entropy(z, torch.from_numpy(t), torch.from_numpy(weights)),
        torch.tensor(out, requires_grad=True),
        y,
        other,
        share,
    )
    np.testing.assert_allclose(_ours(out, y, other, share, Loss(weights, False)), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("absolute", [False, True])
def test_deviations(share, absolute):
    rng = np.random.default_rng(0)
    out, y, other = (rng.standard_normal(N).astype(np.float32) for _ in range(3))
    loss = functional.l1_loss if absolute else functional.mse_loss
    expected = _mixed(lambda z, t: loss(z[:, 0], torch.from_numpy(t)), torch.tensor(out[:, None], requires_grad=True), y, other, share)
    np.testing.assert_allclose(
        _ours(out[:, None], y, other, share, Loss(np.zeros(0, np.float32), absolute)), expected, rtol=1e-5, atol=1e-8
    )
