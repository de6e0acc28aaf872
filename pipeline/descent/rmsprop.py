"""RMSprop with momentum; its smoothing constant reaches it here, in Auto-PyTorch's first generation it did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(
        Float("learning_rate", (1e-5, 1e-1), log=True, default=1e-3),
        Float("weight_decay", (0.0, 0.1), default=0.0),
        Float("alpha", (0.1, 0.99), default=0.99),
        Float("momentum", (0.0, 0.99), default=0.0),
    )
    return part


def build(parameters: Iterable[torch.nn.Parameter], settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of these parameters."""
    rate, decay = float(settings["learning_rate"]), float(settings["weight_decay"])
    return torch.optim.RMSprop(
        parameters, lr=rate, alpha=float(settings["alpha"]), momentum=float(settings["momentum"]), weight_decay=decay, foreach=True
    )
