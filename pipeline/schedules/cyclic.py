"""Triangular cycles between two multiples of the initial rate (Auto-PyTorch's first generation), of one height or halved (the second)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """The two multiples, the epochs of a cycle, and whether every cycle is half as high as the one before."""
    from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(
        Float("max_factor", (1.0, 2.0), default=1.5),
        Float("min_factor", (0.001, 1.0), default=0.1),
        Integer("cycle_length", (3, 10), default=6),
        Categorical("mode", ["triangular", "triangular2"]),
    )
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Multiple of the initial rate in epoch `epoch` (1, 2, …), which begins every cycle at the low end."""
    length, low = int(settings["cycle_length"]), float(settings["min_factor"])
    cycle, step = divmod(epoch - 1, length)
    height = (float(settings["max_factor"]) - low) / (2**cycle if settings["mode"] == "triangular2" else 1)
    return low + height * (1 - abs(2 * step / length - 1))
