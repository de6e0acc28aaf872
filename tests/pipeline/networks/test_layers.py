"""Layers with weights: nothing is drawn when they are made, and one row can be normalised."""

import torch
from torch import nn

from pipeline.networks.layers import BatchNorm, Linear


def test_making_a_linear_layer_draws_nothing():
    before = torch.get_rng_state()
    Linear(3, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_rows_are_normalised_as_torch_does():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    ours, theirs = BatchNorm(3), nn.BatchNorm1d(3)
    assert torch.equal(ours.train()(x), theirs.train()(x))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_one_row_is_normalised_by_the_running_statistics_which_stay():
    norm = BatchNorm(3)
    norm.train()(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    row = torch.tensor([[1.0, 2.0, 3.0]])
    trained = norm(row)
    assert torch.equal(trained, norm.eval()(row))
    assert all(torch.equal(value, state[name]) for name, value in norm.state_dict().items())
