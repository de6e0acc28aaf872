"""Principal components in the space of a kernel (Schölkopf, Smola and Müller, Neural Computation 1998).

Notation: n rows, d columns, m rows that it is fitted on, k components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import Kind, TaskInfo
from pipeline.features.fraction import n_outputs
from pipeline.features.kernels import kernel_arguments, kernel_space
from pipeline.features.sampling import SAMPLED_ROWS, Sampled

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

RANK_TOLERANCE = 1e-10
"""A component counts only if its eigenvalue is at least this share of the largest one."""


class KernelComponents:
    """The components with the largest positive eigenvalues, at most `count`, and at least one.

    scikit-learn's own class refuses kernels with negative eigenvalues, which the sigmoid and a polynomial may have.
    """

    def __init__(self, kernel: str, arguments: Mapping[str, Any], count: int) -> None:
        self.kernel = kernel
        self.arguments = dict(arguments)
        self.count = count

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> KernelComponents:  # (m, d), (m,)
        """Decompose the centred kernel of the rows."""
        from scipy.linalg import eigh
        from sklearn.preprocessing import KernelCenterer

        self.rows = X
        self.centre = KernelCenterer()
        kernel = self.centre.fit_transform(self._kernel(X))
        values, vectors = eigh(kernel, subset_by_index=(len(X) - min(self.count, len(X)), len(X) - 1))
        values, vectors = values[::-1], vectors[:, ::-1]  # largest first
        kept = values > RANK_TOLERANCE * max(values[0], 0.0)
        kept[0] = True
        scales = np.sqrt(np.where(values > 0, values, np.inf))  # no positive eigenvalue: one column of zeros
        self.directions = vectors[:, kept] / scales[kept]  # (m, k)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d) -> (n, k)
        """The components of the rows."""
        return self.centre.transform(self._kernel(X)) @ self.directions

    def _kernel(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d) -> (n, m)
        from sklearn.metrics.pairwise import pairwise_kernels

        return pairwise_kernels(X, self.rows, metric=self.kernel, **self.arguments)


def space(task: TaskInfo) -> ConfigurationSpace:
    """Kernels and ranges of Auto-PyTorch 0.2.1."""
    return kernel_space()


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted projection."""
    count = n_outputs(float(settings["fraction"]), n_columns, min(n_rows, SAMPLED_ROWS))
    return Sampled(KernelComponents(settings["kernel"], kernel_arguments(settings), count), limit=SAMPLED_ROWS, seed=seed)
