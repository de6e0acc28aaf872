"""Averaging of weights along a training: the network that is judged is a moving average of the one that is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Decay of the exponential moving average per step of the optimizer (Izmailov et al., UAI 2018, use an equal average)."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(Float("decay", (0.9, 0.999), log=True, default=0.99))
    return part
