"""Cosines of random projections, whose inner products approximate a Gaussian kernel (Rahimi and Recht, NIPS 2007)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo
from pipeline.features.fraction import fraction_hyperparameter, n_outputs

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(fraction_hyperparameter(), Float("gamma", (3.0517578125e-05, 8.0), log=True, default=1.0))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted projection; the first generation of Auto-PyTorch mixed up its two arguments."""
    from sklearn.kernel_approximation import RBFSampler

    count = n_outputs(float(settings["fraction"]), n_columns, n_columns)
    return RBFSampler(gamma=float(settings["gamma"]), n_components=count, random_state=seed)
