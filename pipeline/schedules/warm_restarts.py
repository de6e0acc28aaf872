"""Cosine annealing with warm restarts (SGDR, Loshchilov and Hutter, ICLR 2017)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Length of the first period in epochs, and how much longer every next one is."""
    from ConfigSpace import ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(Integer("t_0", (1, 20), default=10), Float("t_mult", (1.0, 2.0), default=1.5))
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Share of the initial rate in epoch `epoch` (1, 2, …)."""
    start, length = 0.0, float(settings["t_0"])
    while epoch - 1 >= start + length:
        start, length = start + length, length * float(settings["t_mult"])
    return (1 + math.cos(math.pi * (epoch - 1 - start) / length)) / 2
