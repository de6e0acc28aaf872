"""What a surrogate must beat: three well-known methods on the same scores, the same folds and all of the data.

They are measured, not served: two of them need another library, and none fits the time or the size that a query may take.

Notation: n configurations, p inputs, T entries of a curve, U scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lcbench.surrogate.basis import Floats
from lcbench.surrogate.networks import NetworkModel, fit_networks

Predict = Callable[[Floats], Floats]
"""Inputs (n, p) to scores (n, T)."""
FitBaseline = Callable[[Floats, Floats, np.random.Generator], Predict]

N_NEIGHBOURS = 7
N_TREES = 100
N_ROW_STEPS = 1500


def nearest_neighbours(X: Floats, U: Floats, rng: np.random.Generator) -> Predict:  # (n, p), (n, T)
    """The mean of the seven nearest curves, weighted by inverse distance."""
    del rng

    def predict(A: Floats) -> Floats:
        squares = np.maximum((A * A).sum(axis=1)[:, None] + (X * X).sum(axis=1) - 2 * A @ X.T, 0)
        k = min(N_NEIGHBOURS, len(X))
        nearest = np.argpartition(squares, k - 1, axis=1)[:, :k]
        weights = 1 / (np.sqrt(np.take_along_axis(squares, nearest, axis=1)) + 1e-9)
        return (U[nearest] * (weights / weights.sum(axis=1, keepdims=True))[..., None]).sum(axis=1)

    return predict


def random_forest(X: Floats, U: Floats, rng: np.random.Generator) -> Predict:  # (n, p), (n, T)
    """A forest whose leaves hold whole curves."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        N_TREES, min_samples_leaf=2, max_features=0.5, n_jobs=1, random_state=int(rng.integers(2**31))
    )  # half of the inputs per split: better here than the default of all
    forest.fit(X, U)
    return lambda A: np.asarray(forest.predict(A)).reshape(len(A), -1)


def row_network(X: Floats, U: Floats, rng: np.random.Generator) -> Predict:  # (n, p), (n, T)
    """A network from (configuration, epoch) to the score at that epoch, as in surrogates for single points."""
    epochs = np.arange(U.shape[1])
    clock = np.stack([epochs, np.log1p(epochs)], axis=1) / np.maximum([epochs[-1], np.log1p(epochs[-1])], 1)  # (T, 2)

    def rows(A: Floats) -> Floats:  # (n, p) -> (n T, p + 2)
        return np.concatenate([np.repeat(A, len(epochs), axis=0), np.tile(clock, (len(A), 1))], axis=1)

    centre, spread = U.mean(), max(float(U.std()), 1e-9)
    network: NetworkModel = fit_networks(
        rows(X), ((U - centre) / spread).reshape(-1, 1), rng, n_networks=1, width=64, n_steps=N_ROW_STEPS, batch=256, decay=0.01
    )
    return lambda A: network.predict(rows(A)).reshape(len(A), -1) * spread + centre


BASELINES: dict[str, FitBaseline] = {"k-NN": nearest_neighbours, "random forest": random_forest, "row-wise network": row_network}
