"""Projection on the directions of largest variance that together keep a share of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import Categorical, ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(Float("keep_variance", (0.5, 0.9999), log=True, default=0.9999), Categorical("whiten", [True, False], default=False))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted projection, by the smaller of the two decompositions that the shape allows."""
    from sklearn.decomposition import PCA

    solver = "covariance_eigh" if n_rows > n_columns else "full"
    share = float(settings["keep_variance"])
    return PCA(share if share < 1 else None, whiten=bool(settings["whiten"]), svd_solver=solver, random_state=seed)
