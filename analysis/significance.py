"""Which differences are more than chance: tests over seeds on one task, and over tasks for a whole study.

Notation: O optimizers, T tasks, S seeds, K = O (O − 1) / 2 pairs, N any number of tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.aggregate import ranks

EXACT = 20
"""Up to so many seeds, Mann and Whitney's test is exact: the normal approximation gives too large a p in the tails of few."""


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of a family of tests of any shape (Holm, Scand. J. Statist. 1979): reject where one is below the level.

    In rising order, the i-th of m p-values is multiplied by m − i + 1; none may be smaller than the one before.
    """
    flat = p.ravel()
    order = np.argsort(flat, kind="stable")
    adjusted = np.empty_like(flat)
    adjusted[order] = np.minimum(np.maximum.accumulate(flat[order] * np.arange(flat.size, 0, -1)), 1.0)
    return adjusted.reshape(p.shape)


def seed_tests(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare every pair of optimizers on every task over its seeds, from values (O, T, S); smaller is better.

    The test is that of Mann and Whitney (Ann. Math. Statist. 1947), two-sided and not paired: of most pairs the runs have nothing in common
    but the number of their seed. Where equal seeds draw the same first configurations, p is too large rather than too small. A missing
    value is worse than all others.

    Returns:
        The p-values adjusted by Holm over all pairs and tasks, (O, O, T), 1 on the diagonal; and the probability that a run of the
        first optimizer is better than one of the second, ties counting half, (O, O, T).
    """
    values = np.where(np.isnan(values), np.finfo(float).max, values)
    n_optimizers, n_tasks, n_seeds = values.shape
    first, second = np.triu_indices(n_optimizers, 1)
    x, y = values[first], values[second]  # (K, T, S)
    pairs, larger = mann_whitney(x.reshape(-1, n_seeds), y.reshape(-1, n_seeds))
    p, better = np.ones((n_optimizers, n_optimizers, n_tasks)), np.full((n_optimizers, n_optimizers, n_tasks), 0.5)
    p[first, second] = p[second, first] = holm(pairs).reshape(-1, n_tasks)
    better[second, first] = larger.reshape(-1, n_tasks)
    better[first, second] = 1 - better[second, first]
    return p, better


def mann_whitney(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided p-values of tests of x (N, S) against y (N, S), row by row, and the probability that an x is larger (ties count half).

    Exact for few seeds without ties, else by the normal approximation with corrections for ties and continuity; a row of 2 S equal
    values has p = 1. Every row is tested by itself, whatever the others hold.
    """
    n = x.shape[1]
    both = np.sort(np.concatenate([x, y], axis=1), axis=1)
    tied, same = (np.diff(both, axis=1) == 0).any(axis=1), both[:, 0] == both[:, -1]
    p, larger = np.ones(len(x)), np.full(len(x), 0.5)
    exact = ~tied & (n <= EXACT)
    for rows, method in ((exact, "exact"), (~exact & ~same, "asymptotic")):
        if rows.any():
            test = stats.mannwhitneyu(x[rows], y[rows], axis=1, method=method)
            p[rows], larger[rows] = test.pvalue, test.statistic / n**2  # U counts the pairs in which x is larger
    return p, larger


@dataclass(frozen=True)
class Friedman:
    """Average ranks over tasks, whether they differ at all, and by how much two must differ (Demšar, JMLR 2006, section 3.2)."""

    ranks: np.ndarray
    """Average rank of every optimizer, (O,)."""
    statistic: float
    """Friedman's χ², corrected for ties."""
    p: float
    """Its p-value, from the χ² distribution with O − 1 degrees of freedom."""
    critical_difference: float
    """Nemenyi's: average ranks that differ by less are not separable."""

    @classmethod
    def of(cls, values: np.ndarray, level: float = 0.95) -> Friedman:
        """Test values (O, T), one number for every optimizer on every task, smaller is better.

        The critical difference is q √(O (O + 1) / 6 T), q the quantile of the studentised range of O groups with infinitely many degrees
        of freedom, divided by √2.

        Raises:
            ValueError: if there are fewer than 3 optimizers or 2 tasks.
        """
        n_optimizers, n_tasks = values.shape
        if n_optimizers < 3 or n_tasks < 2:
            raise ValueError(f"there are {n_optimizers} optimizers and {n_tasks} tasks, but Friedman's test needs at least 3 and 2")
        ranked = ranks(values)
        if np.ptp(ranked) == 0:  # all tied everywhere
            statistic, p = 0.0, 1.0
        else:
            statistic, p = stats.friedmanchisquare(*ranked)
        q = stats.studentized_range.ppf(level, n_optimizers, np.inf) / np.sqrt(2)
        return cls(ranked.mean(axis=1), float(statistic), float(p), float(q * np.sqrt(n_optimizers * (n_optimizers + 1) / (6 * n_tasks))))

    def groups(self) -> list[tuple[int, int]]:
        """Largest groups that are not separable, as first and last place in the order of the ranks; none of a single optimizer."""
        ordered = np.sort(self.ranks)
        last = np.searchsorted(ordered, ordered + self.critical_difference, side="left") - 1
        return [(first, int(end)) for first, end in enumerate(last) if end > first and (first == 0 or end > last[first - 1])]
