"""AdamW, whose weight decay acts on the weights themselves (Loshchilov and Hutter, ICLR 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from lcbench.task import TaskInfo
from pipeline.descent.adam import moments, space_of_moments

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1, torch's defaults."""
    return space_of_moments(weight_decay=1e-2)


def build(parameters: Iterable[torch.nn.Parameter], settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of these parameters."""
    return torch.optim.AdamW(parameters, **moments(settings), fused=True)
