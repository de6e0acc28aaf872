"""Two objectives at once: validation loss and training time; which results nobody beats in both, and how to rank the others.

Notation: n results, k objectives, all to be minimised. A row dominates another if it is nowhere worse and somewhere better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lcbench.query import Result
from optimizers.candidates import Floats


def objectives(result: Result) -> tuple[float, float]:
    """Validation loss at the epoch of the query, and the seconds that a training from scratch takes to get there."""
    return result.loss, float(result.curve.seconds[-1]) if len(result.curve) else np.inf


def front_numbers(values: Floats) -> NDArray[np.int64]:  # (n, k) -> (n,)
    """0 for rows that none dominates, 1 for those that only such dominate, and so on (Deb et al., 2002); O(n² k) for each front."""
    no_worse = (values[:, None] <= values).all(axis=2)
    dominates = no_worse & (values[:, None] < values).any(axis=2)  # [a, b]: a dominates b
    numbers = np.full(len(values), -1)
    left = np.ones(len(values), bool)
    front = 0
    while left.any():
        first = left & ~(dominates & left[:, None]).any(axis=0)
        numbers[first] = front
        left &= ~first
        front += 1
    return numbers


def crowding_distances(values: Floats) -> Floats:  # (n, k) -> (n,)
    """How far apart the neighbours of every row are, summed over objectives; +inf at the ends (Deb et al., 2002, section III B)."""
    distances = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        spread = np.ptp(column) or 1.0
        gaps = np.full(len(column), np.inf)
        gaps[1:-1] = (column[order[2:]] - column[order[:-2]]) / spread
        distances[order] += gaps
    return distances


def best_first(values: Floats) -> NDArray[np.int64]:  # (n, k) -> (n,)
    """Row numbers by front, within a front the less crowded first, of equals the earlier (NSGA-II's order)."""
    fronts = front_numbers(values)
    order: list[int] = []
    for front in range(int(fronts.max(initial=-1)) + 1):
        rows = np.flatnonzero(fronts == front)
        order += rows[np.argsort(-crowding_distances(values[rows]), kind="stable")].tolist()
    return np.array(order, np.int64)


def rank_by_fronts(results: Sequence[Result]) -> list[Result]:
    """Successful results, best first."""
    ok = sorted((result for result in results if result.ok), key=lambda result: result.query.trial)
    return [ok[i] for i in best_first(np.array([objectives(result) for result in ok]).reshape(-1, 2))]
