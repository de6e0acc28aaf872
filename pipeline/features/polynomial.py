"""Products of columns.

Notation: n rows, d columns, k columns that are multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import Kind, TaskInfo
from pipeline.features.selection import f_scores

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_OUTPUTS = 2000
"""Columns at most, unless there are more without any product."""


class Products:
    """Products of the `count` columns with the highest F scores, behind the other columns as they are."""

    def __init__(self, products: Any, count: int, kind: Kind) -> None:
        self.products = products
        self.count = count
        self.kind: Kind = kind

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> Products:  # (n, d), (n,)
        """Choose the columns."""
        order = np.argsort(-f_scores(X, y, self.kind), kind="stable")
        self.multiplied, self.passed = np.sort(order[: self.count]), np.sort(order[self.count :])
        if self.count:
            self.products.fit(X[:1, self.multiplied])
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d)
        """The columns that are passed through, then the products."""
        if not self.count:
            return X
        return np.hstack([X[:, self.passed], self.products.transform(X[:, self.multiplied])])


def n_multiplied(n_columns: int, degree: int, interaction_only: bool) -> int:
    """The largest number k of columns whose products, together with the d - k other columns, are at most `MAX_OUTPUTS`.

    >>> n_multiplied(10, 2, False), n_multiplied(100, 2, False), n_multiplied(100, 3, True), n_multiplied(5000, 2, True)
    (10, 61, 22, 0)
    """

    def outputs(k: int) -> int:
        count = 1 + sum(math.comb(k, i) for i in range(1, degree + 1)) if interaction_only else math.comb(k + degree, degree)
        return count + n_columns - k

    return max((k for k in range(n_columns + 1) if k == 0 or outputs(k) <= MAX_OUTPUTS), default=0)


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(
        Integer("degree", (2, 3), default=2),
        Categorical("interaction_only", [True, False], default=False),
        Categorical("include_bias", [True, False], default=True),
    )
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted products of as many columns as `MAX_OUTPUTS` allows."""
    from sklearn.preprocessing import PolynomialFeatures

    degree, interaction_only = int(settings["degree"]), bool(settings["interaction_only"])
    products = PolynomialFeatures(degree, interaction_only=interaction_only, include_bias=bool(settings["include_bias"]))
    return Products(products, n_multiplied(n_columns, degree, interaction_only), kind)
