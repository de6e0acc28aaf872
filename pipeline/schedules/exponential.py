"""A rate that is multiplied by one number after every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """That number."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(Float("gamma", (0.7, 0.9999), default=0.9))
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Share of the initial rate in epoch `epoch` (1, 2, …)."""
    return float(settings["gamma"]) ** (epoch - 1)
