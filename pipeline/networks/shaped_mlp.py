"""The shaped multi-layer perceptron: every LCBench curve is a training of this network in funnel shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from lcbench.task import TaskInfo
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.dropout import dropout_rates
from pipeline.networks.initialisation import initialise
from pipeline.networks.mlp import MLP
from pipeline.networks.stochastic import start_epoch
from pipeline.shapes import SHAPES, widths
from pipeline.streams import Purpose, stream

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

DROPOUT_OFF_AT = 0.05
"""Dropout layers exist only if max_dropout is above this (Auto-PyTorch, shapedmlpnet.py)."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Depth, one maximum width, one shape and one maximum dropout for all layers (ground truth 3.2)."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer

    use_dropout = Categorical("use_dropout", [True, False], default=False)
    max_dropout = Float("max_dropout", (0.0, 1.0), default=0.5)
    result = ConfigurationSpace()
    result.add(
        Integer("num_layers", (1, 15), default=3),
        Integer("max_units", (10, 1024), log=True, default=200),
        Categorical("shape", list(SHAPES), default="funnel"),
        Categorical("activation", list(ACTIVATIONS)),
        Categorical("batch_norm", [True, False], default=False),
        use_dropout,
        max_dropout,
        EqualsCondition(max_dropout, use_dropout, True),
    )
    return result


def build(settings: Mapping[str, Any], n_features: int, n_outputs: int, *, seed: int) -> nn.Module:
    """The network of these settings, with torch's default weights.

    `num_layers` counts *linear layers*, so 1 is a linear model, and the first width is at least `n_features`, both as in the
    original. A hexagon of 3 layers would have 4 widths (ground truth 3.3); the third is left out.
    """
    max_dropout = float(settings["max_dropout"]) if settings["use_dropout"] else 0.0
    sizes, rates = _layers(n_features, n_outputs, settings["shape"], int(settings["max_units"]), int(settings["num_layers"]), max_dropout)
    network = MLP(sizes, rates, activation_name=settings["activation"], batch_norm=bool(settings["batch_norm"]))
    initialise(network, "default", "default", stream(seed, 0, Purpose.WEIGHTS))
    return network


def _layers(
    n_features: int, n_outputs: int, shape: str, max_units: int, n_layers: int, max_dropout: float
) -> tuple[list[int], list[float]]:  # (L + 1,), (L - 1,)
    """Sizes from the input to the output, and the dropout rates between them."""
    hidden = widths(shape, n_features, n_outputs, max_units, n_layers)[: n_layers - 1]
    rates = dropout_rates(shape, max_dropout if max_dropout > DROPOUT_OFF_AT else 0.0, n_layers)[: n_layers - 1]
    return [n_features, *hidden, n_outputs], rates


class ShapedMLP(MLP):
    """The network of LCBench as `pipeline.training` builds it without settings: ReLU, no batch normalisation, drawn from `seed`."""

    def __init__(
        self, n_features: int, n_outputs: int, *, num_layers: int, max_units: int, max_dropout: float, shape: str = "funnel", seed: int = 0
    ) -> None:
        sizes, rates = _layers(n_features, n_outputs, shape, max_units, num_layers, max_dropout)
        super().__init__(sizes, rates, activation_name="relu", batch_norm=False)
        initialise(self, "default", "default", stream(seed, 0, Purpose.WEIGHTS))
        self.seed = seed

    @property
    def n_parameters(self) -> int:
        """Number of scalars that are trained."""
        return sum(p.numel() for p in self.parameters())

    def start_epoch(self, epoch: int) -> None:
        """Give every dropout layer its stream for one epoch."""
        start_epoch(self, self.seed, epoch)
