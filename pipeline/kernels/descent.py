"""Steps of the optimizers over all parameters in one sweep, as torch's own take them.

Notation: P parameters. Every array is flat and float32.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.kernels.blas import Floats, compiled


class Rule(NamedTuple):
    """An optimizer with its hyperparameters of an epoch, see `torch.optim`."""

    adaptive: bool
    """Adam's step instead of that of stochastic gradient descent with momentum."""
    decoupled: bool
    """Weights decay by themselves and not through the gradient (AdamW)."""
    rate: float
    """Learning rate."""
    decay: float
    """Weight decay."""
    momentum: float
    """Momentum, or the decay of the mean gradient."""
    beta2: float
    """Decay of the mean squared gradient."""
    taken: int
    """Steps before this epoch."""


class State(NamedTuple):
    """What a training changes."""

    parameters: Floats  # (P,)
    momenta: Floats  # (P,)
    """The momentum buffer, or the mean gradient."""
    squares: Floats  # (P,) or (0,)
    """The mean squared gradient, where there is one."""
    gradient: Floats  # (P,)
    """Of the last step of an epoch, always; of any step, where the optimizer needs it apart from the momenta."""


EPSILON = 1e-8
"""Torch's, of the adaptive optimizers."""


@compiled
def momentum_step(rule: Rule, state: State) -> None:
    """A step whose momenta already hold the new gradient."""
    rate, decay = np.float32(rule.rate), np.float32(rule.decay)
    parameters, momenta = state.parameters, state.momenta
    for i in range(len(parameters)):
        momenta[i] += decay * parameters[i]
        parameters[i] -= rate * momenta[i]


@compiled
def add_momentum(rule: Rule, state: State) -> None:
    """Put the gradient into the momenta, where it was wanted by itself."""
    momentum = np.float32(rule.momentum)
    for i in range(len(state.momenta)):
        state.momenta[i] = momentum * state.momenta[i] + state.gradient[i]


@compiled
def adaptive_step(rule: Rule, state: State, number: int) -> None:
    """Step `number` (1, 2, …) of Adam or AdamW."""
    beta1, beta2 = np.float32(rule.momentum), np.float32(rule.beta2)
    new1, new2 = np.float32(1 - rule.momentum), np.float32(1 - rule.beta2)  # in float32 the difference would lose four of its digits
    step = np.float32(rule.rate / (1 - rule.momentum**number))
    scale, epsilon = np.float32(1 / math.sqrt(1 - rule.beta2**number)), np.float32(EPSILON)
    into_gradient = np.float32(0 if rule.decoupled else rule.decay)
    kept = np.float32(1 - rule.rate * rule.decay if rule.decoupled else 1)
    parameters, means, squares = state.parameters, state.momenta, state.squares
    for i in range(len(parameters)):
        g = state.gradient[i] + into_gradient * parameters[i]
        means[i] = beta1 * means[i] + new1 * g
        squares[i] = beta2 * squares[i] + new2 * g * g
        parameters[i] = kept * parameters[i] - step * means[i] / (np.sqrt(squares[i]) * scale + epsilon)
