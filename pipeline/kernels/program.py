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
"""Plain literals would have everything compiled once for each of them. For the same reason, seconds of compilation, what is called often
takes the few arrays that it needs and not the whole network."""
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
    program, memory = net.program, net.memory
    outputs = np.empty((len(batches.rows), program.widths[last_buffer]), np.float32)
    n_steps = len(batches.shares)
    for step in range(n_steps):
        last = step == n_steps - 1
        _gather(X, y, batches, step, _rows(memory.buffers, program.places, program.widths, FIRST, size), memory.y, memory.other)
        _forward(size, net, step, YES)
        out = _rows(memory.buffers, program.places, program.widths, last_buffer, size)
        _copy(out, outputs[step * size : (step + 1) * size])
        target = Target(memory.y[:size], memory.other[:size], batches.shares[step])
        loss_gradient(out, target, loss, _rows(memory.gradients, program.slots, program.widths, last_buffer, size))
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
    buffers, places, widths = net.memory.buffers, net.program.places, net.program.widths
    outputs = np.empty((len(X), widths[last]), np.float32)
    for first in range(0, len(X), size):
        n = min(size, len(X) - first)
        _copy(X[first : first + n], _rows(buffers, places, widths, FIRST, n))
        _forward(n, net, FIRST, NO)
        _copy(_rows(buffers, places, widths, last, n), outputs[first : first + n])
    return outputs


@compiled
def _copy(values: Floats, into: Floats) -> None:  # (n, b), (n, b)
    """Element by element, because the assignment of a slice takes a second to compile."""
    for i in range(len(into)):
        for j in range(into.shape[1]):
            into[i, j] = values[i, j]


@compiled
def _gather(X: Floats, y: Floats, batches: Batches, step: int, x: Floats, own: Floats, other: Floats) -> None:  # …, (B, d), (B,), (B,)
    """The rows of a batch, mixed, and the targets of what is mixed."""
    first, share = step * batches.size, batches.shares[step]
    rest = np.float32(1) - share
    for i in range(batches.size):
        row, partner = batches.rows[first + i], batches.partners[first + i]
        own[i], other[i] = y[row], y[partner]
        if row == partner:
            for j in range(X.shape[1]):
                x[i, j] = X[row, j]
        else:
            for j in range(X.shape[1]):
                x[i, j] = share * X[row, j] + rest * X[partner, j]


@compiled
def _rows(values: Floats, places: Ints, widths: Ints, buffer: int, n: int) -> Floats:  # (n, width)
    """Activations, or their gradient, of n rows in a buffer."""
    place, width = places[buffer] * n, widths[buffer]
    return values[place : place + n * width].reshape((n, width))


@compiled
def _linear(flat: Floats, place: int, a: int, b: int) -> tuple[Floats, Floats]:  # (P,) -> (b, a), (b,)
    """Weights and bias of a layer, or what belongs to them."""
    middle = place + a * b
    return flat[place:middle].reshape((b, a)), flat[middle : middle + b]


@compiled
def _pair(flat: Floats, place: int, b: int) -> tuple[Floats, Floats]:  # -> (b,), (b,)
    """Scales and shifts of a normalisation, what belongs to them, or its two statistics."""
    return flat[place : place + b], flat[place + b : place + 2 * b]


