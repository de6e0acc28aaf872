"""Columns that are alike become one.

Notation: n rows, d columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import Kind, TaskInfo
from pipeline.features.fraction import fraction_hyperparameter, n_outputs
from pipeline.features.sampling import SAMPLED_ROWS, Sampled

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

POOLING = {"mean": np.mean, "median": np.median, "max": np.max}
"""What a cluster of columns becomes."""


class Agglomeration:
    """Clusters of columns; constant columns are left out, and fewer than two others stay as they are."""

    def __init__(self, settings: Mapping[str, Any], count: int) -> None:
        self.settings = dict(settings)
        self.count = count
        self.clusters: Any = None

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> Agglomeration:  # (n, d), (n,)
        """Cluster the columns by their distances over the rows."""
        from sklearn.cluster import FeatureAgglomeration

        varying = np.flatnonzero(np.ptp(X, axis=0) > 0)
        if len(varying) < 2:
            return self
        self.varying = varying
        X, metric = X[:, varying], self.settings.get("metric", "euclidean")
        if metric == "cosine":
            X = X / np.abs(X).max(axis=0)  # the square of a tiny column would be zero; its direction is the same
        count, pooling = min(self.count, len(varying)), POOLING[self.settings["pooling"]]
        self.clusters = FeatureAgglomeration(count, metric=metric, linkage=self.settings["linkage"], pooling_func=pooling).fit(X)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d)
        """One column per cluster."""
        return X if self.clusters is None else self.clusters.transform(X[:, self.varying])


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1; Ward's linkage knows only Euclidean distances."""
    from ConfigSpace import Categorical, ConfigurationSpace, InCondition

    part = ConfigurationSpace()
    linkage = Categorical("linkage", ["ward", "complete", "average"], default="ward")
    metric = Categorical("metric", ["euclidean", "manhattan", "cosine"], default="euclidean")
    part.add(fraction_hyperparameter(), linkage, metric, Categorical("pooling", ["mean", "median", "max"], default="mean"))
    part.add(InCondition(metric, linkage, ["complete", "average"]))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted clustering."""
    count = n_outputs(float(settings["fraction"]), n_columns, n_columns)
    return Sampled(Agglomeration(settings, count), limit=SAMPLED_ROWS, seed=seed)
