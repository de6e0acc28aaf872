"""Choosing columns: scores that never fail, and a choice that is never empty.

Notation: n rows, d columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import Kind
from pipeline.features.sampling import sampled_rows

ROWS = 5000
"""Random training rows that a choice of columns looks at, and one more of every class that they miss."""
NEIGHBOURS = 3
"""Neighbours in the estimate of mutual information, scikit-learn's default; fewer in a tiny table."""
SCORES = ("f", "mutual_information")
"""Ratio of variances (F test), or mutual information with the target; chi2 is left out, because the columns are signed."""


class Selection:
    """The columns that a scikit-learn selector chooses; where it chooses none, the one with the highest F score.

    Looks at no more than about `ROWS` random training rows.
    """

    def __init__(self, selector: Any, *, kind: Kind, seed: int) -> None:
        self.selector = selector
        self.kind: Kind = kind
        self.seed = seed
        self.columns: NDArray[np.int64] = np.empty(0, np.int64)

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> Selection:  # (n, d), (n,)
        """Choose."""
        from sklearn.base import clone

        rows = sampled_rows(len(X), ROWS, self.seed)
        if self.kind == "classification":
            rows = np.union1d(rows, np.unique(y, return_index=True)[1])  # a rare class must not vanish
        X, y = X[rows], y[rows]
        chosen = clone(self.selector).fit(X, y).get_support()
        if not chosen.any():
            chosen[np.argmax(f_scores(X, y, self.kind))] = True
        self.columns = np.flatnonzero(chosen)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d)
        """The chosen columns, in their order."""
        return X[:, self.columns]


def f_scores(X: NDArray[np.float64], y: NDArray[Any], kind: Kind) -> NDArray[np.float64]:  # (n, d), (n,) -> (d,)
    """F statistic of every column alone, -1 for a constant one."""
    from sklearn.feature_selection import f_classif, f_regression

    scores = f_classif(X, y)[0] if kind == "classification" else f_regression(X, y)[0]
    return np.nan_to_num(scores, nan=-1.0)


def score_function(score: str, kind: Kind, seed: int) -> Callable[[NDArray[np.float64], NDArray[Any]], Any]:
    """The function (n, d), (n,) -> (d,) that scikit-learn's univariate selectors call; with p-values for ``f``."""
    from sklearn.feature_selection import f_classif, f_regression

    if score == "f":
        return f_classif if kind == "classification" else f_regression
    return partial(mutual_information, kind=kind, seed=seed)


def mutual_information(X: NDArray[np.float64], y: NDArray[Any], *, kind: Kind, seed: int) -> NDArray[np.float64]:  # (n, d), (n,) -> (d,)
    """Mutual information of every column with the target, in nats, by nearest neighbours; 0 where no class has two rows."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    neighbours = min(NEIGHBOURS, len(y) - 1)
    if kind == "regression":
        return mutual_info_regression(X, y, n_neighbors=neighbours, random_state=seed)
    if np.unique(y, return_counts=True)[1].max() < 2:
        return np.zeros(X.shape[1])
    return mutual_info_classif(X, y, n_neighbors=neighbours, random_state=seed)
