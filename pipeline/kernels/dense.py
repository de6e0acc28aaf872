"""One epoch of a dense network with ReLU and dropout: gather, forwards, backwards and step, batch by batch, in memory that stays close.

Notation: B rows of a batch, C outputs, layers l = 0..L-1 from widths[l] to widths[l + 1], P parameters. All numbers are float32, all
matrices row-major; parameters, momenta and gradients are flat: layer by layer the weights (widths[l + 1], widths[l]) and the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.blas import Box, Floats, backward_product, compiled, forward_product, new_box, weight_gradient
from pipeline.kernels.descent import Rule, State, adaptive_step, add_momentum, momentum_step
from pipeline.kernels.dropout import mixed
from pipeline.kernels.losses import Loss, Target, loss_gradient


class Plan(NamedTuple):
    """The shape of a network, and where its numbers lie."""

    widths: NDArray[np.int64]  # (L + 1,)
    starts: NDArray[np.int64]  # (L,) of the parameters of a layer
    places: NDArray[np.int64]  # (L,) of the activations of a hidden layer, times B


class Noise(NamedTuple):
    """Dropout behind every hidden layer, see `pipeline.kernels.dropout`."""

    keys: NDArray[np.uint32]  # (L - 1, 2)
    limits: NDArray[np.uint32]  # (L - 1,)
    scales: Floats  # (L - 1,), 1 where there is none


class Batches(NamedTuple):
    """The rows of an epoch, and what each is mixed with; without mixing, every share is 1 and `partners` are the rows themselves."""

    size: int
    """B, which divides the number of rows."""
    rows: NDArray[np.int64]  # (m,)
    partners: NDArray[np.int64]  # (m,)
    shares: Floats  # (m / B,)


class Memory(NamedTuple):
    """Where a batch is worked on; nothing in it outlives a step."""

    x: Floats  # (B, widths[0])
    y: Floats  # (B,)
    other: Floats  # (B,)
    hidden: Floats  # (B * sum of hidden widths,)
    deltas: Floats  # (2, B * largest width)
    box: Box


class Dense(NamedTuple):
    """A network in training."""

    plan: Plan
    noise: Noise
    state: State
    memory: Memory


def new_plan(widths: Sequence[int]) -> Plan:
    """Where everything lies in a network of these widths."""
    sizes = [(a + 1) * b for a, b in pairwise(widths)]
    starts, places = np.cumsum([0, *sizes])[:-1], np.cumsum([0, *widths[1:-1]])
    return Plan(np.array(widths, np.int64), starts.astype(np.int64), places.astype(np.int64))


def new_memory(widths: Sequence[int], size: int) -> Memory:
    """Memory for batches of up to `size` rows."""
    x, y, other = np.zeros((size, widths[0]), np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    hidden, deltas = np.zeros(size * sum(widths[1:-1]), np.float32), np.zeros((2, size * max(widths[1:])), np.float32)
    return Memory(x, y, other, hidden, deltas, new_box())


@compiled
def train(X: Floats, y: Floats, batches: Batches, dense: Dense, loss: Loss, rule: Rule) -> Floats:  # (n, d), (n,)
    """Train one epoch on targets as `Target` has them; returns the outputs (m, C) of the moment a row was trained on."""
    outputs = np.empty((len(batches.rows), dense.plan.widths[-1]), np.float32)
    n_steps = len(batches.shares)
    for step in range(n_steps):
        last = step == n_steps - 1
        out = outputs[step * batches.size : (step + 1) * batches.size]
        _gather(X, y, batches, step, dense.memory)
        if rule.adaptive or last:
            _find_gradient(out, batches, step, dense, loss, dense.state.gradient, np.float32(0))
        else:
            _find_gradient(out, batches, step, dense, loss, dense.state.momenta, np.float32(rule.momentum))
        if rule.adaptive:
            adaptive_step(rule, dense.state, rule.taken + step + 1)
        else:
            if last:
                add_momentum(rule, dense.state)
            momentum_step(rule, dense.state)
    return outputs


@compiled
def predict(X: Floats, dense: Dense) -> Floats:  # (n, d) -> (n, C)
    """Outputs of rows, without dropout if the noise says so."""
    size = len(dense.memory.x)
    outputs = np.empty((len(X), dense.plan.widths[-1]), np.float32)
    for first in range(0, len(X), size):
        end = min(first + size, len(X))
        _forward(X[first:end], dense, 0, outputs[first:end])
    return outputs


@compiled
def _gather(X: Floats, y: Floats, batches: Batches, step: int, memory: Memory) -> None:
    """The rows of a batch, mixed."""
    first, share = step * batches.size, batches.shares[step]
    rest = np.float32(1) - share
    for i in range(batches.size):
        row, partner = batches.rows[first + i], batches.partners[first + i]
        memory.y[i], memory.other[i] = y[row], y[partner]
        if row == partner:
            for j in range(X.shape[1]):
                memory.x[i, j] = X[row, j]
        else:
            for j in range(X.shape[1]):
                memory.x[i, j] = share * X[row, j] + rest * X[partner, j]


@compiled
def _find_gradient(out: Floats, batches: Batches, step: int, dense: Dense, loss: Loss, into: Floats, kept: np.float32) -> None:  # (B, C)
    """Forwards and backwards over the gathered batch: into = kept * into + gradient."""
    n, memory = batches.size, dense.memory
    _forward(memory.x[:n], dense, step * n, out)
    gradient = memory.deltas[0, : out.size].reshape(out.shape)
    loss_gradient(out, Target(memory.y[:n], memory.other[:n], batches.shares[step]), loss, gradient)
    _backward(n, dense, into, kept)


@compiled
def _layer(flat: Floats, plan: Plan, layer: int) -> tuple[Floats, Floats]:  # (P,) -> (b, a), (b,)
    """Weights and bias of a layer, or what belongs to them."""
    a, b = plan.widths[layer], plan.widths[layer + 1]
    middle = plan.starts[layer] + a * b
    return flat[plan.starts[layer] : middle].reshape((b, a)), flat[middle : middle + b]


@compiled
def _activations(dense: Dense, layer: int, n: int) -> Floats:  # (n, b)
    """What hidden layer number `layer` says about n rows."""
    b = dense.plan.widths[layer + 1]
    first = dense.plan.places[layer] * n
    return dense.memory.hidden[first : first + n * b].reshape((n, b))


@compiled
def _forward(x: Floats, dense: Dense, seen: int, out: Floats) -> None:  # (n, d), (), (n, C)
    """Outputs of rows; `seen` rows came before in this epoch."""
    plan, noise, box, last = dense.plan, dense.noise, dense.memory.box, len(dense.plan.starts) - 1
    below = x
    for layer in range(last):
        weight, bias = _layer(dense.state.parameters, plan, layer)
        z = _activations(dense, layer, len(x))
        forward_product(below, weight, z, box)
        _activate(z, bias, seen * len(bias), noise.keys[layer], noise.limits[layer], noise.scales[layer])
        below = z
    weight, bias = _layer(dense.state.parameters, plan, last)
    forward_product(below, weight, out, box)
    for i in range(len(x)):
        for j in range(len(bias)):
            out[i, j] += bias[j]


@compiled
def _activate(z: Floats, bias: Floats, first: int, key: NDArray[np.uint32], limit: np.uint32, scale: np.float32) -> None:  # (n, b), (b,)
    """Bias, ReLU and dropout in one sweep; the first unit is number `first` of the epoch. What is not a number stays so, as in torch."""
    zero, offset, multiplier = np.float32(0), key[0], key[1]
    n, b = z.shape
    for i in range(n):
        number = np.uint32(first + i * b)
        if scale == np.float32(1):
            for j in range(b):
                value = z[i, j] + bias[j]
                z[i, j] = zero if value <= zero else value
        else:
            for j in range(b):
                kept = mixed(np.uint32(number + np.uint32(j)), offset, multiplier) >= limit
                value = z[i, j] + bias[j]
                z[i, j] = (zero if value <= zero else value) * (scale if kept else zero)


@compiled
def _backward(n: int, dense: Dense, into: Floats, kept: np.float32) -> None:  # (P,)
    """From the gradient of the outputs, in `deltas[0]`, to that of all parameters: into = kept * into + gradient."""
    plan, memory, here = dense.plan, dense.memory, 0
    for layer in range(len(plan.starts) - 1, -1, -1):
        b = plan.widths[layer + 1]
        delta = memory.deltas[here, : n * b].reshape((n, b))
        weight_into, bias_into = _layer(into, plan, layer)
        bias_into *= kept
        for i in range(n):
            for j in range(b):
                bias_into[j] += delta[i, j]
        below = _activations(dense, layer - 1, n) if layer > 0 else memory.x[:n]
        weight_gradient(delta, below, kept, weight_into, memory.box)
        if layer > 0:
            here = 1 - here
            weight, _ = _layer(dense.state.parameters, plan, layer)
            change = memory.deltas[here, : below.size].reshape(below.shape)
            backward_product(delta, weight, change, memory.box)
            _through(change, below, dense.noise.scales[layer - 1])


@compiled
def _through(change: Floats, below: Floats, scale: np.float32) -> None:  # (n, a), (n, a)
    """The derivative of ReLU and dropout: `scale` where the unit was above zero and kept, which its sign tells."""
    zero = np.float32(0)
    flat, seen = change.reshape(-1), below.reshape(-1)
    for i in range(len(flat)):
        flat[i] = zero if seen[i] <= zero else flat[i] * scale
