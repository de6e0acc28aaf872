"""Rotation to columns that are as independent as possible (Hyvärinen and Oja, Neural Networks 2000).

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

MAX_COMPONENTS = 256
"""Columns at most: the cost of a step grows with their square."""
MAX_ITERATIONS = 100
"""Steps at most (for each component, by deflation): where there is nothing independent to find, they never end by themselves."""
RANK_TOLERANCE = 1e-7
"""A direction counts only if its standard deviation is at least this share of the largest one: whitening divides by it."""


class IndependentComponents:
    """Principal components, then the rotation of those to independent columns; where its iteration breaks down, they stay as they are.

    scikit-learn's whitening divides by zero where columns are constant or depend on each other, hence the two steps.
    """

    def __init__(self, settings: Mapping[str, Any], count: int, seed: int) -> None:
        self.settings = dict(settings)
        self.count = count
        self.seed = seed
        self.principal: Any = None
        self.rotation: Any = None

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> IndependentComponents:  # (n, d), (n,)
        """Fit both steps."""
        from sklearn.decomposition import PCA, FastICA

        deviations = PCA(min(self.count, *X.shape), svd_solver="full").fit(X).singular_values_
        rank = max(1, int((deviations > RANK_TOLERANCE * deviations[0]).sum()))
        self.principal = PCA(rank, whiten=bool(self.settings["whiten"]), svd_solver="full").fit(X)
        algorithm, fun = self.settings["algorithm"], self.settings["fun"]
        try:
            rotation = FastICA(algorithm=algorithm, fun=fun, whiten=False, max_iter=MAX_ITERATIONS, random_state=self.seed)
            self.rotation = rotation.fit(self.principal.transform(X))
        except (ValueError, np.linalg.LinAlgError):  # without whitening, a contrast function can overflow
            self.rotation = None
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d)
        """The components of the rows."""
        components = self.principal.transform(X)
        return components if self.rotation is None else self.rotation.transform(components)


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition

    part = ConfigurationSpace()
    fraction, whiten = fraction_hyperparameter(), Categorical("whiten", [True, False], default=True)
    algorithm = Categorical("algorithm", ["parallel", "deflation"], default="parallel")
    part.add(whiten, fraction, algorithm, Categorical("fun", ["logcosh", "exp", "cube"], default="logcosh"))
    part.add(EqualsCondition(fraction, whiten, True))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted rotation; only whitening reduces the number of columns, beyond what the memory and the rows bound."""
    at_most = min(n_columns, n_rows, MAX_COMPONENTS)
    count = n_outputs(float(settings["fraction"]), n_columns, at_most) if settings["whiten"] else max(1, at_most)
    return Sampled(IndependentComponents(settings, count, seed), limit=SAMPLED_ROWS, seed=seed)
