"""Ensembles: greedy selection of models with replacement, by their stored predictions on the validation rows.

Notation: m models, n validation rows, C columns of predictions (class probabilities, or 1 for a regression).
Source: Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004; Auto-PyTorch Tabular, section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError
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


def select(
    stack: Sequence[NDArray[Any]] | NDArray[Any],  # m of (n, C)
    y: NDArray[Any],  # (n,)
    metric: Metric,
    *,
    size: int = 50,
    n_best: int = 50,
    rng: np.random.Generator,
    max_rows: int = MAX_ROWS,
    shares: NDArray[np.float64] | None = None,  # (m,)
) -> NDArray[np.int64]:  # (m,)
    """How often each model is chosen; divided by `size`, the weights of the ensemble.

    In each of `size` rounds the model is added that makes the loss of the averaged predictions smallest; the same model may be added
    again. Of equals, the one that makes the cross-entropy of the average smallest is added, for a regression the one with the smallest
    loss of its own (in Auto-PyTorch any of them: with a few hundred rows and accuracy most rounds are ties, which filled the ensemble
    with poor models). Nothing stops at the best round, so more rounds may be worse than fewer. Time: O(m·n·C) per round.

    Args:
        stack: predictions of each model, probabilities or in the target's unit; also a list of memory-mapped arrays.
        y: class codes, or the target.
        metric: what is optimised.
        size: rounds.
        n_best: only so many models with the smallest loss of their own may be added; of equals as in a round, and then the first.
        rng: breaks the ties that are left uniformly, and draws the rows of `max_rows`.
        max_rows: with more rows, the rounds look at so many of them, drawn at random and the same in every round; the loss of single
            models always counts all rows.
        shares: what a model takes of a budget of 1, once, however often it is chosen; a model that would exceed it is not added.

    Raises:
        ValueError: if no model may be added: predictions that are not finite, or a loss that is undefined, rule a model out.
    """
    share = np.zeros(len(stack)) if shares is None else np.asarray(shares, np.float64)
    single = np.array([losses(metric, y, one[None])[0] for one in stack])
    able = np.isfinite(single) & (share <= 1 + SLACK)
    if not able.any():
        raise ValueError("no model can be chosen: none has finite predictions, a defined loss and a share within the budget")
    second = np.array([_of_equals(metric, y, one) for one in stack])
    best = sorted(np.lexsort((second, np.where(able, single, np.inf)))[: min(n_best, int(able.sum()))].tolist())
    rows = np.sort(rng.choice(len(y), max_rows, replace=False)) if len(y) > max_rows else slice(None)
    criteria = [metric, TIES] if _has_ties(metric, stack[0]) else [metric]
    sums = [_Sum(Judge(one, y[rows]), [stack[j][rows] for j in best]) for one in criteria]
    counts = np.zeros(len(stack), np.int64)
    counts[best] = _greedy(sums, single[best], share[best], size, rng)
    return counts


def _has_ties(metric: Metric, predictions: NDArray[Any]) -> bool:  # (n, C)
    """Whether models can be equal and yet differ in `TIES`."""
    return predictions.shape[1] > 1 and metric.name != TIES.name


def _of_equals(metric: Metric, y: NDArray[Any], predictions: NDArray[Any]) -> float:  # (n,), (n, C)
    """By what models that are equal in the metric are told apart: the smaller, the better; 0 where by nothing."""
    return float(losses(TIES, y, predictions[None])[0]) if _has_ties(metric, predictions) else 0.0


def _greedy(
    sums: Sequence[_Sum],
    single: NDArray[np.float64],  # (m,) the loss of its own
    share: NDArray[np.float64],  # (m,)
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # (m,)
    counts = np.zeros(len(single), np.int64)
    for chosen in range(size):
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


def combine(weights: Sequence[float], predictions: Sequence[NDArray[Any]]) -> NDArray[Any]:  # (m,), m of (n, C) -> (n, C)
    """The weighted mean of predictions, summed in double precision; a new array of the predictions' own type.

    Raises:
        ValueError: if there is not one weight for each, or the weights do not sum to 1.
    """
    if len(weights) != len(predictions) or not np.isclose(sum(weights), 1.0):
        raise ValueError(f"an ensemble of {len(predictions)} predictions needs as many weights that sum to 1, but they are {list(weights)}")
    total = np.zeros(predictions[0].shape)
    for weight, one in zip(weights, predictions, strict=True):
        total += weight * one.astype(np.float64)
    return total.astype(np.result_type(*predictions))


def mean(predictions: Sequence[NDArray[Any]]) -> NDArray[Any]:  # m of (n, C) -> (n, C)
    """The mean of predictions, as `combine` gives it: what the parts of a model that was trained on folds say together."""
    return combine([1 / len(predictions)] * len(predictions), predictions)


@dataclass(frozen=True)
class Ensemble:
    """Which models speak together, with which weight, and what that brings on the validation rows."""

    metric: Metric
    """What was optimised."""
    members: tuple[str, ...]
    """Names of the models, the heaviest first."""
    weights: tuple[float, ...]
    """Weight of each member; they sum to 1."""
    loss: float
    """Loss of the averaged predictions on all validation rows: the rows that chose the members, so it flatters."""
    best_single: str
    """The candidate with the smallest loss of its own, a member if one is among equals."""
    best_single_loss: float
    """Its loss on all validation rows."""
    cost_ms: float | None
    """Milliseconds that all members need to predict 1,000 rows, one after the other; None if a member's are unknown."""

    @property
    def better(self) -> bool:
        """Whether it beats its best single candidate on the validation rows, by more than float32 rounds."""
        return self.loss < self.best_single_loss and not math.isclose(self.loss, self.best_single_loss, rel_tol=1e-6)

    @property
    def words(self) -> str:
        """One line for the reader, which says so if the ensemble brought nothing."""
        name, value = self.metric.name, self.metric.value(self.loss)
        if self.members == (self.best_single,):
            return f"the ensemble is {self.best_single} alone: {name} {value:.4g} on the validation rows"
        single = self.metric.value(self.best_single_loss)
        pair = f"{name} {value:.4g} against {single:.4g} on the validation rows, which also chose its members"
        verdict = "is better than" if self.better else "is NOT better than its best single model,"
        return f"the ensemble of {len(self.members)} models {verdict} {self.best_single} alone: {pair}"


