"""One epoch of a network that is a short program: gather, forwards, backwards and step, batch by batch, in memory that stays close.

A program is a list of operations on buffers, each the activations of a batch. There are three: a linear layer (with ReLU and dropout or
without), a batch normalisation with ReLU and dropout, and a mixture of up to three buffers. Multi-layer perceptrons and residual networks
are made of nothing else; `pipeline.programs` writes their programs.

Notation: B rows of a batch, C outputs, P parameters. All numbers are float32, all matrices row-major; parameters, momenta and gradients are
flat: of a linear layer from a to b the weights (b, a) and the bias (b,), of a normalisation the scales and the shifts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.blas import Box, Floats, backward_product, compiled, forward_product, new_box, weight_gradient
from pipeline.kernels.descent import Rule, State, adaptive_step, add_momentum, momentum_step
from pipeline.kernels.dropout import mixed
from pipeline.kernels.losses import Loss, Target, loss_gradient

Ints = NDArray[np.int64]
LINEAR, NORM, MIXTURE = 0, 1, 2
"""Kinds of operations."""
KIND, OUT, IN, PLACE, RELU, DROPOUT, RUNNING, ADDS = 0, 1, 2, 5, 6, 7, 8, 9
"""Columns of an operation: its kind; the buffer that it makes; three that it reads, -1 for none (only mixtures read more than one); where
its parameters lie, of a mixture its number; whether ReLU follows; the number of the dropout that follows, or -1; where a normalisation
keeps its statistics; and, for each buffer that it reads, whether a later operation has given that a gradient before."""
COLUMNS = 12
FIRST, YES, NO = np.int64(0), np.bool_(True), np.bool_(False)
"""Plain literals would have everything compiled once for each of them."""
EPSILON, MOMENTUM = np.float32(1e-5), np.float32(0.1)
"""Of batch normalisation, torch's."""


class Program(NamedTuple):
    """What is done, and where its buffers lie."""

    operations: Ints  # (number of operations, COLUMNS)
    widths: Ints  # (number of buffers,); buffer 0 is the input, the last one the output
    places: Ints  # (number of buffers,) of the activations, times B
    slots: Ints  # (number of buffers,) of their gradients, times B


class Noise(NamedTuple):
    """Dropout, see `pipeline.kernels.dropout`, and the shares of mixtures."""

    keys: NDArray[np.uint32]  # (number of dropouts, 2)
    limits: NDArray[np.uint32]  # (number of dropouts,)
    scales: Floats  # (number of dropouts,), 1 where there is none
    mixtures: Floats  # (steps, number of mixtures, 2, 3): shares forwards and backwards


class Batches(NamedTuple):
    """The rows of an epoch, and what each is mixed with; without mixing, every share is 1 and `partners` are the rows themselves."""

    size: int
    """B, which divides the number of rows."""
    rows: Ints  # (m,)
    partners: Ints  # (m,)
    shares: Floats  # (m / B,)


class Memory(NamedTuple):
    """Where a batch is worked on; nothing in it outlives a step."""

    y: Floats  # (B,)
    other: Floats  # (B,)
    buffers: Floats  # (B * sum of widths,)
    gradients: Floats  # (B * most that is needed at a time,)
    moments: Floats  # of the batch, laid out as the running ones: mean and 1 / standard deviation
    sums: Floats  # (2, largest width)
    box: Box


class Net(NamedTuple):
    """A network in training."""

    program: Program
    noise: Noise
    state: State
    running: Floats
    """Statistics of the normalisations, of each the means and the variances."""
    memory: Memory


def new_memory(program: Program, n_running: int, size: int) -> Memory:
    """Memory for batches of up to `size` rows."""
    widths = program.widths
    room = int((program.slots + widths).max())
    y, other = np.zeros(size, np.float32), np.zeros(size, np.float32)
    buffers, gradients = np.zeros(size * int(widths.sum()), np.float32), np.zeros(size * room, np.float32)
    return Memory(y, other, buffers, gradients, np.zeros(n_running, np.float32), np.zeros((2, int(widths.max())), np.float32), new_box())