@compiled
def _forward(n: int, net: Net, step: int, training: bool) -> None:
    """From the input of n rows to the output."""
    buffers, places, widths, box = net.memory.buffers, net.program.places, net.program.widths, net.memory.box
    for operation in net.program.operations:
        kind, below = operation[KIND], operation[IN]
        out = _rows(buffers, places, widths, operation[OUT], n)
        b = widths[operation[OUT]]
        if kind == LINEAR:
            weight, bias = _linear(net.state.parameters, operation[PLACE], widths[below], b)
            forward_product(_rows(buffers, places, widths, below, n), weight, out, box)
            _shift(out, bias, operation[RELU] == 1)
        elif kind == NORM:
            x, statistics = _rows(buffers, places, widths, below, n), operation[RUNNING]
            mean, inverse = _pair(net.memory.moments, statistics, b)
            running_mean, running_variance = _pair(net.running, statistics, b)
            _take_moments(x, mean, inverse, running_mean, running_variance, training)
            scale, shift = _pair(net.state.parameters, operation[PLACE], b)
            _normalise(x, mean, inverse, scale, shift, out)
        else:
            shares, adds = net.noise.mixtures[step, operation[PLACE], 0], False
            for k in range(3):
                if operation[IN + k] >= 0:
                    _add(out, shares[k], _rows(buffers, places, widths, operation[IN + k], n), adds)
                    adds = True
        number = operation[DROPOUT]
        if training and number >= 0:
            keys, noise = net.noise.keys, net.noise
            _drop(out, step * n, keys[number, 0], keys[number, 1], noise.limits[number], noise.scales[number])


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
def _drop(z: Floats, seen: int, offset: np.uint32, multiplier: np.uint32, limit: np.uint32, scale: np.float32) -> None:  # (n, b)
    """Dropout of a batch, before which `seen` rows came in this epoch."""
    zero, (n, b) = np.float32(0), z.shape
    for i in range(n):
        first = np.uint32((seen + i) * b)
        for j in range(b):
            kept = mixed(np.uint32(first + np.uint32(j)), offset, multiplier) >= limit
            z[i, j] *= scale if kept else zero


@compiled
def _take_moments(x: Floats, mean: Floats, inverse: Floats, running_mean: Floats, running_variance: Floats, training: bool) -> None:
    """Mean and 1 / standard deviation of the columns (n, b) -> (b,), in training of the batch, else the running ones.

    A single row has no variance and is treated as at evaluation.
    """
    n, one = len(x), np.float32(1)
    if training and n > 1:
        _moments(x, mean, inverse)
        for j in range(len(mean)):
            running_mean[j] += MOMENTUM * (mean[j] - running_mean[j])
            running_variance[j] += MOMENTUM * (inverse[j] * np.float32(n) / np.float32(n - 1) - running_variance[j])
    else:
        for j in range(len(mean)):
            mean[j], inverse[j] = running_mean[j], running_variance[j]
    for j in range(len(mean)):
        inverse[j] = one / np.sqrt(inverse[j] + EPSILON)


@compiled
def _moments(x: Floats, mean: Floats, variance: Floats) -> None:  # (n, b), (b,), (b,)
    """Of every column."""
    n, zero = np.float32(len(x)), np.float32(0)
    for j in range(len(mean)):
        mean[j], variance[j] = zero, zero
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
def _normalise(x: Floats, mean: Floats, inverse: Floats, scale: Floats, shift: Floats, out: Floats) -> None:  # (n, b), (b,) …, (n, b)
    """Batch normalisation and ReLU."""
    zero = np.float32(0)
    for i in range(len(x)):
        for j in range(len(mean)):
            value = (x[i, j] - mean[j]) * inverse[j] * scale[j] + shift[j]
            out[i, j] = zero if value <= zero else value