@dataclass(frozen=True)
class _Candidate:
    """A model that may become a member."""

    predictions: NDArray[Any]  # (n, C)
    """On the validation rows; never changed."""
    loss: float
    """Its own."""
    second: float
    """What decides between equals."""
    cost_ms: float | None
    """Milliseconds to predict 1,000 rows."""
    always: bool
    """Whether it stays however good the others are."""


def check_options(*, size: int, n_best: int, max_latency: float | None) -> None:
    """Refuse options of an ensemble that are out of range; a size of 0 stands for no ensemble at all.

    Raises:
        UserError: if one is.
    """
    if size < 0:
        raise UserError(f"`size` of the ensemble is {size}, but must be at least 1, or 0 for no ensemble")
    if n_best < 1:
        raise UserError(f"`n_best` of the ensemble is {n_best}, but must be 1 or more: give a larger number")
    if max_latency is not None and not max_latency > 0:
        raise UserError(
            f"`max_latency` of the ensemble is {max_latency}, but must be milliseconds above 0 per 1,000 rows, or null for no cap"
        )


class EnsembleBuilder:
    """Collects models one at a time and keeps those that an ensemble may need.

    What is kept, and so the ensemble, depends on the models and the seed, not on the order in which they arrive: the `n_best` smallest
    triples (loss, cross-entropy, name) are kept, and beside them the models that always stay; a model that was dropped could never have
    come back. The ensemble is that of `select` on the kept models in the order of their names.
    """

    def __init__(
        self,
        y: NDArray[Any],  # (n,)
        metric: Metric,
        *,
        size: int = 50,
        n_best: int = 50,
        seed: int = 0,
        max_latency: float | None = None,
        max_rows: int = MAX_ROWS,
    ) -> None:
        """Build for validation rows with these targets.

        Args:
            y: class codes, or the target in its own unit.
            metric: what is optimised.
            size: rounds of the selection: weights are multiples of 1 / size.
            n_best: models that are kept, beside those that always stay.
            seed: of ties and of the rows of `max_rows`.
            max_latency: cap on the sum of the members' milliseconds per 1,000 rows; None for none.
            max_rows: see `select`.

        Raises:
            UserError: if an option is out of range.
        """
        check_options(size=size, n_best=n_best, max_latency=max_latency)
        if size < 1 or max_rows < 1:
            raise ValueError(f"`size` is {size} and `max_rows` is {max_rows}, but an ensemble needs at least 1 of both")
        self.y, self.metric, self.size, self.n_best, self.seed = y, metric, size, n_best, seed
        self.max_latency, self.max_rows = max_latency, max_rows
        self._kept: dict[str, _Candidate] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kept models, sorted."""
        return tuple(sorted(self._kept))

    def add(
        self,
        name: str,
        predictions: NDArray[Any],  # (n, C)
        cost_ms: float | None = None,
        *,
        always: bool = False,
    ) -> tuple[str, ...]:
        """Offer a model; the names of those that are no longer needed, which may be its own.

        Dropped at once is what can never be a member: predictions that are not finite, an undefined loss, or a cost above the cap.

        Args:
            name: unique among the kept ones; a name that was dropped may be offered again.
            predictions: on the validation rows, e.g. memory-mapped; kept as they are, so do not change them.
            cost_ms: milliseconds to predict 1,000 rows; needed where there is a cap.
            always: keep it however good the others are. With a few hundred validation rows the best of hundreds of networks are the
                lucky ones, and would drive out a model of another kind that is as good.

        Raises:
            ValueError: if the name is taken, the predictions have another number of rows, or a cost is missing.
        """
        if name in self._kept or predictions.ndim != 2 or len(predictions) != len(self.y):
            raise ValueError(f"model {name!r} needs a new name and predictions ({len(self.y)}, C), but has {predictions.shape}")
        if self.max_latency is not None and cost_ms is None:
            raise ValueError(f"model {name!r} has no cost, but members may take {self.max_latency} ms together: measure `cost_ms`")
        loss = float(losses(self.metric, self.y, predictions[None])[0])
        if not np.isfinite(loss) or self._share(cost_ms) > 1 + SLACK:
            return (name,)
        self._kept[name] = _Candidate(predictions, loss, _of_equals(self.metric, self.y, predictions), cost_ms, always)
        rivals = [kept for kept, one in self._kept.items() if not one.always]
        if len(rivals) <= self.n_best:
            return ()
        worst = max(rivals, key=lambda kept: (self._kept[kept].loss, self._kept[kept].second, kept))
        del self._kept[worst]
        return (worst,)

    def ensemble(self) -> Ensemble:
        """The ensemble of what was added so far: exactly that of a new builder that is given the same models.

        Raises:
            UserError: if no model can be a member.
        """
        if not self._kept:
            cap = "" if self.max_latency is None else f" and takes at most {self.max_latency} ms per 1,000 rows (`max_latency`)"
            raise UserError(
                f"there is no ensemble: no model has finite predictions and a defined {self.metric.name}{cap}; train more models"
            )
        names = self.names
        kept = [self._kept[name] for name in names]
        counts = select(
            [one.predictions for one in kept],
            self.y,
            self.metric,
            size=self.size,
            n_best=len(kept),
            rng=np.random.default_rng(self.seed),
            max_rows=self.max_rows,
            shares=np.array([self._share(one.cost_ms) for one in kept]),
        )
        members = sorted(np.flatnonzero(counts), key=lambda j: (-counts[j], names[j]))
        weights = tuple(float(counts[j] / self.size) for j in members)
        best = min(range(len(kept)), key=lambda j: (kept[j].loss, counts[j] == 0, names[j]))
        together = combine(weights, [kept[j].predictions for j in members])
        costs = [cost for j in members if (cost := kept[j].cost_ms) is not None]
        return Ensemble(
            metric=self.metric,
            members=tuple(names[j] for j in members),
            weights=weights,
            loss=float(losses(self.metric, self.y, together[None])[0]),
            best_single=names[best],
            best_single_loss=kept[best].loss,
            cost_ms=sum(costs) if len(costs) == len(members) else None,
        )

    def _share(self, cost_ms: float | None) -> float:
        """Part of the cap that a model takes; 0 without a cap."""
        return 0.0 if self.max_latency is None or cost_ms is None else cost_ms / self.max_latency
