"""Training: from recorded curves to a surrogate, with the kind of model chosen by cross-validation over configurations.

Notation: n recorded curves, d hyperparameters, T entries of a curve, K coefficients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcbench.surrogate.baselines import BASELINES
from lcbench.surrogate.basis import Bounds, Floats, LevelCodec, TimeCodec, fill, fill_seconds
from lcbench.surrogate.gaussian import fit_kernel
from lcbench.surrogate.models import FORMAT_VERSION, Blend, Inputs, Model, Surrogate
from lcbench.surrogate.networks import fit_networks
from lcbench.surrogate.noise import Noise
from lcbench.surrogate.quality import HeldOut, Truth, assign_folds, best, judge, nested_spearman
from lcbench.surrogate.trees import fit_trees

FitPart = Callable[[Floats, Floats, np.random.Generator], Model]
"""(n, p) inputs, (n, K) coefficients, a generator -> a model."""
Progress = Callable[[str], None]

N_NETWORK_STEPS = 600
PARTS: dict[str, FitPart] = {
    "matern": lambda X, C, rng: fit_kernel("matern", X, C, rng),
    "laplace": lambda X, C, rng: fit_kernel("laplace", X, C, rng),
    "networks": lambda X, C, rng: fit_networks(X, C, rng, n_networks=4, width=32, n_steps=N_NETWORK_STEPS, batch=64, decay=0.3),
    "trees": fit_trees,
}
CANDIDATES: dict[str, tuple[str, ...]] = {
    "matern": ("matern",),
    "laplace": ("laplace",),
    "networks": ("networks",),
    "trees": ("trees",),
    "matern + laplace": ("matern", "laplace"),
    "matern + laplace + networks": ("matern", "laplace", "networks"),
    "matern + laplace + trees": ("matern", "laplace", "trees"),
    "all four": ("matern", "laplace", "networks", "trees"),
}
"""What can be chosen: the plain mean of the parts. Fitted weights would have to be validated in turn, and gain little."""


def fit_surrogate(  # noqa: PLR0913 - a door: what one may say about a fit is said here, by keyword
    X: Floats,  # (n, d)
    Y: Floats,  # (n, T)
    *,
    bounds: Bounds,
    maximise: bool,
    rungs: Sequence[int],
    increasing: bool = False,
    seed: int = 0,
    candidates: Mapping[str, tuple[str, ...]] | None = None,
    n_folds: int = 5,
    progress: Progress | None = None,
) -> Surrogate:
    """Learn configuration -> curve of one metric of one task.

    Args:
        X: configurations in the unit cube, NaN where a hyperparameter is inactive.
        Y: recorded values, entry e after e epochs. What is NaN or infinite, also after the end of a training, means diverged
            and counts as the worst value (`basis.worst`): leave out trainings that are merely unfinished. For seconds it
            means unknown, and the curve is continued at its own pace.
        bounds: lowest and highest possible value.
        maximise: whether the largest values are the best.
        rungs: epochs whose rank correlation is reported as well; those after the last entry are left out.
        increasing: True for cumulative seconds, which never decrease along any prediction.
        seed: of the folds and of every fit.
        candidates: models to choose from, as means of `PARTS`; by default `CANDIDATES`.
        n_folds: of the cross-validation.
        progress: called with one line per step.

    Raises:
        ValueError: if the shapes do not fit together, `bounds` is no interval, or there are too few configurations.
    """
    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    _check(X, Y, bounds)
    filled, codec = (fill_seconds(Y), TimeCodec) if increasing else (fill(Y, bounds, maximise=maximise), LevelCodec)
    task = _Task(X, filled, codec, seed, progress or _ignore)
    candidates = dict(CANDIDATES if candidates is None else candidates)
    fold = assign_folds(X, n_folds, np.random.default_rng(seed))
    codecs, scores = _scores(task, fold)
    truth = Truth(task.Y, scores, fold, codecs, bounds, maximise, tuple(rung for rung in rungs if 0 <= rung < Y.shape[1]))

    parts = {name: _cross_validate(task, truth, name) for name in dict.fromkeys(p for ps in candidates.values() for p in ps)}
    held_out = {name: _mean_of(name, [parts[p] for p in ps]) for name, ps in candidates.items()}
    judged = {name: judge(h, truth) for name, h in held_out.items()}
    baselines = {name: judge(_cross_validate(task, truth, name), truth)[0] for name in BASELINES}
    names = list(candidates)
    chosen = best(names, [judged[n][0]["spearman_final"] for n in names], [judged[n][0]["mae"] for n in names])
    task.progress(f"chosen: {chosen}, Spearman of final values {judged[chosen][0]['spearman_final']:.3f}")

    report: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "chosen": chosen,
        "n_configurations": len(X),
        "n_entries": Y.shape[1],
        "n_diverged": int((~np.isfinite(Y[:, -1])).sum()),
        "n_folds": n_folds,
        "seed": seed,
        "rungs": list(truth.rungs),
        "nested_spearman_final": float(f"{nested_spearman({n: (held_out[n].predicted, judged[n][1]) for n in names}, truth):.6g}"),
        "candidates": {n: judged[n][0] for n in names},
        "baselines": baselines,
    }
    return _fit_on_all(task, truth, candidates[chosen], held_out[chosen].predicted, report)


@dataclass(frozen=True, eq=False)
class _Task:
    X: Floats  # (n, d)
    Y: Floats  # (n, T), filled
    codec: type[LevelCodec] | type[TimeCodec]
    seed: int
    progress: Progress

    def rng(self, name: str, fold: int) -> np.random.Generator:
        """A generator of its own for every fit: none depends on which others are asked for."""
        return np.random.default_rng([self.seed, fold + 1, *name.encode()])


def _ignore(line: str) -> None:
    del line


def _check(X: Floats, Y: Floats, bounds: Bounds) -> None:
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y) or 0 in Y.shape:
        raise ValueError(f"`X` and `Y` must be (n, d) and (n, T), but are {X.shape} and {Y.shape}")
    if not bounds[0] < bounds[1]:
        raise ValueError(f"`bounds` is {bounds}, but must be (low, high) with low < high")
    if np.nanmin(X, initial=0.0) < 0 or np.nanmax(X, initial=1.0) > 1:
        raise ValueError("every row of `X` must lie in [0, 1]^d, with NaN where a hyperparameter is inactive")


def _scores(task: _Task, fold: np.ndarray) -> tuple[tuple[LevelCodec | TimeCodec, ...], Floats]:  # …, (n, T)
    """A codec for every fold, fitted without it, and the scores by them."""
    codecs = tuple(task.codec.fit(task.Y[fold != f]) for f in range(int(fold.max()) + 1))
    scores = np.empty_like(task.Y)
    for f, codec in enumerate(codecs):
        scores[fold == f] = codec.scores(task.Y[fold == f])
    return codecs, scores


def _cross_validate(task: _Task, truth: Truth, name: str) -> HeldOut:
    """Held-out predictions of a part or a baseline."""
    started = time.process_time()
    predicted = np.empty_like(task.Y)
    for f, codec in enumerate(truth.codecs):
        out, rest, rng = truth.fold == f, truth.fold != f, task.rng(name, f)
        inputs = Inputs.of(task.X[rest])
        X, U = inputs(task.X[rest]), codec.scores(task.Y[rest])
        if name in PARTS:
            predicted[out] = codec.expand(PARTS[name](X, codec.coefficients(U), rng).predict(inputs(task.X[out])))
        else:
            predicted[out] = BASELINES[name](X, U, rng)(inputs(task.X[out]))
    seconds = time.process_time() - started
    task.progress(f"{name}: {len(truth.codecs)} folds in {seconds:.1f} s")
    return HeldOut(name, predicted, seconds)


def _mean_of(name: str, parts: Sequence[HeldOut]) -> HeldOut:
    return HeldOut(name, np.mean([part.predicted for part in parts], axis=0), sum(part.seconds for part in parts))


def _fit_on_all(task: _Task, truth: Truth, parts: tuple[str, ...], predicted: Floats, report: dict[str, Any]) -> Surrogate:
    """The chosen model on all curves; link and noise from its held-out predictions."""
    inputs, codec = Inputs.of(task.X), task.codec.fit(task.Y)
    X, C = inputs(task.X), codec.coefficients(codec.scores(task.Y))
    model = Blend(tuple(PARTS[name](X, C, task.rng("points", -1)) for name in parts))  # one generator: kernels keep the same points
    codec = codec.linked(predicted, task.Y)
    return Surrogate(inputs, model, codec, Noise.fit(predicted, truth.scores), truth.bounds, report)
