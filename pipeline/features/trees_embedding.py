"""Indicators of the leaves of random trees that a row falls into (Moosmann, Triggs and Jurie, NIPS 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_OUTPUTS = 2000
"""Leaves of all trees together at most."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(
        Integer("n_estimators", (10, 100), default=10),
        Integer("max_depth", (2, 10), default=5),
        Integer("min_samples_split", (2, 20), default=2),
        Integer("min_samples_leaf", (1, 20), default=1),
    )
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted trees; each has at most its share of `MAX_OUTPUTS` leaves, those that were split first."""
    from sklearn.ensemble import RandomTreesEmbedding

    return RandomTreesEmbedding(
        **{name: int(value) for name, value in settings.items()},
        max_leaf_nodes=MAX_OUTPUTS // int(settings["n_estimators"]),
        sparse_output=False,
        random_state=seed,
    )
