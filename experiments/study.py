"""A study of optimizers on disk: the results of every run, cell by cell, and one tidy table of how their incumbents changed.

<studies>/<name>/
study.json             what was compared, on what, and how
cells/<optimizer>/<task>/<first>-<last>.parquet    every result of the runs with these seeds
trajectories.parquet   one row per change of an incumbent and one at the end of every run

More tasks, optimizers or seeds can be added at any time; what a study compares *on* is fixed, and a difference is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.trajectory import COLUMNS, Columns, changes, incumbents, judged
from lcbench.errors import UserError
from lcbench.files import held, replacing

BLOCK = 10
"""Runs that are made and written together."""
SAID = 3
"""Differences between two studies that are told."""


@dataclass(frozen=True)
class Block:
    """Runs of one optimizer on one task with consecutive seeds: what a process does before it writes."""

    optimizer: str
    task: str
    first: int
    last: int

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.first, self.last + 1)


def read_about(path: Path) -> dict[str, Any]:
    """The content of study.json in the folder of a study, empty if there is none.

    Raises:
        UserError: if it is damaged.
    """
    file = path / "study.json"
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise UserError(f"{file} cannot be read ({error}): choose another `name`; the results in {path} are whole") from None


class StudyDirectory:
    """One study, locked for this process while it is open."""

    def __init__(self, path: Path) -> None:
        """Open or create the folder.

        Raises:
            UserError: if another process works in it.
        """
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = held(path, "wait for it, or choose another `name`")

    def __enter__(self) -> StudyDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.close()

    # -------------------------------------------------------------------------------------------------- what it is about

    @property
    def about(self) -> dict[str, Any]:
        """The content of study.json, empty if there is none.

        Raises:
            UserError: if it is damaged.
        """
        return read_about(self.path)

    def describe(self, fixed: Mapping[str, Any], grows: Mapping[str, Mapping[str, Any]], loose: Mapping[str, Any]) -> None:
        """Write down what is compared.

        Args:
            fixed: what every run of the study shares.
            grows: tables to which entries may be added; an entry that is there may not change.
            loose: whatever may change.

        Raises:
            UserError: if the study was made otherwise, with the difference.
        """
        stored = self.about
        was = {name: stored[name] for name in fixed if name in stored}
        now = json.loads(json.dumps(fixed))
        others = _differing(was, {name: now[name] for name in was}, "")
        tables = {}
        for table, entries in grows.items():
            old, new = stored.get(table, {}), json.loads(json.dumps(entries))
            others += [text for name in old if name in new for text in _differing(old[name], new[name], f"{table}.{name}")]
            tables[table] = {**old, **new}
        if others:
            said = "; ".join(others[:SAID]) + (f"; and {len(others) - SAID} more" if len(others) > SAID else "")
            raise UserError(f"{self.path} holds a study that was made otherwise: {said}; to keep both, choose another `name`")
        if stored.get("incumbent") != loose.get("incumbent"):  # until there are others, nobody reads trajectories of another rule
            (self.path / "trajectories.parquet").unlink(missing_ok=True)
        with replacing(self.path / "study.json") as temporary:
            temporary.write_text(json.dumps({**fixed, **tables, **loose}, indent=2) + "\n")

    # ------------------------------------------------------------------------------------------------------------- cells

    def missing(self, optimizers: Iterable[str], tasks: Iterable[str], seeds: Iterable[int]) -> list[Block]:
        """What is left to do, task by task, so that every optimizer soon has some results."""
        wanted, tasks, optimizers = sorted(set(seeds)), list(tasks), list(optimizers)
        blocks = []
        for task in tasks:
            for optimizer in optimizers:
                left = set(wanted) - {seed for path in self._files(optimizer, task) for seed in _seeds_of(path)}
                blocks += [Block(optimizer, task, *ends) for ends in _stretches(sorted(left))]
        return blocks

    def write(self, block: Block, runs: Mapping[int, Columns]) -> None:
        """Keep the results of a block, {seed: columns}."""
        import pyarrow as pa
        from pyarrow import parquet

        columns: dict[str, Any] = {"seed": np.repeat(np.array(list(runs), np.int32), [len(run["trial"]) for run in runs.values()])}
        columns |= {name: np.concatenate([run[name] for run in runs.values()]) for name in COLUMNS}
        path = cell(self.path, block.optimizer, block.task) / f"{block.first}-{block.last}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            parquet.write_table(pa.table(columns), temporary)

    def runs(self, optimizer: str, task: str) -> Iterator[tuple[int, Columns]]:
        """(seed, columns) of every run that is there, by seed.

        Raises:
            UserError: if a version that kept other columns has made one.
        """
        from pyarrow import parquet

        for path in sorted(self._files(optimizer, task), key=lambda path: _seeds_of(path).start):
            table = parquet.read_table(path)
            if lacks := [name for name in COLUMNS if name not in table.column_names]:
                raise UserError(f"{path} holds no {', '.join(lacks)}: another version has made it; choose another `name`, or remove it")
            columns = {name: table[name].to_numpy() for name in ("seed", *COLUMNS)}
            seeds = columns.pop("seed")
            for seed in _seeds_of(path):
                start, end = np.searchsorted(seeds, [seed, seed + 1])
                yield seed, {name: values[start:end] for name, values in columns.items()}

    def _files(self, optimizer: str, task: str) -> list[Path]:
        return list(cell(self.path, optimizer, task).glob("*-*.parquet"))

    # ------------------------------------------------------------------------------------------------------ the tidy table

    def write_trajectories(self, policy: str, max_epoch: int, best_losses: Mapping[str, float]) -> int:
        """Write trajectories.parquet for every run of the study; returns the number of runs.

        Columns: optimizer, task, seed, n_results, then those of `COLUMNS` of the incumbent and of the run at that point, and regret,
        the incumbent's validation loss minus `best_losses` of its task. A run without any incumbent has no row.
        """
        import pyarrow as pa
        from pyarrow import parquet

        parts: list[Columns] = []
        names: list[tuple[str, str]] = []
        n_runs = 0
        for folder in sorted((self.path / "cells").glob("*/*")):
            optimizer, task = name_of(folder.parent), name_of(folder)
            for seed, columns in self.runs(optimizer, task):
                part = _trajectory(columns, seed, policy, max_epoch, best_losses[task])
                parts.append(part)
                names.append((optimizer, task))
                n_runs += 1
        lengths = [len(part["seed"]) for part in parts]
        table: dict[str, Any] = {noun: _categories([name[i] for name in names], lengths) for i, noun in enumerate(("optimizer", "task"))}
        table |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
        with replacing(self.path / "trajectories.parquet") as temporary:
            parquet.write_table(pa.table(table), temporary)
        return n_runs


def _trajectory(columns: Columns, seed: int, policy: str, max_epoch: int, best_loss: float) -> Columns:
    columns = judged(columns, policy)
    at, who = changes(columns, incumbents(columns, policy, max_epoch))
    at, who = at[who >= 0], who[who >= 0]
    of_the_run = ("seconds", "epochs_continued", "epochs_from_scratch", "overhead")
    found: Columns = {"seed": np.full(len(at), seed, np.int32), "n_results": at + 1}
    found |= {name: columns[name][at] for name in of_the_run}
    found |= {name: columns[name][who] for name in COLUMNS if name not in of_the_run and not name.startswith("best_")}
    return found | {"regret": found["val_loss"] - best_loss}


def _categories(names: list[str], lengths: list[int]) -> Any:
    import pyarrow as pa

    known = sorted(set(names))
    codes: NDArray[np.int32] = np.repeat(np.array([known.index(name) for name in names], np.int32), lengths)
    return pa.DictionaryArray.from_arrays(codes, pa.array(known, pa.string()))


def _seeds_of(path: Path) -> range:
    first, last = path.stem.split("-")
    return range(int(first), int(last) + 1)


def _stretches(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of every stretch of consecutive numbers, none longer than a block."""
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1 or i - start == BLOCK:
            yield numbers[start], numbers[i - 1]
            start = i


def cell(study: Path, optimizer: str, task: str) -> Path:
    """The folder of the runs of an optimizer, by its label, on a task; a slash in a name, as in the label of a file, is written %2F."""
    return study.joinpath("cells", *(name.replace("%", "%25").replace("/", "%2F") for name in (optimizer, task)))


def name_of(folder: Path) -> str:
    """The optimizer or the task that a folder in `cells` is of."""
    return folder.name.replace("%2F", "/").replace("%25", "%")


def _differing(was: Any, now: Any, name: str) -> list[str]:
    """What differs between two plain values, key by key: "`budget.epochs` was 400 and is now 1000"."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = [*was, *(key for key in now if key not in was)]
        return [text for key in keys for text in _differing(was.get(key), now.get(key), f"{name}.{key}" if name else key)]
    return [] if was == now else [f"`{name}` was {was} and is now {now}"]
