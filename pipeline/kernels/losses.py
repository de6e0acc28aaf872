"""Gradients of the losses with respect to the outputs; a row may be a mixture of two targets.

Notation: n rows of a batch, C outputs. The loss is ``share * loss(y) + (1 - share) * loss(other)``, see `pipeline.augmentation`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.kernels.blas import Floats, compiled


class Loss(NamedTuple):
    """What is minimised."""

    weights: Floats  # (C,), or (0,)
    """Of the classes in the cross-entropy; none for a regression."""
    absolute: bool
    """Whether a regression takes absolute deviations, and not squared ones."""


class Target(NamedTuple):
    """What the rows of a batch are to give: class codes, or standardised numbers."""

    y: Floats  # (n,)
    other: Floats  # (n,)
    share: np.float32
    """Of `y`; the rest is of `other`."""


@compiled
def loss_gradient(out: Floats, target: Target, loss: Loss, gradient: Floats) -> None:
    """Of the outputs (n, C) into (n, C)."""
    if len(loss.weights) == 0:
        _deviation(out, target, loss.absolute, gradient)
    else:
        _cross_entropy(out, target, loss.weights, gradient)


@compiled
def _cross_entropy(out: Floats, target: Target, weights: Floats, gradient: Floats) -> None:
    """Weighted mean cross-entropy of logits."""
    y, other, share = target
    n, n_classes = out.shape
    total = np.float32(0)
    for i in range(n):
        total += weights[int(y[i])]
    for i in range(n):
        top, whole = out[i, 0], np.float32(0)
        for c in range(1, n_classes):
            top = max(top, out[i, c])
        for c in range(n_classes):
            gradient[i, c] = math.exp(out[i, c] - top)
            whole += gradient[i, c]
        first, second = share * weights[int(y[i])] / total, (np.float32(1) - share) * weights[int(other[i])] / total
        for c in range(n_classes):
            gradient[i, c] *= (first + second) / whole
        gradient[i, int(y[i])] -= first
        gradient[i, int(other[i])] -= second


@compiled
def _deviation(out: Floats, target: Target, absolute: bool, gradient: Floats) -> None:
    """Mean squared, or absolute, deviation."""
    y, other, share = target
    n = np.float32(len(out))
    for i in range(len(out)):
        first, second = out[i, 0] - y[i], out[i, 0] - other[i]
        if absolute:
            first, second = np.sign(first), np.sign(second)
        else:
            first, second = np.float32(2) * first, np.float32(2) * second
        gradient[i, 0] = (share * first + (np.float32(1) - share) * second) / n
