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
from pipeline.shapes import SHAPES, widths
from pipeline.streams import Purpose, stream

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

DROPOUT_OFF_AT = 0.05
"""Dropout layers exist only if max_dropout is above this (Auto-PyTorch, shapedmlpnet.py)."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Depth, one maximum width, one shape and one maximum dropout for all layers (Auto-PyTorch full_cs)."""
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
    original. A hexagon of 3 layers would have 4 widths (Auto-PyTorch full_cs); the third is left out.
    """
    shape, n_layers = settings["shape"], int(settings["num_layers"])
    hidden = widths(shape, n_features, n_outputs, int(settings["max_units"]), n_layers)[: n_layers - 1]
    max_dropout = float(settings["max_dropout"]) if settings["use_dropout"] else 0.0
    rates = dropout_rates(shape, max_dropout if max_dropout > DROPOUT_OFF_AT else 0.0, n_layers)[: n_layers - 1]
    network = MLP([n_features, *hidden, n_outputs], rates, activation_name=settings["activation"], batch_norm=bool(settings["batch_norm"]))
    initialise(network, "default", "default", stream(seed, 0, Purpose.WEIGHTS))
    return network
