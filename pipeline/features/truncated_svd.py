"""Projection on the directions in which the columns are largest, without centring them first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Range of the paper's space (3.1 of Auto-PyTorch's first generation), clipped to what a table has."""
    from ConfigSpace import ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(Integer("target_dim", (10, 256), default=128))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted projection, on at most the columns - 1 directions; the identity for a single column."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import FunctionTransformer

    if n_columns < 2:
        return FunctionTransformer()
    return TruncatedSVD(min(int(settings["target_dim"]), n_columns - 1, n_rows), algorithm="randomized", random_state=seed)
