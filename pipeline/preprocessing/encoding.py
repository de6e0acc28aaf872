"""What becomes of the codes of categories: indicator columns, or codes for embeddings that the network learns.

Notation: n rows, c columns of categories, m indicators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_INDICATORS = 128
"""Indicators per column at most, a bound on memory: the rarest categories of a longer column share the last one."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Distinct training values from which on a column is embedded, and the share of them that its vectors have as entries.

    Ranges of Auto-PyTorch 0.2.1, but one share for all columns.
    """
    from ConfigSpace import ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(Integer("min_unique_values", (3, 7), log=True, default=5), Float("dimension_reduction", (0.0, 1.0), default=0.5))
    return part


def indicators() -> Any:
    """The transformer (n, c) -> (n, m) to zeros and ones, one per training category of each column.

    A missing category is a category of its own where training rows had it (and shares the last indicator where it is among the rarest
    of more than `MAX_INDICATORS`). A category without training rows gets zeros, or the shared indicator where there is one.
    """
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_INDICATORS, sparse_output=False, dtype=np.float32)


class EmbeddingCodes:
    """Numbers the training categories of every column 1, 2, ... in their order; 0 is a missing or unknown category."""

    def __init__(self) -> None:
        self.categories: list[NDArray[np.float64]] = []

    @property
    def cardinalities(self) -> tuple[int, ...]:  # (c,)
        """Number of codes of every column, 0 included."""
        return tuple(len(known) + 1 for known in self.categories)

    def fit(self, codes: NDArray[np.float64]) -> EmbeddingCodes:  # (n, c)
        """Note the training categories."""
        self.categories = [distinct(column) for column in codes.T]
        return self

    def transform(self, codes: NDArray[np.float64]) -> NDArray[np.float32]:  # (n, c)
        """The numbers of the categories, as whole float32 numbers."""
        numbered = np.zeros(codes.shape, np.float32)
        for i, known in enumerate(self.categories):
            found = np.isin(codes[:, i], known)
            numbered[found, i] = np.searchsorted(known, codes[found, i]) + 1
        return numbered


def distinct(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of a column in order, without missing ones."""
    return np.unique(column[~np.isnan(column)])
