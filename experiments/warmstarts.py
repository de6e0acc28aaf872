"""What is worth training first on a task that nothing is known of: regret by number of trainings, from recorded curves.

Compared are the greedy portfolio of the other tasks (every task is left out once), a portfolio whose members were trained on all tasks,
random configurations, and Hyperband on them. Notation: n random configurations, M tasks, k = 1..K trainings, S seeds, R epochs of a
training.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiments.candidates import Candidates, candidates_of, scores_of
from experiments.vectorised import Curves, n_draws, schedule, simulate_all
from lcbench.errors import UserError
from lcbench.merge import check_same_rows
from lcbench.query import Origin
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.store import names_of
from lcbench.table import CurveTable
from optimizers.greedy import by_size, leave_one_out, random_by_size, regrets_of
from optimizers.rungs import Ladder, ladder

Floats = NDArray[np.float64]
GREEDY, TRIED, RANDOM, HYPERBAND = "greedy, task left out", "portfolio that was trained", "random", "hyperband"
HALVINGS = 8
"""The lowest rung of Hyperband is an eighth of a training, as 6 of LCBench's 50 epochs."""


@dataclass(frozen=True)
class WarmStarts:
    """Regrets on M tasks after 1..K trainings' worth of epochs, as a share of the range of a task's scores.

    What counts is the best network among those that were trained longest so far, as a run keeps it (`incumbent=highest_seen`).
    """

    tasks: list[str]
    regrets: dict[str, Floats]  # {method: (K, M)}
    epoch: int
    """Epochs of a training."""
    n_candidates: int

    def on(self, tasks: Collection[str]) -> WarmStarts:
        """The same of some of the tasks; what was chosen for them was chosen from all others, as before.

        Raises:
            UserError: if one of them is not there.
        """
        if strange := [task for task in tasks if task not in self.tasks]:
            raise UserError(f"`--tasks` names {', '.join(strange)}, but there are {', '.join(self.tasks)}")
        places = [self.tasks.index(task) for task in tasks]
        return replace(self, tasks=list(tasks), regrets={name: values[:, places] for name, values in self.regrets.items()})


