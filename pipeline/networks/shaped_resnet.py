"""The shaped residual network: the widths and the dropout of its groups follow one shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from lcbench.task import TaskInfo
from pipeline.networks.dropout import dropout_rates
from pipeline.networks.initialisation import initialise
from pipeline.networks.residual import Style, add_style
from pipeline.networks.resnet import MAX_GROUPS, ResNet
from pipeline.shapes import SHAPES, widths
from pipeline.streams import Purpose, stream

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Groups, one maximum width, one shape and one maximum dropout for all groups, and the style of the blocks (Auto-PyTorch full_cs)."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer

    use_dropout = Categorical("use_dropout", [True, False], default=False)
    max_dropout = Float("max_dropout", (0.0, 1.0), default=0.5)
    result = ConfigurationSpace()
    result.add(
        Integer("num_groups", (1, MAX_GROUPS), default=2),
        Integer("max_units", (10, 1024), log=True, default=200),
        Categorical("shape", list(SHAPES), default="funnel"),
        use_dropout,
        max_dropout,
        EqualsCondition(max_dropout, use_dropout, True),
    )
    add_style(result)
    return result


def build(settings: Mapping[str, Any], n_features: int, n_outputs: int, *, seed: int) -> nn.Module:
    """The network of these settings, with torch's default weights.

    The widths u_0..u_G are those of a shaped network of G + 2 layers without its last; the dropout follows the shape over G
    layers, so that a shape that closes leaves the last group without dropout (Auto-PyTorch full_cs).
    """
    n_groups = int(settings["num_groups"])
    max_dropout = float(settings["max_dropout"]) if settings["use_dropout"] else 0.0
    network = ResNet(
        n_features,
        n_outputs,
        widths(settings["shape"], n_features, n_outputs, int(settings["max_units"]), n_groups + 2)[: n_groups + 1],
        dropout_rates(settings["shape"], max_dropout, n_groups),
        Style.of(settings),
    )
    initialise(network, "default", "default", stream(seed, 0, Purpose.WEIGHTS))
    return network
