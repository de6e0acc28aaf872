"""Median zero, and one between two quantiles of every column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """The two quantiles, as shares of the training rows; ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(
        Float("q_min", (0.001, 0.3), default=0.25),
        Float("q_max", (0.7, 0.999), default=0.75),
    )
    return part


def build(settings: Mapping[str, Any], *, seed: int) -> Any:
    """The unfitted scaler."""
    from sklearn.preprocessing import RobustScaler

    return RobustScaler(quantile_range=(100 * float(settings["q_min"]), 100 * float(settings["q_max"])))