@compiled
def train(X: Floats, y: Floats, batches: Batches, net: Net, loss: Loss, rule: Rule) -> Floats:  # (n, d), (n,)
    """Train one epoch on targets as `Target` has them; returns the outputs (m, C) of the moment a row was trained on."""
    size, last_buffer = batches.size, len(net.program.widths) - 1
    outputs = np.empty((len(batches.rows), net.program.widths[last_buffer]), np.float32)
    n_steps = len(batches.shares)
    for step in range(n_steps):
        last = step == n_steps - 1
        _gather(X, y, batches, step, net)
        _forward(size, net, step, YES)
        out = _buffer(net, last_buffer, size)
        outputs[step * size : (step + 1) * size] = out
        target = Target(net.memory.y[:size], net.memory.other[:size], batches.shares[step])
        loss_gradient(out, target, loss, _gradient(net, last_buffer, size))
        if rule.adaptive or last:
            _backward(size, net, step, net.state.gradient, np.float32(0))
        else:
            _backward(size, net, step, net.state.momenta, np.float32(rule.momentum))
        if rule.adaptive:
            adaptive_step(rule, net.state, rule.taken + step + 1)
        else:
            if last:
                add_momentum(rule, net.state)
            momentum_step(rule, net.state)
    return outputs


@compiled
def predict(X: Floats, net: Net) -> Floats:  # (n, d) -> (n, C)
    """Outputs of rows with running statistics and without dropout; the noise says in what shares mixtures are."""
    size, last = len(net.memory.y), len(net.program.widths) - 1
    outputs = np.empty((len(X), net.program.widths[last]), np.float32)
    for first in range(0, len(X), size):
        n = min(size, len(X) - first)
        _buffer(net, FIRST, n)[:] = X[first : first + n]
        _forward(n, net, FIRST, NO)
        outputs[first : first + n] = _buffer(net, last, n)
    return outputs


@compiled
def _gather(X: Floats, y: Floats, batches: Batches, step: int, net: Net) -> None:
    """The rows of a batch, mixed."""
    memory, x = net.memory, _buffer(net, FIRST, batches.size)
    first, share = step * batches.size, batches.shares[step]
    rest = np.float32(1) - share
    for i in range(batches.size):
        row, partner = batches.rows[first + i], batches.partners[first + i]
        memory.y[i], memory.other[i] = y[row], y[partner]
        if row == partner:
            for j in range(X.shape[1]):
                x[i, j] = X[row, j]
        else:
            for j in range(X.shape[1]):
                x[i, j] = share * X[row, j] + rest * X[partner, j]


@compiled
def _buffer(net: Net, buffer: int, n: int) -> Floats:  # (n, width)
    """The activations of n rows."""
    place, width = net.program.places[buffer] * n, net.program.widths[buffer]
    return net.memory.buffers[place : place + n * width].reshape((n, width))


@compiled
def _gradient(net: Net, buffer: int, n: int) -> Floats:  # (n, width)
    """The gradient of n rows of activations."""
    place, width = net.program.slots[buffer] * n, net.program.widths[buffer]
    return net.memory.gradients[place : place + n * width].reshape((n, width))


@compiled
def _linear(flat: Floats, place: int, a: int, b: int) -> tuple[Floats, Floats]:  # (P,) -> (b, a), (b,)
    """Weights and bias of a layer, or what belongs to them."""
    middle = place + a * b
    return flat[place:middle].reshape((b, a)), flat[middle : middle + b]


@compiled
def _forward(n: int, net: Net, step: int, training: bool) -> None:
    """From the input of n rows to the output."""
    widths = net.program.widths
    for operation in net.program.operations:
        kind, source = operation[KIND], operation[IN]
        out = _buffer(net, operation[OUT], n)
        if kind == LINEAR:
            weight, bias = _linear(net.state.parameters, operation[PLACE], widths[source], out.shape[1])
            forward_product(_buffer(net, source, n), weight, out, net.memory.box)
            _shift(out, bias, operation[RELU] == 1)
        elif kind == NORM:
            _normalise(_buffer(net, source, n), out, operation, net, training)
        else:
            _mix(n, operation, net, step, out)
        if training and operation[DROPOUT] >= 0:
            _drop(out, step * n, net.noise, operation[DROPOUT])


