"""What a model-based method has seen, and in which form a model reads it."""

from __future__ import annotations

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Query, Result
from lcbench.space import encode
from optimizers.candidates import Floats


class Observations:
    """Points of the cube and losses, in the order of the tells."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self._space = space
        self._points: list[Floats] = []
        self._losses: list[float] = []

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, result: Result) -> None:
        """Note a result; a failure has the loss +inf."""
        self._points.append(encode([result.query.configuration], self._space)[0])
        self._losses.append(result.loss)

    @property
    def points(self) -> Floats:  # (n, d)
        """The points, NaN where inactive."""
        return np.array(self._points).reshape(-1, len(self._space))

    @property
    def losses(self) -> Floats:  # (n,)
        """The losses."""
        return np.array(self._losses)

    @property
    def any_success(self) -> bool:
        """True if there is a finite loss."""
        return bool(np.isfinite(self._losses).any())

    def standardised(self) -> Floats:  # (n,)
        """Losses with mean 0 and spread 1; outliers stand at the upper fence, q75 + 1.5 (q75 - q25) (Tukey, 1977), and
        failures there or with the worst of what ended well, whichever is lower.

        Where all that ended well are equal, failures stand anywhere above.
        """
        losses = self.losses
        finite = losses[np.isfinite(losses)]
        low, high = np.quantile(finite, [0.25, 0.75])
        fence = min(float(finite.max()), high + 1.5 * (high - low)) if high > low else float(finite.max())
        if fence == finite.min():
            fence += max(1.0, abs(fence))
        clipped = np.minimum(losses, fence)
        return (clipped - clipped.mean()) / clipped.std() if np.ptp(clipped) else np.zeros(len(clipped))

    def best(self, k: int) -> Floats:  # (at most k, d)
        """The points of the lowest losses, of equals the earlier."""
        return self.points[np.argsort(self.losses, kind="stable")[:k]]


def pending(queries: dict[int, Query], space: ConfigurationSpace) -> Floats:  # (k, d)
    """The points of open asks."""
    return encode([query.configuration for query in queries.values()], space).reshape(-1, len(space))
