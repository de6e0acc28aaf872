"""The multi-layer perceptron: every hidden layer has its own width and its own dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lcbench.task import TaskInfo
from pipeline.networks.activations import ACTIVATIONS, activation
from pipeline.networks.dropout import Dropout
from pipeline.networks.initialisation import initialise
from pipeline.networks.layers import BatchNorm, Linear
from pipeline.streams import Purpose, stream

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_LAYERS = 15
"""Most hidden layers (Auto-PyTorch full_cs)."""


class MLP(nn.Module):
    """Linear layers between `sizes`; after all but the last: batch normalisation (if wanted), activation, dropout.

    Shape: (batch, sizes[0]) -> (batch, sizes[-1]). Number of parameters: the sum of a * b + b over consecutive sizes a, b, and
    with batch normalisation twice the sum of the hidden sizes.

    >>> [layer.out_features for layer in MLP([18, 256, 130, 4], [0.2, 0.1], activation_name="relu", batch_norm=False).linears]
    [256, 130, 4]
    """

    def __init__(self, sizes: Sequence[int], rates: Sequence[float], *, activation_name: str, batch_norm: bool) -> None:
        super().__init__()
        self.linears = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(width) if batch_norm else nn.Identity() for width in sizes[1:-1])
        self.activation = activation(activation_name)
        self.dropouts = nn.ModuleList(Dropout(rate) for rate in rates)

    def forward(self, x: Tensor) -> Tensor:  # (batch, sizes[0])
        """Logits, or one number, per row."""
        *hidden, last = self.linears
        for linear, norm, dropout in zip(hidden, self.norms, self.dropouts, strict=True):
            x = dropout(self.activation(norm(linear(x))))
        return last(x)  # (batch, sizes[-1])


def space(task: TaskInfo) -> ConfigurationSpace:
    """Depth, width and dropout per hidden layer, activation and batch normalisation (Auto-PyTorch full_cs; batch normalisation 0.2.1)."""
    from ConfigSpace import AndConjunction, Categorical, ConfigurationSpace, EqualsCondition, Float, GreaterThanCondition, Integer

    depth = Integer("num_layers", (1, MAX_LAYERS), default=3)
    use_dropout = Categorical("use_dropout", [True, False], default=False)
    result = ConfigurationSpace()
    result.add(
        depth,
        Categorical("activation", list(ACTIVATIONS)),
        Categorical("batch_norm", [True, False], default=True),
        use_dropout,
    )
    for i in range(1, MAX_LAYERS + 1):
        units = Integer(f"units_{i}", (10, 1024), log=True, default=200)
        rate = Float(f"dropout_{i}", (0.0, 0.8), default=0.5)
        result.add(units, rate)
        with_dropout = EqualsCondition(rate, use_dropout, True)
        if i == 1:
            result.add(with_dropout)
        else:
            result.add(GreaterThanCondition(units, depth, i - 1))
            result.add(AndConjunction(with_dropout, GreaterThanCondition(rate, depth, i - 1)))
    return result


def build(settings: Mapping[str, Any], n_features: int, n_outputs: int, *, seed: int) -> nn.Module:
    """The network of these settings, with torch's default weights; `num_layers` counts hidden layers."""
    hidden = range(1, int(settings["num_layers"]) + 1)
    network = MLP(
        [n_features, *(int(settings[f"units_{i}"]) for i in hidden), n_outputs],
        [float(settings[f"dropout_{i}"]) if settings["use_dropout"] else 0.0 for i in hidden],
        activation_name=settings["activation"],
        batch_norm=bool(settings["batch_norm"]),
    )
    initialise(network, "default", "default", stream(seed, 0, Purpose.WEIGHTS))
    return network
