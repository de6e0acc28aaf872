"""A study as a value: what every run had found at every moment, on a budget axis that all runs of a task share.

Notation: O optimizers, T tasks, S seeds, G grid points. A run is a step function of its axis: between two rows of the record the incumbent
does not change. ``share`` is a part of the budget in (0, 1]. On the axis in which the study set its budget, share 1 is that budget: a run
that ended before it, because nothing more fitted in, keeps its incumbent. On another axis it is the *smallest end of any run on the task*,
so that every run is defined wherever a figure looks; there the method that spent least says where the axis ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.options import AXES
from lcbench.errors import UserError

RUN = ["optimizer", "task", "seed"]
"""The columns that name a run."""
COLUMNS = (*RUN, *AXES, "overhead", "n_results", "trial", "epoch", "val_loss", "test_loss", "regret")
"""What a record of trajectories must hold."""
ABOUT = ("benchmark", "view", "metric", "incumbent", "budget", "continue_trials", "workers", "counts_overhead")
"""What must be known of a study besides, in study.json."""
REFERENCE = "random"
"""The optimizer that others are measured against, where the study has it."""
FIRST_SHARE = 1 / 64
"""Where curves over the budget begin; before it, most methods have no incumbent."""


@dataclass(frozen=True, eq=False)
class Study:
    """The recorded trajectories of optimizers on tasks, every one with the same seeds.

    Raises:
        UserError: if columns or runs are missing, or an axis goes backwards within a run.
    """

    trajectories: pd.DataFrame
    """One row per change of the incumbent, and one at the end of every run; in the order of the run."""
    about: dict[str, Any]
    """The content of study.json."""
    whole: pd.DataFrame | None = None
    """Trajectories of the whole study, where this is a part of it: what regrets are divided by comes from there."""
    path: Path | None = None
    """Its folder, where every result can be read."""

    def __post_init__(self) -> None:
        for file, needed, present in (("study.json", ABOUT, self.about), ("trajectories.parquet", COLUMNS, self.trajectories.columns)):
            missing = [name for name in needed if name not in present]
            if missing:
                raise UserError(f"{file} of the study {self.name!r} lacks {', '.join(missing)}: make the study anew")
        self._check_runs()
        for axis in AXES:
            steps = np.diff(self.trajectories[axis].to_numpy(float))
            steps[self._starts[1:] - 1] = 0.0  # from one run to the next
            if not (steps >= 0).all():
                raise UserError(f"`{axis}` goes backwards within a run of {self.name!r}: the record is damaged, make the study anew")

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        optimizers: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Study:
        """Read the folder of a study, or the part of it with these optimizers, tasks and seeds; None takes all.

        Raises:
            UserError: if it is no study, cannot be read, has no such part, or runs of that part are missing.
        """
        path = Path(path)
        for name in ("study.json", "trajectories.parquet"):
            if not (path / name).is_file():
                raise UserError(f"{path} is no finished study: it has no {name}; python -m experiments.compare makes one")
        try:
            about = json.loads((path / "study.json").read_text())
            trajectories = pd.read_parquet(path / "trajectories.parquet")
        except (ValueError, OSError) as error:
            raise UserError(f"the study in {path} cannot be read ({error}): make it anew") from None
        part = trajectories
        for column, wanted in (("optimizer", optimizers), ("task", tasks), ("seed", seeds)):
            if wanted is not None and column in part:
                part = _selected(part, column, wanted)
        return cls(part, {"name": path.name, **about}, trajectories, path)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.about.get("name", "study"))

    @cached_property
    def optimizers(self) -> list[str]:
        """Names of the optimizers, in alphabetical order."""
        return sorted(map(str, self.trajectories["optimizer"].unique()))

    @cached_property
    def tasks(self) -> list[str]:
        """Names of the tasks, in alphabetical order."""
        return sorted(map(str, self.trajectories["task"].unique()))

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds, in rising order."""
        return sorted(map(int, self.trajectories["seed"].unique()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(O, T, S)."""
        return len(self.optimizers), len(self.tasks), len(self.seeds)

    @cached_property
    def _starts(self) -> np.ndarray:
        """First row of every run, in the order of the record."""
        codes = [pd.factorize(self.trajectories[column])[0] for column in RUN]
        changed = np.any([np.diff(code) != 0 for code in codes], axis=0)
        return np.concatenate([[0], np.flatnonzero(changed) + 1]).astype(int)

    @cached_property
    def _places(self) -> np.ndarray:
        """Place of every run in (O, T, S), flat, in the order of the record."""
        named = self.trajectories.iloc[self._starts]
        levels = (("optimizer", self.optimizers), ("task", self.tasks), ("seed", self.seeds))
        codes = [pd.Index(level).get_indexer(named[column].astype(object)) for column, level in levels]
        return np.ravel_multi_index(codes, self.shape)

    def _check_runs(self) -> None:
        if self.trajectories.empty:
            raise UserError(f"the study {self.name!r} has no runs: make it anew with other `optimizers`, `tasks` or `seeds`")
        counts = np.bincount(self._places, minlength=int(np.prod(self.shape)))
        if (counts > 1).any():
            raise UserError(f"the rows of a run of {self.name!r} do not stand together: the record is damaged, make the study anew")
        if (counts == 0).any():
            o, t, s = np.unravel_index(int(np.argmin(counts)), self.shape)
            run = f"{self.optimizers[o]} on {self.tasks[t]} with seed {self.seeds[s]}"
            raise UserError(
                f"{int((counts == 0).sum())} of the {counts.size} runs of {self.name!r} were not made or never had an incumbent, "
                f"first {run}: give the command of the study again, or leave them out with --optimizers, --tasks or --seeds"
            )

    def final(self, column: str) -> np.ndarray:
        """The last value of a column in every run, (O, T, S): whole runs, whatever the budget of their task."""
        return self._arranged(self.trajectories[column].to_numpy(float)[np.append(self._starts[1:], len(self.trajectories)) - 1])

    def _arranged(self, values: np.ndarray) -> np.ndarray:
        arranged = np.empty((int(np.prod(self.shape)), *values.shape[1:]))
        arranged[self._places] = values
        return arranged.reshape(*self.shape, *values.shape[1:])

    def set_budget(self, axis: str) -> float | None:
        """The budget that ended every run, if it was set in units of `axis`; else None, also if the study has several limits."""
        limits = {name: limit for name, limit in self.about["budget"].items() if limit is not None}
        counted = {"seconds": "seconds", "epochs_continued" if self.about["continue_trials"] else "epochs_from_scratch": "epochs"}
        return float(limits[counted[axis]]) if axis in counted and [*limits] == [counted[axis]] else None

    def budgets(self, axis: str) -> np.ndarray:
        """Share 1 of every task on an axis, (T,): the budget that the study set on it, else the smallest end of any run on the task."""
        budget = self.set_budget(axis)
        return self.final(axis).min(axis=(0, 2)) if budget is None else np.full(len(self.tasks), budget)

    def shares(self, n_points: int, first: float = FIRST_SHARE) -> np.ndarray:
        """Shares of the budget from `first` to 1, evenly spaced on their logarithm, (n_points,)."""
        return np.exp2(np.linspace(np.log2(first), 0.0, n_points))

    def at(self, axis: str, shares: np.ndarray | Iterable[float], column: str = "regret") -> np.ndarray:
        """Values of a column when a share of the budget is spent, (O, T, S, G): the last row that lies there or before.

        NaN where a run has no incumbent yet, or one without a finite value. Takes O(rows + runs · G · log rows).

        Args:
            axis: one of `AXES`.
            shares: (G,) in [0, 1].
            column: what to read; a number in every row.
        """
        x, y = self.trajectories[axis].to_numpy(float), self.trajectories[column].to_numpy(float)
        y = np.where(np.isfinite(y), y, np.nan)
        n_seeds, n_tasks = len(self.seeds), len(self.tasks)
        points = self.budgets(axis)[:, None] * np.asarray(shares, float)  # (T, G)
        values = np.full((len(self._starts), points.shape[1]), np.nan)
        ends = np.append(self._starts[1:], len(x))
        for run, (start, end, place) in enumerate(zip(self._starts, ends, self._places, strict=True)):
            last = np.searchsorted(x[start:end], points[place // n_seeds % n_tasks], side="right") - 1  # (G,)
            values[run] = np.where(last >= 0, y[start:end][last], np.nan)
        return self._arranged(values)

    @cached_property
    def constants(self) -> pd.Series:
        """What regrets are divided by to be compared across tasks, by task: the median regret of the first incumbents of random search.

        That is what a random configuration, trained in full, is worth by the rule for incumbents: it depends neither on the axis nor on the
        other optimizers.
        A part of a study has the constants of the whole. In a study without random search it is the median over the first incumbents of
        all its optimizers.

        Raises:
            UserError: if it is not above 0 on a task, whose regrets can then not be normalised.
        """
        first = self._first_incumbents
        if self._has_reference:
            first = first[first["optimizer"] == REFERENCE]
        medians = first.groupby(first["task"].astype(object))["regret"].median()
        constants = medians.reindex(pd.Index(self.tasks, dtype=object, name="task")).rename("constant")
        useless = [task for task, value in constants.items() if not value > 0]
        if useless:
            raise UserError(
                f"the median first regret on {', '.join(map(str, useless))} is not above 0, so that regrets there cannot be normalised: "
                "leave these tasks out with --tasks"
            )
        return constants

    @property
    def n_configurations(self) -> pd.Series:
        """How many recorded configurations there are by task; empty where the study does not say so of every one."""
        known = {task: self.about["tasks"].get(task, {}).get("n_configurations") for task in self.tasks}
        return pd.Series({} if None in known.values() else known, dtype=int, name="configurations")

    def normalised(self, axis: str, shares: np.ndarray | Iterable[float]) -> np.ndarray:
        """Regret divided by the constant of its task, (O, T, S, G): 1 is the worth of one random configuration, 0 the best of the table."""
        return self.at(axis, shares) / self.constants.to_numpy()[None, :, None, None]

    @property
    def reference(self) -> str:
        """Whose first incumbents the constants come from, in words."""
        return "random search" if self._has_reference else "all optimizers"

    @cached_property
    def _first_incumbents(self) -> pd.DataFrame:
        """The first row of every run of the whole study with a finite regret."""
        rows = self.trajectories if self.whole is None else self.whole
        return rows[np.isfinite(rows["regret"])].drop_duplicates(RUN)

    @property
    def _has_reference(self) -> bool:
        return bool((self._first_incumbents["optimizer"] == REFERENCE).any())

    def results(self) -> Iterator[tuple[tuple[int, int, int], pd.DataFrame]]:
        """Place (o, t, s) and every result of every run, in the order of the tells; columns as `experiments.trajectory` lists them.

        Raises:
            UserError: if the study was read without them.
        """
        from experiments.study import cell  # with all that makes studies: the other figures start without it

        for o, optimizer in enumerate(self.optimizers):
            for t, task in enumerate(self.tasks):
                files = sorted(cell(self.path, optimizer, task).glob("*.parquet")) if self.path else []
                if not files:
                    raise UserError(f"{self.name!r} has no results of {optimizer} on {task} in its folder `cells`: leave this figure out")
                for seed, rows in pd.concat(map(pd.read_parquet, files)).groupby("seed"):
                    if seed in self.seeds:
                        yield (o, t, self.seeds.index(int(seed))), rows


def _selected(trajectories: pd.DataFrame, column: str, wanted: Sequence[object]) -> pd.DataFrame:
    present = sorted(trajectories[column].unique())
    unknown = [str(value) for value in wanted if value not in present]
    if unknown or not wanted:
        raise UserError(f"`{column}s` names {', '.join(unknown) or 'nothing'}, but the study has {', '.join(map(str, present))}")
    return trajectories[trajectories[column].isin(list(wanted))]
