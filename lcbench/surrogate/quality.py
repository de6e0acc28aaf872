"""How good is a surrogate? Predictions for configurations that were not seen, and the numbers that are reported of them.

Notation: n configurations, T entries of a curve, F folds, U scores, Y values. A fold holds whole configurations: if one was
recorded several times, all its curves lie in the same fold, so that no model is asked for what it has seen.

Everything that learns from curves learns inside the training folds: transform, basis, length scales, weights. The link and
the noise model, which need held-out predictions, are fitted on those of the other folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.surrogate.basis import Bounds, Codec, Floats
from lcbench.surrogate.noise import Noise

LEVELS = (0.5, 0.8, 0.95)
TIE = 0.003
"""Candidates whose Spearman correlations differ by less are equally good at ranking; their absolute error decides."""

TOP = 0.2
"""Share of the configurations that count as the best ones."""


def assign_folds(X: Floats, n_folds: int, rng: np.random.Generator) -> NDArray[np.intp]:  # (n, d) -> (n,)
    """A fold for every row, the same for equal configurations.

    Raises:
        ValueError: if there are fewer than two different configurations per fold.
    """
    _, group = np.unique(np.where(np.isnan(X), -1.0, X), axis=0, return_inverse=True)
    group = group.reshape(-1)
    n_groups = int(group.max(initial=-1)) + 1
    if n_folds < 2 or n_groups < 2 * n_folds:
        raise ValueError(
            f"`n_folds` is {n_folds} for {n_groups} different configurations, but must be at least 2, with two configurations per fold"
        )
    return (rng.permutation(n_groups) % n_folds)[group]


def ranks(values: Floats) -> Floats:  # (n,) -> (n,)
    """Ranks from 0 to n - 1, the mean rank for ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse.reshape(-1)]


def spearman(a: Floats, b: Floats) -> float:  # (n,), (n,)
    """Rank correlation; 0 where one side is constant, which ranks nothing."""
    p, q = ranks(a) - (len(a) - 1) / 2, ranks(b) - (len(b) - 1) / 2
    scale = math.sqrt(float(p @ p) * float(q @ q))
    return float(p @ q) / scale if scale else 0.0


def r_squared(true: Floats, predicted: Floats) -> float:
    """1 - squared error over the squared distance to the mean of every entry; 0 where nothing varies."""
    total = float(((true - true.mean(axis=0)) ** 2).sum())
    return 1 - float(((true - predicted) ** 2).sum()) / total if total > 0 else 0.0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of one method for every configuration, each by a model that had not seen it."""

    name: str
    predicted: Floats  # (n, T) scores
    seconds: float
    """What all fits and predictions of the cross-validation took together."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What came true, on the scale of every fold."""

    values: Floats  # (n, T), filled
    scores: Floats  # (n, T), each row by the codec of the fold in which it was held out
    fold: NDArray[np.intp]  # (n,)
    codecs: tuple[Codec, ...]  # (F,), each fitted without its fold
    bounds: Bounds
    maximise: bool
    """Whether the largest values are the best."""
    rungs: tuple[int, ...]


def judge(held_out: HeldOut, truth: Truth) -> tuple[dict[str, Any], Floats]:  # … (n, T)
    """All reported numbers of one method, and its predicted values."""
    values = np.empty_like(truth.values)
    hits = {level: 0.0 for level in LEVELS}
    for f, codec in enumerate(truth.codecs):
        out, rest = truth.fold == f, truth.fold != f
        predicted = held_out.predicted[out]
        values[out] = codec.linked(held_out.predicted[rest], truth.values[rest]).means(predicted)
        noise = Noise.fit(held_out.predicted[rest], truth.scores[rest])
        for level in LEVELS:
            low, high = noise.interval(predicted, level)
            hits[level] += float(((truth.scores[out] >= low - 1e-9) & (truth.scores[out] <= high + 1e-9)).sum())
    values = np.clip(values, *truth.bounds)
    final, last = truth.values[:, -1], values[:, -1]
    # Ranks are read off the scores: the link is monotone, and a served surrogate has one link instead of one per fold.
    at = {str(rung): spearman(truth.values[:, rung], held_out.predicted[:, rung]) for rung in truth.rungs}
    numbers = {
        "spearman_final": spearman(final, held_out.predicted[:, -1]),
        "spearman_at": at,
        "spearman_top": _spearman_of_the_best(final, held_out.predicted[:, -1], maximise=truth.maximise),
        "r2": r_squared(truth.values, values),
        "r2_final": r_squared(final, last),
        "mae": float(np.abs(truth.values - values).mean()),
        "mae_final": float(np.abs(final - last).mean()),
        "coverage": {f"{100 * level:g}": hits[level] / truth.values.size for level in LEVELS},
        "seconds": held_out.seconds,
    }
    return _rounded(numbers), values


def _spearman_of_the_best(final: Floats, predicted: Floats, *, maximise: bool) -> float:  # (n,), (n,)
    """Rank correlation among the configurations whose recorded values are the best `TOP`: where optimizers are told apart."""
    loss = -final if maximise else final
    best_ones = loss <= np.quantile(loss, TOP)
    return spearman(final[best_ones], predicted[best_ones])


def _rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    """Six digits are more than cross-validation knows, and they keep the report readable."""
    return {name: _rounded(value) if isinstance(value, dict) else float(f"{value:.6g}") for name, value in numbers.items()}


def best(names: Sequence[str], spearmans: Sequence[float], errors: Sequence[float]) -> str:
    """The candidate that ranks best; among those that rank as well within `TIE`, the one with the least absolute error."""
    top = max(spearmans)
    ties = [(error, name) for name, s, error in zip(names, spearmans, errors, strict=True) if s >= top - TIE]
    return min(ties)[1]


def nested_spearman(judged: dict[str, tuple[Floats, Floats]], truth: Truth) -> float:  # {name: scores and values (n, T)}
    """What choosing by cross-validation is worth: in every fold the candidate that is best in the *other* folds is judged.

    The maximum of several noisy numbers is too large; this one has no such bias.
    """
    final = truth.values[:, -1]
    chosen = np.empty_like(final)
    for f in range(len(truth.codecs)):
        out, rest = truth.fold == f, truth.fold != f
        scores = [spearman(final[rest], U[rest, -1]) for U, _ in judged.values()]
        errors = [float(np.abs(truth.values[rest] - values[rest]).mean()) for _, values in judged.values()]
        chosen[out] = judged[best(list(judged), scores, errors)][0][out, -1]
    return spearman(final, chosen)
