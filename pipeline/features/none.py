"""Columns as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Nothing to choose."""
    from ConfigSpace import ConfigurationSpace

    return ConfigurationSpace()


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The identity."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer()