@compiled
def _backward(n: int, net: Net, step: int, into: Floats, kept: np.float32) -> None:  # (P,)
    """From the gradient of the output to that of all parameters: into = kept * into + gradient."""
    program, memory, scales = net.program, net.memory, net.noise.scales
    buffers, gradients, widths = memory.buffers, memory.gradients, program.widths
    for k in range(len(program.operations) - 1, -1, -1):
        operation = program.operations[k]
        kind, below, place = operation[KIND], operation[IN], operation[PLACE]
        b = widths[operation[OUT]]
        delta = _rows(gradients, program.slots, widths, operation[OUT], n)
        if operation[RELU] == 1:
            scale_of_kept = scales[operation[DROPOUT]] if operation[DROPOUT] >= 0 else np.float32(1)
            _through(delta, _rows(buffers, program.places, widths, operation[OUT], n), scale_of_kept)
        if kind == LINEAR:
            x, a = _rows(buffers, program.places, widths, below, n), widths[below]
            weight_into, bias_into = _linear(into, place, a, b)
            _add_columns(delta, kept, bias_into)
            weight_gradient(delta, x, kept, weight_into, memory.box)
            if below > 0:
                weight, _ = _linear(net.state.parameters, place, a, b)
                change = _rows(gradients, program.slots, widths, below, n)
                backward_product(delta, weight, np.float32(operation[ADDS]), change, memory.box)
        elif kind == NORM:
            x, change = _rows(buffers, program.places, widths, below, n), _rows(gradients, program.slots, widths, below, n)
            mean, inverse = _pair(memory.moments, operation[RUNNING], b)
            scale, _ = _pair(net.state.parameters, place, b)
            of_scale, of_shift = memory.sums[0, :b], memory.sums[1, :b]
            _norm_sums(delta, x, mean, inverse, of_scale, of_shift)
            scale_into, shift_into = _pair(into, place, b)
            for j in range(b):
                scale_into[j] = kept * scale_into[j] + of_scale[j]
                shift_into[j] = kept * shift_into[j] + of_shift[j]
            for j in range(b):  # a single row has no part in the running statistics that it was normalised with
                of_scale[j] = of_scale[j] * inverse[j] / n if n > 1 else 0
                of_shift[j] = of_shift[j] / n if n > 1 else 0
                inverse[j] *= scale[j]
            _norm_backward(delta, x, mean, inverse, of_scale, of_shift, change, operation[ADDS] == 1)
        else:
            shares = net.noise.mixtures[step, place, 1]
            for part in range(3):
                if operation[IN + part] >= 0:
                    change = _rows(gradients, program.slots, widths, operation[IN + part], n)
                    _add(change, shares[part], delta, operation[ADDS + part] == 1)


@compiled
def _through(change: Floats, seen: Floats, scale: np.float32) -> None:  # (n, a), (n, a)
    """The derivative of ReLU and dropout: `scale` where the unit was above zero and kept, which its sign tells."""
    zero = np.float32(0)
    flat, signs = change.reshape(-1), seen.reshape(-1)
    for i in range(len(flat)):
        flat[i] = zero if signs[i] <= zero else flat[i] * scale


@compiled
def _add(into: Floats, share: np.float32, values: Floats, adds: bool) -> None:  # (n, b), (), (n, b)
    """A share of some values, to what is there or in its place."""
    flat, change = into.reshape(-1), values.reshape(-1)
    if adds:
        for i in range(len(flat)):
            flat[i] += share * change[i]
    else:
        for i in range(len(flat)):
            flat[i] = share * change[i]


@compiled
def _add_columns(delta: Floats, kept: np.float32, into: Floats) -> None:  # (n, b), (), (b,)
    """The sum of every column: into = kept * into + sum."""
    for j in range(len(into)):
        into[j] *= kept
    for i in range(len(delta)):
        for j in range(len(into)):
            into[j] += delta[i, j]


@compiled
def _norm_sums(delta: Floats, x: Floats, mean: Floats, inverse: Floats, of_scale: Floats, of_shift: Floats) -> None:  # (n, b) …, (b,) …
    """Gradients of the scales and the shifts of a normalisation."""
    zero = np.float32(0)
    for j in range(len(mean)):
        of_scale[j], of_shift[j] = zero, zero
    for i in range(len(delta)):
        for j in range(len(mean)):
            of_shift[j] += delta[i, j]
            of_scale[j] += delta[i, j] * (x[i, j] - mean[j]) * inverse[j]


@compiled
def _norm_backward(
    delta: Floats, x: Floats, mean: Floats, factor: Floats, of_scale: Floats, of_shift: Floats, change: Floats, adds: bool
) -> None:  # (n, b), (n, b), four times (b,), (n, b)
    """The gradient of what was normalised, to what is there or in its place."""
    for i in range(len(delta)):
        for j in range(len(mean)):
            value = factor[j] * (delta[i, j] - of_shift[j] - (x[i, j] - mean[j]) * of_scale[j])
            change[i, j] = change[i, j] + value if adds else value
