"""Merging rare categories into one, so that they do not each cost columns that nothing can be learned from.

Notation: n rows, c columns of categories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MERGED = -1.0
"""The code of all rare categories of a column together."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """The share below which a category is rare; range of Auto-PyTorch 0.2.1."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(Float("min_fraction", (1e-4, 0.5), log=True, default=0.01))
    return part


class Coalescer:
    """Merges the categories of a column that make up less than `min_fraction` of the training rows, those without any included.

    A missing cell stays missing: it is never merged.
    """

    def __init__(self, min_fraction: float) -> None:
        self.min_fraction = min_fraction
        self.kept: list[NDArray[np.float64]] = []

    def fit(self, codes: NDArray[np.float64]) -> Coalescer:  # (n, c)
        """Note the frequent categories of every column."""
        for column in codes.T:
            values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
            self.kept.append(values[counts >= self.min_fraction * len(column)])
        return self

    def transform(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, c)
        """The same codes, `MERGED` where a category is rare."""
        merged = codes.copy()
        for i, kept in enumerate(self.kept):
            merged[~np.isin(codes[:, i], kept) & ~np.isnan(codes[:, i]), i] = MERGED
        return merged
