"""Every initialisation has the distribution that its name promises, comes from the stream alone, and reaches every linear layer."""

import math

import pytest
import torch
from torch import nn

from lcbench.errors import UserError
from pipeline.networks.initialisation import BIASES, WEIGHTS, initialise

A, B = 300, 200


def _layer(weights="default", bias="default", seed=0):
    layer = nn.utils.skip_init(nn.Linear, A, B)
    initialise(layer, weights, bias, torch.Generator().manual_seed(seed))
    return layer


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("bias", BIASES)
def test_the_numbers_come_from_the_stream_alone(weights, bias):
    before = torch.get_rng_state()
    first, again, other = _layer(weights, bias), _layer(weights, bias), _layer(weights, bias, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        assert torch.equal(value, other.state_dict()[name]) == (name == "bias" and bias == "zero")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("default", 1 / math.sqrt(3 * A)), ("xavier", math.sqrt(2 / (A + B))), ("kaiming", math.sqrt(2 / A))],
)
def test_standard_deviations(weights, expected):
    assert float(_layer(weights).weight.detach().std()) == pytest.approx(expected, rel=0.02)


def test_orthogonal_rows():
    weight = _layer("orthogonal").weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(B), atol=1e-5, rtol=0)


def test_sparse_leaves_a_tenth_of_the_outgoing_weights_of_every_unit():
    weight = _layer("sparse").weight.detach()
    assert ((weight != 0).sum(dim=0) == B // 10).all()
    assert float(weight[weight != 0].std()) == pytest.approx(0.01, rel=0.05)
    assert len(set((weight != 0).float().argmax(dim=0).tolist())) > 10  # not the same rows for every column


def test_biases():
    assert 0.9 / math.sqrt(A) < float(_layer().bias.detach().abs().max()) <= 1 / math.sqrt(A)
    assert not _layer(bias="zero").bias.any()
    assert float(_layer(bias="normal").bias.detach().std()) == pytest.approx(1, rel=0.15)


def test_every_linear_layer_is_drawn_and_nothing_else():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Sequential(nn.Linear(3, 4, bias=False)))
    initialise(network, "orthogonal", "zero", torch.Generator().manual_seed(0))
    assert not network[0].bias.any()
    torch.testing.assert_close(network[2][0].weight.T @ network[2][0].weight, torch.eye(3))
    assert torch.equal(network[1].weight, torch.ones(3))


@pytest.mark.parametrize(("weights", "bias", "name"), [("he", "zero", "initialisation"), ("xavier", "one", "initialisation.bias")])
def test_an_unknown_method_is_refused_with_those_there_are(weights, bias, name):
    with pytest.raises(UserError, match=f"`{name}` is '(he|one)', but must be one of default, "):
        _layer(weights, bias)
