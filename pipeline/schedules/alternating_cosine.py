"""Cosine down and up again, with an amplitude that shrinks after every period."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Half of the first period in epochs, how much longer every next one is, and what is left of the amplitude."""
    from ConfigSpace import ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(
        Integer("t_max", (1, 20), default=10),
        Float("t_mult", (1.0, 2.0), default=1.0),
        Float("amplitude_reduction", (0.1, 1.0), default=0.5),
    )
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Share of the initial rate in epoch `epoch` (1, 2, …)."""
    start, half, amplitude = 0.0, float(settings["t_max"]), 1.0
    while epoch - 1 >= start + 2 * half:
        start, half = start + 2 * half, half * float(settings["t_mult"])
        amplitude *= float(settings["amplitude_reduction"])
    return amplitude * (1 + math.cos(math.pi * (epoch - 1 - start) / half)) / 2
