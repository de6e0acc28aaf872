"""Steps of the optimizers, number by number against torch's own."""

import numpy as np
import pytest
import torch

from pipeline.kernels.descent import Rule, State, adaptive_step, add_momentum, momentum_step

N, STEPS = 200, 5


def _gradients():
    """Of very different sizes; what a step is divided by stays far above epsilon."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((STEPS, N)) * 10.0 ** rng.uniform(-3, 1, N)).astype(np.float32)


def _moved(build, step):
    """Parameters after every step, torch's and ours, from the same start."""
    start = np.random.default_rng(1).standard_normal(N).astype(np.float32)
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = build([parameter])
    state = State(start.copy(), *(np.zeros(N, np.float32) for _ in range(3)))
    for number, gradient in enumerate(_gradients(), 1):
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        state.gradient[:] = gradient
        step(state, number)
        yield parameter.detach().numpy(), state.parameters


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_stochastic_gradient_descent(decay, momentum):
    rule = Rule(False, False, 0.05, decay, momentum, 0.0, 0)

    def step(state, number):
        add_momentum(rule, state)
        momentum_step(rule, state)

    for torchs, ours in _moved(lambda p: torch.optim.SGD(p, 0.05, momentum=momentum, weight_decay=decay), step):
        np.testing.assert_allclose(ours, torchs, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("betas", [(0.85, 0.99), (0.999, 0.9999)])
def test_adam_and_adamw(decay, decoupled, betas):
    rule = Rule(True, decoupled, 0.01, decay, *betas, 0)
    build = torch.optim.AdamW if decoupled else torch.optim.Adam
    for torchs, ours in _moved(
        lambda p: build(p, 0.01, betas=betas, weight_decay=decay), lambda state, number: adaptive_step(rule, state, number)
    ):
        np.testing.assert_allclose(ours, torchs, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("betas", [(0.85, 0.99), (0.999, 0.9999)])
def test_the_moments_of_the_first_gradient(betas):
    """What is new in them is one less beta; the difference of two numbers of float32 would be off by 1e-4."""
    state = State(*(np.zeros(N, np.float32) for _ in range(4)))
    state.gradient[:] = _gradients()[0]
    adaptive_step(Rule(True, False, 0.01, 0.0, *betas, 0), state, 1)
    g = state.gradient.astype(np.float64)
    np.testing.assert_allclose(state.momenta, (1 - betas[0]) * g, rtol=1e-6)
    np.testing.assert_allclose(state.squares, (1 - betas[1]) * g**2, rtol=1e-6)


def test_the_two_ways_to_decay_differ_by_far_more_than_is_allowed():
    rules = [Rule(True, decoupled, 0.01, 0.1, 0.85, 0.99, 0) for decoupled in (False, True)]
    ends = [list(_moved(torch.optim.Adam, lambda state, number, rule=rule: adaptive_step(rule, state, number)))[-1][1] for rule in rules]
    assert np.median(np.abs(ends[0] - ends[1]) / np.abs(ends[0])) > 1e-3
