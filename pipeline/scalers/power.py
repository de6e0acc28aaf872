"""Yeo and Johnson's power of every column that makes it most like a normal distribution, then zero mean and unit variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

LARGEST = 1e100
"""Powers are clipped to this size: its square still fits a float64."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Nothing to choose: Box and Cox's powers are for positive numbers only."""
    from ConfigSpace import ConfigurationSpace

    return ConfigurationSpace()


def build(settings: Mapping[str, Any], *, seed: int) -> Any:
    """The unfitted scaler; scikit-learn's own standardising refuses the infinities that powers of huge numbers are."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

    return make_pipeline(PowerTransformer(method="yeo-johnson", standardize=False), FunctionTransformer(_clipped), StandardScaler())


def _clipped(X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, columns)
    return np.clip(X, -LARGEST, LARGEST)
