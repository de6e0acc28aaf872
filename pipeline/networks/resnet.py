"""The residual network: every group of blocks has its own width and its own dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lcbench.task import TaskInfo
from pipeline.networks.activations import activation
from pipeline.networks.initialisation import initialise
from pipeline.networks.layers import BatchNorm, Linear
from pipeline.networks.residual import ResidualBlock, Style, add_style
from pipeline.networks.shake import survival
from pipeline.streams import Purpose, stream

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_GROUPS = 9
"""Most groups of blocks (Auto-PyTorch full_cs)."""


class ResNet(nn.Module):
    """A linear layer to u_0; groups of residual blocks, the first block of group g from u_(g-1) to u_g; normalise, activate, linear.

    Shape: (batch, n_features) -> (batch, n_outputs). `units` are u_0..u_G and `rates` the dropout of the G groups. Number of
    parameters: (d * u_0 + u_0) + those of the blocks (`ResidualBlock`) + 2 u_G + (u_G * k + k), for d features, k outputs.
    """

    def __init__(self, n_features: int, n_outputs: int, units: Sequence[int], rates: Sequence[float], style: Style) -> None:
        super().__init__()
        self.first = Linear(n_features, units[0])
        self.blocks = nn.Sequential()
        n_blocks = len(rates) * style.blocks_per_group
        for (before, after), rate in zip(pairwise(units), rates, strict=True):
            for i in range(style.blocks_per_group):
                chance = survival(len(self.blocks), n_blocks, style.max_shake_drop)
                self.blocks.append(ResidualBlock(before if i == 0 else after, after, rate, chance, style))
        self.last = nn.Sequential(BatchNorm(units[-1]), activation(style.activation), Linear(units[-1], n_outputs))

    def forward(self, x: Tensor) -> Tensor:  # (batch, n_features)
        """Logits, or one number, per row."""
        return self.last(self.blocks(self.first(x)))  # (batch, n_outputs)


def space(task: TaskInfo) -> ConfigurationSpace:
    """Groups, width and dropout per group, and the style of the blocks (Auto-PyTorch full_cs)."""
    from ConfigSpace import AndConjunction, Categorical, ConfigurationSpace, EqualsCondition, Float, GreaterThanCondition, Integer

    groups = Integer("num_groups", (1, MAX_GROUPS), default=2)
    use_dropout = Categorical("use_dropout", [True, False], default=False)
    result = ConfigurationSpace()
    result.add(groups, use_dropout)
    add_style(result)
    for i in range(MAX_GROUPS + 1):
        units = Integer(f"units_{i}", (10, 1024), log=True, default=200)
        result.add(units)
        if i > 1:
            result.add(GreaterThanCondition(units, groups, i - 1))
    for i in range(1, MAX_GROUPS + 1):
        rate = Float(f"dropout_{i}", (0.0, 1.0), default=0.5)
        result.add(rate)
        with_dropout = EqualsCondition(rate, use_dropout, True)
        result.add(with_dropout if i == 1 else AndConjunction(with_dropout, GreaterThanCondition(rate, groups, i - 1)))
    return result


def build(settings: Mapping[str, Any], n_features: int, n_outputs: int, *, seed: int) -> nn.Module:
    """The network of these settings, with torch's default weights."""
    n_groups = int(settings["num_groups"])
    network = ResNet(
        n_features,
        n_outputs,
        [int(settings[f"units_{i}"]) for i in range(n_groups + 1)],
        [float(settings[f"dropout_{i}"]) if settings["use_dropout"] else 0.0 for i in range(1, n_groups + 1)],
        Style.of(settings),
    )
    initialise(network, "default", "default", stream(seed, 0, Purpose.WEIGHTS))
    return network