@compiled
def _shift(z: Floats, bias: Floats, relu: bool) -> None:  # (n, b), (b,)
    """Add the bias, with ReLU if wanted; what is not a number stays so, as in torch."""
    zero = np.float32(0)
    for i in range(len(z)):
        if relu:
            for j in range(len(bias)):
                value = z[i, j] + bias[j]
                z[i, j] = zero if value <= zero else value
        else:
            for j in range(len(bias)):
                z[i, j] += bias[j]


@compiled
def _drop(z: Floats, seen: int, noise: Noise, number: int) -> None:  # (n, b)
    """Dropout of a batch, before which `seen` rows came in this epoch."""
    zero, scale, limit = np.float32(0), noise.scales[number], noise.limits[number]
    offset, multiplier = noise.keys[number, 0], noise.keys[number, 1]
    n, b = z.shape
    for i in range(n):
        first = np.uint32((seen + i) * b)
        for j in range(b):
            kept = mixed(np.uint32(first + np.uint32(j)), offset, multiplier) >= limit
            z[i, j] *= scale if kept else zero


@compiled
def _normalise(x: Floats, out: Floats, operation: Ints, net: Net, training: bool) -> None:  # (n, b), (n, b)
    """Batch normalisation and ReLU; a single row has no variance and is treated as at evaluation."""
    n, b = x.shape
    place, zero, one = operation[RUNNING], np.float32(0), np.float32(1)
    running_mean, running_variance = net.running[place : place + b], net.running[place + b : place + 2 * b]
    mean, inverse = net.memory.moments[place : place + b], net.memory.moments[place + b : place + 2 * b]
    if training and n > 1:
        _moments(x, mean, inverse)
        for j in range(b):
            running_mean[j] += MOMENTUM * (mean[j] - running_mean[j])
            running_variance[j] += MOMENTUM * (inverse[j] * np.float32(n) / np.float32(n - 1) - running_variance[j])
    else:
        mean[:], inverse[:] = running_mean, running_variance
    for j in range(b):
        inverse[j] = one / np.sqrt(inverse[j] + EPSILON)
    at = operation[PLACE]
    scale, shift = net.state.parameters[at : at + b], net.state.parameters[at + b : at + 2 * b]
    for i in range(n):
        for j in range(b):
            value = (x[i, j] - mean[j]) * inverse[j] * scale[j] + shift[j]
            out[i, j] = zero if value <= zero else value


@compiled
def _moments(x: Floats, mean: Floats, variance: Floats) -> None:  # (n, b), (b,), (b,)
    """Of every column."""
    n = np.float32(len(x))
    mean[:], variance[:] = 0, 0
    for i in range(len(x)):
        for j in range(len(mean)):
            mean[j] += x[i, j]
    for j in range(len(mean)):
        mean[j] /= n
    for i in range(len(x)):
        for j in range(len(mean)):
            deviation = x[i, j] - mean[j]
            variance[j] += deviation * deviation
    for j in range(len(mean)):
        variance[j] /= n


@compiled
def _mix(n: int, operation: Ints, net: Net, step: int, out: Floats) -> None:  # (n, b)
    """A weighted sum of buffers."""
    shares = net.noise.mixtures[step, operation[PLACE], 0]
    flat = out.reshape(-1)
    flat[:] = 0
    for k in range(3):
        if operation[IN + k] >= 0:
            share, part = shares[k], _buffer(net, operation[IN + k], n).reshape(-1)
            for i in range(len(flat)):
                flat[i] += share * part[i]


