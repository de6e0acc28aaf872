"""Triangular cycles between two multiples of the initial rate (Auto-PyTorch's first generation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """The two multiples, and the epochs of a cycle."""
    from ConfigSpace import ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(
        Float("max_factor", (1.0, 2.0), default=1.5),
        Float("min_factor", (0.001, 1.0), default=0.1),
        Integer("cycle_length", (3, 10), default=6),
    )
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Multiple of the initial rate in epoch `epoch` (1, 2, …), which begins every cycle at the low end."""
    phase = (epoch - 1) % int(settings["cycle_length"]) / int(settings["cycle_length"])
    low, high = float(settings["min_factor"]), float(settings["max_factor"])
    return low + (high - low) * (1 - abs(2 * phase - 1))
