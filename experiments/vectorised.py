"""Thousands of simulated runs at once, of the methods whose schedule does not depend on what they are told.

Random search, successive halving and Hyperband ask for the same epochs in the same order whatever the losses are; only which trials go
on depends on them. So all seeds of a study step together, as arrays. The law (tests/laws/test_vectorised.py): the columns are those of
the loop with one worker, seed by seed, to the last bit.

Notation: S seeds, n results of a run, d hyperparameters, N configurations that are drawn for a run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.trajectory import Columns
from lcbench.cube import cube
from lcbench.wrappers import NearestRecorded
from optimizers.rungs import Bracket, Ladder, Table, hyperband_bracket

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """One rung of one bracket: some trials, each trained to an epoch from the one where it stood."""

    epoch: int
    before: int
    n: int
    """Results; the last rung of a budget may be cut."""
    size: int
    """Trials that the rung holds."""
    first_trial: int
    """Number of the first trial of its bracket."""


def schedule(method: str, ladder: Ladder, epochs: int, *, continues: bool = True, table: Table = "hpbandster") -> list[Step]:
    """The rungs that a run with a budget of `epochs` goes through, in order.

    Args:
        method: ``random``, ``sh`` or ``hyperband``, as in conf/optimizer.
        ladder: epochs of the rungs.
        epochs: budget of the run, counted as `continues` says.
        continues: True if a trial continues from its last epoch.
        table: sizes of the first rungs of Hyperband.

    Raises:
        ValueError: if the schedule of the method depends on losses, or the budget holds no training.
    """
    plans: dict[str, Callable[[int], Bracket]] = {
        "random": lambda number: Bracket((1,), (ladder.max,)),
        "sh": lambda number: hyperband_bracket(0, ladder),
        "hyperband": partial(hyperband_bracket, ladder=ladder, table=table),
    }
    if method not in plans:
        raise ValueError(f"`method` is {method!r}, but must be one of {', '.join(plans)}: the schedule of others depends on losses")
    steps = list(_steps(plans[method], epochs, continues))
    if not steps:
        raise ValueError(f"`epochs` is {epochs}, but the first training of {method} takes more")
    return steps


def _steps(plan: Callable[[int], Bracket], left: int, continues: bool) -> Iterator[Step]:
    number = first_trial = 0
    while True:
        bracket, before = plan(number), 0
        for size, epoch in zip(bracket.sizes, bracket.epochs, strict=True):
            cost = epoch - before if continues else epoch
            n = min(size, left // cost)
            if n > 0:
                yield Step(epoch, before, n, size, first_trial)
            if n < size:
                return
            left, before = left - n * cost, epoch
        number, first_trial = number + 1, first_trial + bracket.sizes[0]


def draw(benchmark: NearestRecorded, seeds: Sequence[int], n: int) -> Ints:  # (S, n)
    """Rows of the table that answer for the first n draws of every seed, as `sample` draws them.

    Raises:
        ValueError: if the space has conditions, forbidden clauses or distributions of its own.
    """
    places = cube(benchmark.space)
    if not (places.simple and places.uniform):
        raise ValueError(f"the space {benchmark.space.name!r} is not a plain cube, so its draws cannot be made at once: use the loop")
    d = len(benchmark.space)
    uniform = np.stack([np.random.default_rng(np.random.SeedSequence(seed)).random((n, d)) for seed in seeds])
    points = places.points(places.vectors(places.fair(uniform.reshape(-1, d))))
    return benchmark.rows(points).reshape(len(seeds), n)


@dataclass(frozen=True)
class Curves:
    """What runs need of a table: losses and seconds of every row at every epoch of its view."""

    first: int
    """The epoch of column 0."""
    val_loss: Floats  # (rows, epochs)
    """NaN where a training had ended, as in the others."""
    test_loss: Floats  # (rows, epochs)
    seconds: Floats  # (rows, epochs)
    """What a training from scratch took."""

    @cached_property
    def best(self) -> Ints:  # (rows, epochs)
        """Column of the best epoch up to each, the first of equals; the untrained network does not count."""
        start = max(1 - self.first, 0)
        losses = np.where(np.isfinite(self.val_loss), self.val_loss, np.inf)
        losses[:, :start] = np.inf
        lowest = np.minimum.accumulate(losses, axis=1)
        improves = losses < np.concatenate([np.full((len(losses), 1), np.inf), lowest[:, :-1]], axis=1)
        return np.maximum.accumulate(np.where(improves, np.arange(losses.shape[1]), start), axis=1)

    @classmethod
    def of(cls, benchmark: NearestRecorded) -> Curves:
        """The planes of a benchmark's metric."""
        table, metric = benchmark.benchmark, benchmark.metric
        val, test = (metric.losses(table.column(metric.on(part)).matrix().astype(np.float64)) for part in ("val", "test"))
        return cls(table.first, val, test, table.column("seconds").matrix().astype(np.float64))


