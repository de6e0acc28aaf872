"""Greedy selection of models with replacement, by their stored predictions on the validation rows.

Notation: m models, n validation rows, C columns of predictions (class probabilities, or 1 for a regression).
Source: Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004; Auto-PyTorch Tabular, section 3.4.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.metric import METRICS, Metric
from pipeline.metrics import Judge, losses

MAX_ROWS = 50_000
"""Rows that a selection looks at; tables with fewer validation rows are not affected."""
BLOCK = 250_000
"""Numbers of all candidates that are averaged at once: few enough to stay in the cache."""
TIES = METRICS["cross_entropy"]
"""What decides between classifiers that are equal in the metric."""
SLACK = 1e-9
"""What the sum of shares may exceed 1 by, because 0.1 + 0.2 > 0.3."""
FOLDS, ROUNDS, ROWS, NUMBERS = 5, 20, 5000, 130_000
"""Of the cross-validation that decides by what an ensemble for accuracy is selected: folds; at most so many rounds of a selection, rows,
and numbers of a model (with more than 26 classes fewer rows)."""


def select(  # noqa: PLR0913 - a door: what one may say about a selection is said here, by keyword
    stack: Sequence[NDArray[Any]] | NDArray[Any],  # m of (n, C)
    y: NDArray[Any],  # (n,)
    metric: Metric,
    *,
    size: int = 50,
    n_best: int = 50,
    rng: np.random.Generator,
    max_rows: int = MAX_ROWS,
    shares: NDArray[np.float64] | None = None,  # (m,)
    deadline: float = math.inf,
) -> NDArray[np.int64]:  # (m,)
    """How often each model is chosen; divided by their sum, the weights of the ensemble.

    In each of `size` rounds the model is added that makes the loss of the averaged predictions smallest; the same model may be added
    again. Of equals, the one that makes the cross-entropy of the average smallest is added, for a regression the one with the smallest
    loss of its own (in Auto-PyTorch any of them: with a few hundred rows and accuracy most rounds are ties, which filled the ensemble
    with poor models). Nothing stops at the best round, so more rounds may be worse than fewer. Time: O(m·n·C) per round.

    Args:
        stack: predictions of each model, probabilities or in the target's unit; also a list of memory-mapped arrays.
        y: class codes, or the target.
        metric: what every round looks at.
        size: rounds.
        n_best: only so many models with the smallest loss of their own may be added; of equals as in a round, and then the first.
        rng: breaks the ties that are left uniformly, and draws the rows of `max_rows`.
        max_rows: with more rows, the rounds look at so many of them, drawn at random and the same in every round; the loss of single
            models always counts all rows.
        shares: what a model takes of a budget of 1, once, however often it is chosen; a model that would exceed it is not added.
        deadline: `time.monotonic()` after which no further round begins: some metrics of many classes take a second per model and round.

    Raises:
        ValueError: if no model may be added: predictions that are not finite, or a loss that is undefined, rule a model out.
    """
    share = np.zeros(len(stack)) if shares is None else np.asarray(shares, np.float64)
    single = np.array([losses(metric, y, one[None])[0] for one in stack])
    able = np.isfinite(single) & (share <= 1 + SLACK)
    if not able.any():
        raise ValueError("no model can be chosen: none has finite predictions, a defined loss and a share within the budget")
    second = np.array([of_equals(metric, y, one) for one in stack])
    best = sorted(np.lexsort((second, np.where(able, single, np.inf)))[: min(n_best, int(able.sum()))].tolist())
    rows = np.sort(rng.choice(len(y), max_rows, replace=False)) if len(y) > max_rows else slice(None)
    criteria = [metric, TIES] if _has_ties(metric, stack[0]) else [metric]
    sums = [_Sum(Judge(one, y[rows]), [stack[j][rows] for j in best]) for one in criteria]
    counts = np.zeros(len(stack), np.int64)
    counts[best] = _greedy(sums, single[best], share[best], size, rng, deadline)
    return counts


def criterion(
    stack: Sequence[NDArray[Any]] | NDArray[Any],  # m of (n, C)
    y: NDArray[Any],  # (n,)
    metric: Metric,
    *,
    rng: np.random.Generator,
    size: int = 50,
    shares: NDArray[np.float64] | None = None,  # (m,)
) -> Metric:
    """By what `select` finds the ensemble that is best in a metric on other rows: the metric itself, for accuracy mostly cross-entropy.

    Accuracy counts whole rows, so fifty rounds find averages that are right on the few rows that decide, and right nowhere else. Where
    there are many classes and poor probabilities it is the better guide all the same. So both select on four fifths of the rows, and
    judge the rest: where they disagree, accuracy must be right more often by more than one standard error (McNemar's).

    Args:
        stack: finite predictions of each model, see `select`.
        y: class codes, or the target.
        metric: what the ensemble is to be good in.
        rng: draws folds and rows, and breaks ties.
        size: rounds of the selection; one round takes the model that is best in the metric.
        shares: see `select`.
    """
    if metric.name != "accuracy" or size == 1 or len(y) < FOLDS:
        return metric
    rows = rng.permutation(len(y))[: max(FOLDS, min(ROWS, NUMBERS // stack[0].shape[1]))]
    won = lost = 0
    for fold in range(FOLDS):
        test, train = rows[fold::FOLDS], np.delete(rows, np.s_[fold::FOLDS])
        seen, left = [one[train] for one in stack], np.stack([one[test] for one in stack])
        counts = [select(seen, y[train], by, size=min(ROUNDS, size), n_best=len(seen), rng=rng, shares=shares) for by in (TIES, metric)]
        smooth, sharp = (np.tensordot(one, left, 1).argmax(1) == y[test] for one in counts)
        won, lost = won + int((sharp & ~smooth).sum()), lost + int((smooth & ~sharp).sum())
    return metric if won > lost and (won - lost) ** 2 > won + lost else TIES


def _has_ties(metric: Metric, predictions: NDArray[Any]) -> bool:  # (n, C)
    """Whether models can be equal and yet differ in `TIES`."""
    return predictions.shape[1] > 1 and metric.name != TIES.name


def of_equals(metric: Metric, y: NDArray[Any], predictions: NDArray[Any]) -> float:  # (n,), (n, C)
    """By what models that are equal in the metric are told apart: the smaller, the better; 0 where by nothing."""
    return float(losses(TIES, y, predictions[None])[0]) if _has_ties(metric, predictions) else 0.0


def _greedy(
    sums: Sequence[_Sum],
    single: NDArray[np.float64],  # (m,) the loss of its own
    share: NDArray[np.float64],  # (m,)
    size: int,
    rng: np.random.Generator,
    deadline: float,
) -> NDArray[np.int64]:  # (m,)
    if len(single) == 1:
        return np.array([size])
    counts = np.zeros(len(single), np.int64)
    for chosen in range(size):
        if chosen and time.monotonic() >= deadline:
            break
        taken = counts > 0
        equals = np.flatnonzero(taken | (share[taken].sum() + share <= 1 + SLACK))
        for one in sums:
            loss = one.losses_with(equals.tolist(), chosen)
            equals = equals[loss == loss.min()]
        pick = int(rng.choice(equals[single[equals] == single[equals].min()]))
        for one in sums:
            one.add(pick)
        counts[pick] += 1
    return counts


class _Sum:
    """The sum of what a metric sees of the models chosen so far."""

    def __init__(self, judge: Judge, stack: Sequence[NDArray[Any]]) -> None:
        self.judge = judge
        self.seen = [judge.seen(one) for one in stack]
        self.total = np.zeros(self.seen[0].shape)

    def add(self, pick: int) -> None:
        """Choose a model."""
        self.total += self.seen[pick]

    def losses_with(self, candidates: Sequence[int], chosen: int) -> NDArray[np.float64]:
        """Losses if each candidate were added to the `chosen` ones; infinite where undefined."""
        width = max(1, BLOCK // self.total.size)
        values = []
        for start in range(0, len(candidates), width):
            averages = self.total + np.stack([self.seen[j] for j in candidates[start : start + width]])
            averages /= chosen + 1
            values.append(self.judge.values(averages))
        loss = self.judge.metric.losses(np.concatenate(values))
        return np.where(np.isnan(loss), np.inf, loss)
