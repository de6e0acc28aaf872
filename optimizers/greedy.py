"""How a portfolio is chosen: greedily, so that on every task at least one member is good (Zimmer et al., TPAMI 2021, section 3.3).

Notation: n candidates, M tasks, k members. A *score* is larger where a candidate is better, NaN where it was not measured. A *regret* is
0 for the best of a task; that of a portfolio is the smallest of its members'. The mean over tasks of what a portfolio takes
away from the regret is monotone and submodular, so that greedy choice comes within 1 - 1/e of the best portfolio of its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Normaliser = Literal["range", "best"]


def regrets_of(scores: Floats, normaliser: Normaliser = "range", among: Floats | None = None) -> Floats:  # (n, M) -> (n, M)
    """How far every candidate is behind the best of a task, as a share of the range of its scores, or of the best score.

    What was not measured counts as the worst of its task. On a task where all are equal nobody has a regret. Every task is
    normalised by itself, so taking a task away changes no other.

    Args:
        scores: of the candidates.
        normaliser: what a regret is a share of.
        among: whose best and worst count, (m, M): the candidates and whatever else was measured; None for the candidates alone.

    Raises:
        ValueError: if a task has no finite score, or its best one is 0 and cannot be divided by.
    """
    among = scores if among is None else among
    known = np.isfinite(among)
    if not known.any(axis=0).all():
        raise ValueError(f"task {int(np.argmin(known.any(axis=0)))} has no finite score")
    best = np.where(known, among, -np.inf).max(axis=0)  # (M,)
    worst = np.where(known, among, np.inf).min(axis=0)
    behind = best - np.where(np.isfinite(scores), scores, worst)
    unit = best - worst if normaliser == "range" else np.abs(best)
    if ((unit == 0) & (best > worst)).any():
        raise ValueError("the best score of a task is 0, by which a regret cannot be divided: normalise by the range")
    return behind / np.where(unit == 0, 1.0, unit)


def greedy(regrets: Floats, size: int) -> list[int]:
    """Up to `size` candidates, each the one that lowers the mean regret of those before it most; of equally good ones the first."""
    members: list[int] = []
    left = np.full(regrets.shape[1], np.inf)  # (M,): regret of the portfolio
    for _ in range(min(size, len(regrets))):
        means = np.minimum(regrets, left).mean(axis=1)
        means[members] = np.inf  # they would lower nothing, but could be the first of equally good ones
        members.append(int(np.argmin(means)))
        left = np.minimum(left, regrets[members[-1]])
    return members


def by_size(regrets: Floats, members: Sequence[int]) -> Floats:  # (k, M)
    """Regret on every task of the first member alone, of the first two, …, of all."""
    return np.minimum.accumulate(regrets[list(members)], axis=0)


def random_by_size(regrets: Floats, size: int) -> Floats:  # (k, M)
    """What `by_size` is on average over all portfolios of the candidates, exactly: nothing is drawn.

    All but the i best of n candidates hold k random ones with probability (n-i)/n * (n-i-1)/(n-1) * … * (n-i-k+1)/(n-k+1).
    """
    n, n_members = len(regrets), min(size, len(regrets))
    ordered, i = np.sort(regrets, axis=0), np.arange(n + 1)
    without_best = np.ones(n + 1)
    expected = []
    for k in range(n_members):
        without_best = without_best * np.maximum(n - i - k, 0) / (n - k)
        expected.append((without_best[:-1] - without_best[1:]) @ ordered)
    return np.array(expected).reshape(n_members, regrets.shape[1])


def leave_one_out(regrets: Floats, size: int, tables: Sequence[str]) -> list[list[int]]:
    """The portfolio that is chosen without task t and the others of its table, for every t: what is measured there is not used.

    Args:
        regrets: (n, M).
        size: k.
        tables: of what table every task is a fold, (M,).

    Raises:
        ValueError: if there is only one table.
    """
    if len(set(tables)) < 2:
        raise ValueError(f"there is {len(set(tables))} table, but to leave one out takes two")
    of_task = np.array(list(tables))
    chosen = {table: greedy(regrets[:, of_task != table], size) for table in dict.fromkeys(tables)}
    return [chosen[table] for table in tables]
