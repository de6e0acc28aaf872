"""Fitting on a part of the training rows, for methods whose cost grows faster than the number of rows.

Notation: n rows, d columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLED_ROWS = 2000
"""Training rows that methods of quadratic cost are fitted on."""


def sampled_rows(n: int, limit: int, seed: int) -> NDArray[np.int64]:
    """All row numbers in order, or `limit` random ones of them in order."""
    if n <= limit:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, limit, replace=False))


class Sampled:
    """A transformer that is fitted on at most `limit` random training rows and then transforms any."""

    def __init__(self, transformer: Any, *, limit: int, seed: int) -> None:
        self.transformer = transformer
        self.limit = limit
        self.seed = seed

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> Sampled:  # (n, d), (n,)
        """Fit the transformer on random rows."""
        rows = sampled_rows(len(X), self.limit, self.seed)
        self.transformer.fit(X[rows], y[rows])
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d)
        """What the transformer makes of the rows."""
        return self.transformer.transform(X)
