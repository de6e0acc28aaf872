"""What fills the missing cells of columns of numbers; missing categories are a matter of their encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

STRATEGIES = ("mean", "median", "most_frequent", "constant_zero")
"""What a missing number becomes: a statistic of its column's training rows, or 0."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """The strategies of Auto-PyTorch 0.2.1."""
    from ConfigSpace import Categorical, ConfigurationSpace

    part = ConfigurationSpace()
    part.add(Categorical("numerical", STRATEGIES, default="mean"))
    return part


def imputer(strategy: str) -> Any:
    """The transformer that fills missing numbers."""
    from sklearn.impute import SimpleImputer

    return SimpleImputer(strategy="constant", fill_value=0.0) if strategy == "constant_zero" else SimpleImputer(strategy=strategy)
