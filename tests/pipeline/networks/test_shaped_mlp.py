"""The network of LCBench: weights, masks and outputs of a seed stay what they are, to the bit; hexagons are mended."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.networks.network import build_network
from pipeline.networks.stochastic import Stochastic
from pipeline.streams import Purpose, stream

GOLDEN = [
    ((18, 4, 3, 256, 0.2, 1), "b3cc2a7a69c91761", "0201cd414e0e5eae", [-0.1567195505, -0.092870988, -0.0665702149, 0.1060356572]),
    ((5, 1, 1, 64, 0.5, 7), "8639eef4eb022b48", "e3b0c44298fc1c14", [0.7200103998]),
    ((7, 3, 5, 64, 1.0, 3), "6ed1167d79edae8f", "3b025cf1c13991e9", [-0.1150161922, 0.2241529226, 0.178087309]),
    ((6, 2, 4, 100, 0.04, 0), "e87cb415c09b5bc1", "c7de6f41f2595786", [0.0211116821, -0.0972783267]),
]
"""(features, outputs, layers, units, dropout, seed); checksums of the weights and of the masks of epoch 3; first output in training.

Weights were written down before the network was rebuilt from parts, masks when dropout got its own draws (docs/decisions/0013).
"""


def lcbench_network(n_features, n_outputs, num_layers=3, max_units=64, max_dropout=0.0, seed=0, **other):
    values = {"num_layers": num_layers, "max_units": max_units, "max_dropout": max_dropout, "use_dropout": True}
    values |= {"shape": "funnel", "activation": "relu", "batch_norm": False} | other
    settings = {"network": "shaped_mlp", "initialisation": "default", "initialisation.bias": "default", "embedding": "none"}
    return build_network(settings | {f"shaped_mlp.{name}": value for name, value in values.items()}, n_features, n_outputs, seed=seed)


def _checksum(tensors):
    return hashlib.sha256(b"".join(tensor.detach().numpy().tobytes() for tensor in tensors)).hexdigest()[:16]


def _dropouts(network):
    return [layer for layer in network.modules() if isinstance(layer, Stochastic)]


def _rates(network):
    return [dropout.rate for dropout in _dropouts(network)]


@pytest.mark.parametrize(("about", "weights", "masks", "output"), GOLDEN)
def test_recorded_curves_repeat(about, weights, masks, output):
    network = lcbench_network(*about).train()
    assert _checksum(network.parameters()) == weights
    network.start_epoch(3)
    assert _checksum([dropout(torch.ones(4, 10)) for dropout in _dropouts(network)]) == masks
    network.start_epoch(3)
    x = torch.randn(16, about[0], generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(network(x)[0].detach().numpy(), output, rtol=1e-5)


def test_default_weights_are_those_that_torch_draws():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(9, 0, Purpose.WEIGHTS).initial_seed())
        expected = [nn.Linear(18, 256), nn.Linear(256, 130), nn.Linear(130, 4)]
    for ours, theirs in zip(lcbench_network(18, 4, max_units=256, seed=9).linears, expected, strict=True):
        assert torch.equal(ours.weight, theirs.weight)
        assert torch.equal(ours.bias, theirs.bias)


def test_parameter_count_of_the_golden_network():
    assert lcbench_network(18, 4, max_units=256).n_parameters == 38798


@pytest.mark.parametrize(("shape", "expected"), [("funnel", [0.5, 0.3335, 0.167]), ("brick", [0.5] * 3), ("stairs", [0.5, 0.167, 0.167])])
def test_dropout_follows_the_shape(shape, expected):
    np.testing.assert_allclose(_rates(lcbench_network(5, 2, 4, max_dropout=0.5, shape=shape)), expected)


@pytest.mark.parametrize(("max_dropout", "use_dropout", "on"), [(0.05, True, False), (0.06, True, True), (0.9, False, False)])
def test_little_dropout_is_none(max_dropout, use_dropout, on):
    rates = _rates(lcbench_network(5, 2, max_dropout=max_dropout, use_dropout=use_dropout))
    assert rates == pytest.approx([max_dropout, max_dropout / 2] if on else [0, 0])


def test_without_dropout_no_maximum_is_needed():
    settings = {"num_layers": 3, "max_units": 64, "use_dropout": False, "shape": "funnel", "activation": "relu", "batch_norm": False}
    settings = {f"shaped_mlp.{name}": value for name, value in settings.items()}
    settings |= {"network": "shaped_mlp", "initialisation": "default", "initialisation.bias": "default", "embedding": "none"}
    assert build_network(settings, 5, 2, seed=0).n_parameters == lcbench_network(5, 2).n_parameters


def test_a_hexagon_of_three_layers_has_three_layers():
    network = lcbench_network(18, 4, 3, 256, 0.5, shape="hexagon")
    assert [layer.out_features for layer in network.linears] == [256, 256, 4]
    assert len(_rates(network)) == 2