@compiled
def _backward(n: int, net: Net, step: int, into: Floats, kept: np.float32) -> None:  # (P,)
    """From the gradient of the output to that of all parameters: into = kept * into + gradient."""
    operations = net.program.operations
    for k in range(len(operations) - 1, -1, -1):
        operation = operations[k]
        kind = operation[KIND]
        delta = _gradient(net, operation[OUT], n)
        if operation[RELU] == 1:
            scale = net.noise.scales[operation[DROPOUT]] if operation[DROPOUT] >= 0 else np.float32(1)
            _through(delta, _buffer(net, operation[OUT], n), scale)
        if kind == LINEAR:
            _linear_backward(delta, operation, net, into, kept)
        elif kind == NORM:
            _norm_backward(delta, operation, net, into, kept)
        else:
            shares = net.noise.mixtures[step, operation[PLACE], 1]
            for part in range(3):
                if operation[IN + part] >= 0:
                    _add(_gradient(net, operation[IN + part], n), shares[part], delta, operation[ADDS + part] == 1)


@compiled
def _through(change: Floats, seen: Floats, scale: np.float32) -> None:  # (n, a), (n, a)
    """The derivative of ReLU and dropout: `scale` where the unit was above zero and kept, which its sign tells."""
    zero = np.float32(0)
    flat, signs = change.reshape(-1), seen.reshape(-1)
    for i in range(len(flat)):
        flat[i] = zero if signs[i] <= zero else flat[i] * scale


@compiled
def _add(into: Floats, share: np.float32, delta: Floats, adds: bool) -> None:  # (n, b), (), (n, b)
    """A share of a gradient, to what is there or in its place."""
    flat, change = into.reshape(-1), delta.reshape(-1)
    if adds:
        for i in range(len(flat)):
            flat[i] += share * change[i]
    else:
        for i in range(len(flat)):
            flat[i] = share * change[i]


@compiled
def _linear_backward(delta: Floats, operation: Ints, net: Net, into: Floats, kept: np.float32) -> None:  # (n, b)
    (n, b), source = delta.shape, operation[IN]
    below, box = _buffer(net, source, n), net.memory.box
    weight_into, bias_into = _linear(into, operation[PLACE], below.shape[1], b)
    bias_into *= kept
    for i in range(n):
        for j in range(b):
            bias_into[j] += delta[i, j]
    weight_gradient(delta, below, kept, weight_into, box)
    if source > 0:
        weight, _ = _linear(net.state.parameters, operation[PLACE], below.shape[1], b)
        backward_product(delta, weight, np.float32(operation[ADDS]), _gradient(net, source, n), box)


@compiled
def _norm_backward(delta: Floats, operation: Ints, net: Net, into: Floats, kept: np.float32) -> None:  # (n, b)
    n, b = delta.shape
    x, change = _buffer(net, operation[IN], n), _gradient(net, operation[IN], n)
    place, at, adds = operation[RUNNING], operation[PLACE], operation[ADDS] == 1
    mean, inverse = net.memory.moments[place : place + b], net.memory.moments[place + b : place + 2 * b]
    scale, whole = net.state.parameters[at : at + b], np.float32(n)
    of_shift, of_scale = net.memory.sums[0, :b], net.memory.sums[1, :b]
    of_shift[:], of_scale[:] = 0, 0
    for i in range(n):
        for j in range(b):
            of_shift[j] += delta[i, j]
            of_scale[j] += delta[i, j] * (x[i, j] - mean[j]) * inverse[j]
    for j in range(b):
        into[at + j] = kept * into[at + j] + of_scale[j]
        into[at + b + j] = kept * into[at + b + j] + of_shift[j]
    if n == 1:  # running statistics do not depend on the row
        of_shift[:], of_scale[:] = 0, 0
    for i in range(n):
        for j in range(b):
            centred = (x[i, j] - mean[j]) * inverse[j]
            value = scale[j] * inverse[j] * (delta[i, j] - of_shift[j] / whole - centred * of_scale[j] / whole)
            change[i, j] = change[i, j] + value if adds else value
