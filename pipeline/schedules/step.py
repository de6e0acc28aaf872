"""A rate that drops by a factor every few epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """The epochs between two drops, and the factor."""
    from ConfigSpace import ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(Integer("step_size", (1, 10), default=5), Float("gamma", (0.001, 0.9), default=0.1))
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Share of the initial rate in epoch `epoch` (1, 2, …)."""
    return float(settings["gamma"]) ** ((epoch - 1) // int(settings["step_size"]))
