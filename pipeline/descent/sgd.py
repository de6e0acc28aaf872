"""Stochastic gradient descent with momentum; with the learning rate set before every epoch by a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Learning rate and weight decay of Auto-PyTorch's first generation, momentum from 0."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(
        Float("learning_rate", (1e-4, 1e-1), log=True, default=1e-2),
        Float("weight_decay", (1e-5, 1e-1), default=1e-4),
        Float("momentum", (0.0, 0.999), default=0.9),
    )
    return part


def build(parameters: Iterable[torch.nn.Parameter], settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of these parameters."""
    rate, decay = float(settings["learning_rate"]), float(settings["weight_decay"])
    return torch.optim.SGD(parameters, lr=rate, momentum=float(settings["momentum"]), weight_decay=decay, fused=True)
