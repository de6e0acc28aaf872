"""Ensembles: weighted means of models, built one model at a time.

Notation: m models, n validation rows, C columns of predictions (class probabilities, or 1 for a regression).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.metric import Metric
from pipeline.metrics import losses
from pipeline.selection import MAX_ROWS, SLACK, criterion, of_equals, select


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
    selected_by: Metric
    """What the selection looked at, see `criterion`."""
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
        pair = f"{name} {value:.4g} against {single:.4g} on the validation rows, whose {self.selected_by.name} chose its members"
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
    come back. The ensemble is that of `select` by their `criterion` on the kept models in the order of their names.
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
            seed: of ties, of folds (`criterion`) and of the rows of `max_rows`.
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
        self._kept[name] = _Candidate(predictions, loss, of_equals(self.metric, self.y, predictions), cost_ms, always)
        rivals = [kept for kept, one in self._kept.items() if not one.always]
        if len(rivals) <= self.n_best:
            return ()
        worst = max(rivals, key=lambda kept: (self._kept[kept].loss, self._kept[kept].second, kept))
        del self._kept[worst]
        return (worst,)

    def ensemble(self, deadline: float = math.inf) -> Ensemble:
        """The ensemble of what was added so far: exactly that of a new builder that is given the same models, unless the deadline cuts.

        Args:
            deadline: `time.monotonic()` after which no further round of the selection begins.

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
        stack, shares = [one.predictions for one in kept], np.array([self._share(one.cost_ms) for one in kept])
        by = criterion(stack, self.y, self.metric, rng=np.random.default_rng(self.seed), size=self.size, shares=shares)
        counts = select(
            stack,
            self.y,
            by,
            size=self.size,
            n_best=len(kept),
            rng=np.random.default_rng(self.seed),
            max_rows=self.max_rows,
            shares=shares,
            deadline=deadline,
        )
        members = sorted(np.flatnonzero(counts), key=lambda j: (-counts[j], names[j]))
        weights = tuple(float(counts[j] / counts.sum()) for j in members)
        best = min(range(len(kept)), key=lambda j: (kept[j].loss, counts[j] == 0, names[j]))
        together = combine(weights, [kept[j].predictions for j in members])
        costs = [cost for j in members if (cost := kept[j].cost_ms) is not None]
        return Ensemble(
            metric=self.metric,
            selected_by=by,
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
