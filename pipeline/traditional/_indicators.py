"""Inputs for learners that add and measure distances: standardised numbers and one indicator per category.

Notation: n rows, d columns, e inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipeline.preprocessing.encoding import MAX_INDICATORS

DENSE_CELLS = 2**26
"""Most cells of a dense array of inputs (256 MiB), where one is asked for."""
FARTHEST = 10.0
"""Standard deviations beyond which a number counts as this far: one mistyped cell must not outweigh all other columns."""


class Indicators:
    """(n, d) numbers and codes to (n, e) float32 inputs, sparse where less than 30 % of them are not zero.

    With `dense` they are an array nevertheless, if that of the training rows has at most `DENSE_CELLS` cells.

    A column has at most `MAX_INDICATORS`. A missing number becomes the training mean, a missing category a category of its own. An unknown
    category counts as a rare one, or as none of them where all are kept.
    """

    def __init__(self, nominal: NDArray[np.bool_], *, dense: bool = False) -> None:
        self._dense = dense
        numbers = make_pipeline(SimpleImputer(strategy="mean", keep_empty_features=True), StandardScaler())
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_INDICATORS, dtype=np.float32)
        self._columns = ColumnTransformer(
            [("numbers", numbers, np.flatnonzero(~nominal)), ("categories", encoder, np.flatnonzero(nominal))], n_jobs=1
        )

    def fit_transform(self, X: NDArray[np.float64]) -> Any:  # (n, d) -> (n, e)
        """Learn means, scales and categories, and give the inputs of the same rows."""
        inputs = self._columns.fit_transform(X)
        self._dense = self._dense and inputs.shape[0] * inputs.shape[1] <= DENSE_CELLS
        return self._limited(inputs)

    def transform(self, X: NDArray[np.float64]) -> Any:  # (n, d) -> (n, e)
        """Inputs of other rows."""
        return self._limited(self._columns.transform(X))

    def _limited(self, inputs: Any) -> Any:
        """An array or sparse matrix of float32 with its entries clipped."""
        inputs = inputs.astype(np.float32)
        entries = inputs if isinstance(inputs, np.ndarray) else inputs.data
        np.clip(entries, -FARTHEST, FARTHEST, out=entries)
        return inputs.toarray() if self._dense and entries is not inputs else inputs
