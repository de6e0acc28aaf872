"""Adam, whose weight decay is a term of the loss (Kingma and Ba, ICLR 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1, torch's defaults."""
    return space_of_moments(weight_decay=0.0)


def space_of_moments(weight_decay: float) -> ConfigurationSpace:
    """What the rules with two moments have in common; beta2 is 0.999 by default, as in torch, and not Auto-PyTorch's 0.9."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(
        Float("learning_rate", (1e-5, 1e-1), log=True, default=1e-3),
        Float("weight_decay", (0.0, 0.1), default=weight_decay),
        Float("beta1", (0.85, 0.999), default=0.9),
        Float("beta2", (0.9, 0.9999), default=0.999),
    )
    return part


def moments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters under torch's names."""
    betas = (float(settings["beta1"]), float(settings["beta2"]))
    return {"lr": float(settings["learning_rate"]), "betas": betas, "weight_decay": float(settings["weight_decay"])}


def build(parameters: Iterable[torch.nn.Parameter], settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of these parameters."""
    return torch.optim.Adam(parameters, **moments(settings), fused=True)