def warm_starts(
    tables: Sequence[CurveTable],
    size: int = 16,
    metric: str = "val_accuracy",
    seeds: int = 200,
    tasks: Sequence[str] | None = None,
) -> WarmStarts:
    """Judge ways to begin.

    Args:
        tables: random configurations of every task; beside them, if they are to be judged, the trainings of the members of a portfolio
            (origin ``portfolio``) on every task that is judged, in the order of their numbers.
        size: K.
        metric: a recorded column, e.g. ``val_accuracy``.
        seeds: S, the orders in which Hyperband meets the configurations; its mean is taken.
        tasks: judge on these alone; what is chosen for them is chosen from all others. None for all.

    Raises:
        UserError: if there are fewer than two tables, a task on which nothing has a score, tables of one task are of different rows, or a
            portfolio was not trained on all that are judged, or is not the only one.
    """
    drawn = [part for table in tables if len(part := _of_origin(table, Origin.RANDOM))]
    candidates = candidates_of(drawn, metric) if drawn else None
    if candidates is None or len(set(candidates.tables)) < 2 or not candidates.everywhere:
        raise UserError(
            "random configurations that were all trained on at least two tables are needed: record some with python -m experiments.collect"
        )
    n, members = len(candidates.scores), _members(tables, candidates, metric, candidates.tasks if tasks is None else tasks)
    try:
        own = regrets_of(candidates.scores, among=candidates.among)  # whatever other members have reached
        left_out = leave_one_out(own, size, candidates.tables)
        among = np.concatenate([candidates.among, members])
        regrets = regrets_of(np.concatenate([candidates.scores, members]), among=among)
    except ValueError as error:
        raise UserError(f"{error}: leave the task out") from None
    own, tried = regrets[:n], regrets[n:]
    found = {GREEDY: np.column_stack([by_size(own[:, [t]], chosen)[:, 0] for t, chosen in enumerate(left_out)])}
    if len(tried):
        found[TRIED] = np.minimum.accumulate(tried[:size])
    found[RANDOM] = random_by_size(own, size)
    rungs = ladder(candidates.epoch, max(candidates.epoch // HALVINGS, 1), 2)
    by_rung = np.stack([candidates_of(drawn, metric, epoch).scores for epoch in rungs.epochs])  # (rungs, n, M)
    best, worst = (pick(among, axis=0) for pick in (np.nanmax, np.nanmin))
    unit = np.where(best > worst, best - worst, 1.0)
    found[HYPERBAND] = np.column_stack(
        [_hyperband((best[t] - by_rung[:, :, t]) / unit[t], rungs, size, (t, seeds)) for t in range(len(candidates.tasks))]
    )
    whole = WarmStarts(candidates.tasks, {name: _to_the_end(values, size) for name, values in found.items()}, candidates.epoch, n)
    return whole if tasks is None else whole.on(tasks)


def _to_the_end(regrets: Floats, size: int) -> Floats:  # (k, M) -> (K, M)
    """What ran out of configurations keeps its best one."""
    return np.concatenate([regrets, np.repeat(regrets[-1:], max(size - len(regrets), 0), axis=0)])


def _of_origin(table: CurveTable, origin: Origin) -> CurveTable:
    return table.take(np.flatnonzero(table.columns["origin"] == str(origin)))


def _members(tables: Sequence[CurveTable], candidates: Candidates, metric: str, judged: Sequence[str]) -> Floats:  # (k, M)
    """Scores of the members of a portfolio in their order, NaN where a task has fewer or one failed; no row if there is no portfolio."""
    found: dict[str, Floats] = {}
    epoch = candidates.epoch
    first = {names_of(table)[0]: table for table in reversed(tables)}
    for table in tables:
        part = _of_origin(table, Origin.PORTFOLIO)
        if len(part):
            _check_whole(part, metric)
            name, whole = names_of(table)[0], np.flatnonzero(part.columns["horizon"] == epoch)
            check_same_rows(first[name], table)
            if name in found or len(set(part.columns["seed"].tolist())) > 1:
                raise UserError(f"members of a portfolio were trained more than once on {name}: give one portfolio, and one seed of it")
            if not len(whole):
                lengths = ", ".join(map(str, sorted(set(part.columns["horizon"].tolist()))))
                raise UserError(f"the portfolio was trained for {lengths} epochs on {name}, but the random configurations for {epoch}")
            found[name] = scores_of(part, whole[np.argsort(part.columns["trial"][whole], kind="stable")], metric, epoch)
    if found and (missing := [task for task in judged if task not in found]):
        raise UserError(
            f"the portfolio was trained on {', '.join(found)}, but not on {', '.join(missing)}: train it there, leave it out, or judge on "
            "others (`--tasks`)"
        )
    members = np.full((max(map(len, found.values()), default=0), len(candidates.tasks)), np.nan)
    for t, task in enumerate(candidates.tasks):
        values = found.get(task, np.empty(0))
        members[: len(values), t] = np.where(np.isfinite(values), values, np.nan)
    return members


def _check_whole(part: CurveTable, metric: str) -> None:
    """Refuse the members of a portfolio that are not all trained, or of which something else was recorded.

    Raises:
        UserError: if so.
    """
    name = names_of(part)[0]
    if metric not in part.metrics:
        raise UserError(f"`--metric` is {metric!r}, but the portfolio was recorded on {name!r} with {', '.join(part.metrics)}")
    if (part.columns["status"] == STATUSES.index(UNFINISHED)).any():
        raise UserError(f"members of the portfolio are still being trained on {name!r}: go on with that run first")


def _hyperband(regrets: Floats, rungs: Ladder, size: int, draws: tuple[int, int]) -> Floats:  # (rungs, n) -> (K,)
    """Mean regret after 1..K trainings' worth of epochs, promotions continued; `draws` are a seed and the number of orders."""
    curves = np.full((regrets.shape[1], rungs.max), np.nan)
    curves[:, [epoch - 1 for epoch in rungs.epochs]] = regrets.T
    steps = schedule("hyperband", rungs, size * rungs.max)
    if n_draws(steps) > len(curves):
        raise UserError(f"Hyperband needs {n_draws(steps)} random configurations for {size} trainings' worth of epochs, not {len(curves)}")
    rng = np.random.default_rng([0, draws[0]])
    rows = np.stack([rng.permutation(len(curves))[: n_draws(steps)] for _ in range(draws[1])])
    columns = simulate_all(Curves(1, curves, curves, np.zeros_like(curves)), rows, steps)
    found = np.where(np.isfinite(columns["val_loss"]), columns["val_loss"], 1.0)  # what failed counts as the worst, as everywhere
    best = _of_the_longest(found, np.repeat([step.epoch for step in steps], [step.n for step in steps]))  # (S, results)
    ends = np.searchsorted(columns["epochs_continued"], rungs.max * np.arange(1, size + 1), side="right") - 1
    return np.clip(best[:, ends], 0.0, 1.0).mean(axis=0)  # a network of a lower rung may be better than any at the end


def _of_the_longest(regrets: Floats, epochs: NDArray[np.int64]) -> Floats:  # (S, results), (results,) -> (S, results)
    """After every result the smallest regret of those that were trained to the highest epoch so far."""
    best, highest = np.empty_like(regrets), np.maximum.accumulate(epochs)
    for epoch in np.unique(epochs):
        at = highest == epoch
        best[:, at] = np.minimum.accumulate(np.where(epochs == epoch, regrets, np.inf), axis=1)[:, at]
    return best
