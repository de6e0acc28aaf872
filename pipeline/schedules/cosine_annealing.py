"""Cosine annealing from the initial rate to (almost) none, without restarts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """How many epochs the fall takes."""
    from ConfigSpace import ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(Integer("t_max", (10, 500), default=50))
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Share of the initial rate in epoch `epoch` (1, 2, …); after `t_max` epochs, or the horizon where it is None, that floor."""
    until = horizon if settings["t_max"] is None else int(settings["t_max"])
    progress = min(epoch - 1, until) / until
    return (1 + math.cos(math.pi * progress)) / 2