def simulate_all(curves: Curves, rows: Ints, steps: Sequence[Step], *, continues: bool = True) -> Columns:
    """Every run with one worker, as columns (S, n) of `trajectory.COLUMNS`; the epochs asked for and their sums are (n,), the same for all.

    Args:
        curves: losses and seconds of the table.
        rows: row of the table behind every trial of every run, (S, N).
        steps: the schedule.
        continues: True if a promotion is charged its new epochs only.

    A run that meets a failure has +inf there, and is what the loop does only up to it: the loop fills the slots of failures with
    new trials.
    """
    every = np.arange(len(rows))[:, None]  # (S, 1)
    columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
    train, spent, scratch = [], [], []
    trials = losses = np.empty((len(rows), 0))
    for step in steps:
        if not step.before:
            trials = np.broadcast_to(np.arange(step.first_trial, step.first_trial + step.size), (len(rows), step.size))
        else:  # the best of the rung below, in the order of their numbers; of equals the earlier
            best = np.argsort(losses, axis=1, kind="stable")[:, : step.size]
            trials = np.take_along_axis(trials, np.sort(best, axis=1), axis=1)
        who, at, stood = rows[every, trials], step.epoch - curves.first, step.before - curves.first  # (S, size)
        losses = curves.val_loss[who, at]
        losses = np.where(np.isfinite(losses), losses, np.inf)
        seconds = curves.seconds[who, at]
        columns["trial"].append(trials[:, : step.n])
        columns["val_loss"].append(losses[:, : step.n])
        columns["test_loss"].append(curves.test_loss[who, at][:, : step.n])
        train.append(seconds[:, : step.n])
        columns["seconds"].append((seconds - curves.seconds[who, stood] if continues and step.before else seconds)[:, : step.n])
        columns["epoch"].append(np.full(step.n, step.epoch))
        for name, values in _at_their_best(curves, who[:, : step.n], at).items():
            columns[name].append(values)
        spent.append(np.full(step.n, step.epoch - step.before))
        scratch.append(np.full(step.n, step.epoch))
    found: Columns = {name: np.concatenate(parts, axis=-1) for name, parts in columns.items()}
    found["seconds"] = np.cumsum(found["seconds"], axis=1)
    found["train_seconds"] = np.concatenate(train, axis=1)
    found["epochs_continued"], found["epochs_from_scratch"] = (np.cumsum(np.concatenate(parts)) for parts in (spent, scratch))
    return found


def _at_their_best(curves: Curves, who: Ints, at: int) -> Columns:  # (S, n) each
    best, ended = curves.best[who, at], ~np.isfinite(curves.val_loss[who, at])
    return {
        "best_epoch": np.where(ended, at, best) + curves.first,
        "best_val_loss": np.where(ended, np.inf, curves.val_loss[who, best]),
        "best_test_loss": np.where(ended, np.nan, curves.test_loss[who, best]),
        "best_train_seconds": curves.seconds[who, np.where(ended, at, best)],
    }


def n_draws(steps: Sequence[Step]) -> int:
    """N, the configurations that a run draws."""
    last = steps[-1]
    return last.first_trial + max(step.size for step in steps if step.first_trial == last.first_trial)
