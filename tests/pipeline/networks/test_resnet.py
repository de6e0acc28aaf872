"""Residual networks: the published widths, the structure of a block, and the rates that reach it."""

import pytest
import torch
from torch import nn

from pipeline.networks import resnet, shaped_resnet
from pipeline.networks.dropout import Dropout
from pipeline.networks.layers import BatchNorm
from pipeline.networks.residual import ResidualBlock, Style
from pipeline.networks.shake import ShakeDrop
from pipeline.shapes import SHAPES

SHAPED = {
    "num_groups": 4,
    "blocks_per_group": 2,
    "max_units": 41,
    "shape": "funnel",
    "activation": "relu",
    "use_dropout": True,
    "max_dropout": 0.6,
    "use_skip_connections": True,
    "use_shake_shake": False,
    "use_shake_drop": False,
}
PLAIN = Style(blocks_per_group=1, activation="relu", skip=True, shake_shake=False, max_shake_drop=0.0)


def _shaped(**other):
    return shaped_resnet.build(SHAPED | other, 20, 2, seed=0)


def _widths(network):
    """u_0..u_G, read from the layers: the first, and what every group ends with."""
    outputs = [block.branches[0][-1].out_features for block in network.blocks]
    return [network.first.out_features, *outputs[1::2]]


def _rates(network):
    return [layer.rate for layer in network.modules() if isinstance(layer, Dropout)]


@pytest.mark.parametrize(("units", "groups", "expected"), [(354, 1, [354, 178]), (41, 4, [41, 34, 27, 20, 13])])
def test_published_widths(units, groups, expected):
    assert _widths(_shaped(max_units=units, num_groups=groups)) == expected


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("groups", range(1, 10))
def test_every_shape_has_as_many_groups_as_asked_for(shape, groups):
    network = _shaped(shape=shape, num_groups=groups)
    assert len(network.blocks) == 2 * groups
    assert len(_rates(network)) == 2 * groups


def test_the_rate_and_not_the_switch_reaches_the_layers():
    """Known defects 2 and 5 of the original: rate 1 whatever the maximum, and the same in every group (Auto-PyTorch full_cs)."""
    assert _rates(_shaped()) == pytest.approx([0.6, 0.6, 0.4002, 0.4002, 0.2004, 0.2004, 0, 0])
    assert _rates(_shaped(use_dropout=False)) == [0] * 8


def test_dropout_per_group_of_the_unshaped_network():
    values = {"num_groups": 2, "units_0": 8, "units_1": 6, "units_2": 6, "dropout_1": 0.1, "dropout_2": 0.7}
    assert _rates(resnet.build(SHAPED | values, 5, 2, seed=0)) == [0.1, 0.1, 0.7, 0.7]


def test_survival_falls_over_the_blocks_of_the_whole_network():
    network = _shaped(num_groups=2, use_shake_drop=True, max_shake_drop_probability=0.4)
    chances = [layer.survival for layer in network.modules() if isinstance(layer, ShakeDrop)]
    assert chances == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_there_is_nothing_to_shake_with_probability_0():
    network = _shaped(use_shake_drop=True, max_shake_drop_probability=0.0)
    assert not [layer for layer in network.modules() if isinstance(layer, ShakeDrop)]


def _x(width):
    return torch.randn(16, width, generator=torch.Generator().manual_seed(0))


def _drawn(block):
    """The block with numbers in its linear layers; by itself it has none."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(generator=generator)
    return block.train()


def test_a_block_of_equal_widths_adds_its_input_as_it_is():
    block = _drawn(ResidualBlock(5, 5, 0.0, 1.0, PLAIN))
    x = _x(5)
    torch.testing.assert_close(block(x), x + block.branches[0](x))
    assert [type(layer) for layer in block.branches[0]] == [BatchNorm, nn.ReLU, *_tail()]


def test_a_block_that_changes_the_width_shares_its_first_activation():
    block = _drawn(ResidualBlock(5, 3, 0.0, 1.0, PLAIN))
    y = torch.relu(block.before[0](_x(5)))
    torch.testing.assert_close(block(_x(5)), block.shortcut(y) + block.branches[0](y))
    assert [type(layer) for layer in block.branches[0]] == _tail()


def _tail():
    linear = type(ResidualBlock(1, 2, 0.0, 1.0, PLAIN).shortcut)
    return [linear, BatchNorm, nn.ReLU, Dropout, linear]


@pytest.mark.parametrize("widths", [(5, 5), (5, 3)])
def test_without_skip_connections_a_block_is_its_branch(widths):
    block = _drawn(ResidualBlock(*widths, 0.0, 1.0, Style(1, "relu", skip=False, shake_shake=False, max_shake_drop=0.0)))
    x = _x(5)
    torch.testing.assert_close(block(x), block.branches[0](block.before(x)))


@pytest.mark.parametrize("widths", [(5, 5), (5, 3)])
def test_both_shakes_together_at_evaluation(widths):
    style = Style(1, "relu", skip=True, shake_shake=True, max_shake_drop=0.5)
    block = _drawn(ResidualBlock(*widths, 0.0, 0.6, style)).eval()
    y = block.before(_x(5))
    branches = [branch(y) for branch in block.branches]
    assert not torch.equal(*branches)
    torch.testing.assert_close(block(_x(5)), block.shortcut(y) + 0.8 * (branches[0] + branches[1]) / 2)
