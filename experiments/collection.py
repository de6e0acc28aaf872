"""A collection of learning curves on disk: what is wanted, what is recorded, and what comes next.

<collections>/<name>/
collection.json                 what is collected: the space, the horizon, how configurations are drawn; tasks, configurations and seeds
<task>/<space>/                 one recording per task, as `lcbench.rundir` has it: table.json, journals/, prepared/
database.h5                     all of them as one database, made anew from the journals whenever a collection ends or stops

Training `(i, seed)` is configuration i of the task's space with this seed; configuration i depends on `draw` and i only. So collections on
several machines can divide the configurations among them, and `python -m lcbench import` puts them together. Where a space has
hyperparameters for some tasks only, such as those of categories, configuration i is the same for all tasks in what their spaces share.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.files import held, replacing, turns
from lcbench.journal import Journal, iter_records
from lcbench.merge import merge
from lcbench.query import Origin, Query, Status
from lcbench.rundir import journals, read_run
from lcbench.schema import PER_SEED
from lcbench.space import sample
from lcbench.store import names_of, write_curves
from lcbench.table import CurveTable
from pipeline.recorder import Records

FIXED = ("space", "epochs", "draw", "metric")
"""What a collection cannot change once something is recorded."""
GROWS = ("tasks", "configs", "seeds")
"""What a collection may have more of later."""
FINE = {Status.SUCCESS, Status.DIVERGED}
"""How a training may end that is not made again: it would diverge again."""
JOURNAL = "collect.journal"


class Draws(NamedTuple):
    """The configurations of one task, by number."""

    space: ConfigurationSpace
    """What the task is searched in."""
    widest: ConfigurationSpace
    """The same with everything that only some tasks have: what is drawn from."""
    draw: int

    def configuration(self, i: int) -> Configuration:
        """Configuration number i, whatever was drawn before."""
        drawn = sample(self.widest, np.random.default_rng([self.draw, i]))
        return Configuration(self.space, values={name: value for name, value in drawn.items() if name in self.space})


@dataclass
class Recording:
    """What is recorded of one task, and the journal that more is written to."""

    task: str
    path: Path
    ended: dict[int, str] = field(default_factory=dict)
    """Status of every training that has ended, by trial."""
    first: Mapping[str, Any] = field(default_factory=dict)
    """The first record of a training, empty before there was one."""
    seconds: float = 0.0
    """What the trainings that ended well took, all together."""
    _journal: Journal | None = None

    @classmethod
    def of(cls, task: str, path: Path) -> Recording:
        """What the journals say. Of a training that has lost a record to a damaged disk nothing counts, so that it is made again."""
        recording, seconds = cls(task, path), dict[int, list[float]]()
        for journal in journals(path):
            for record in iter_records(journal):
                if record["kind"] == "training":
                    seconds[record["trial"]] = []
                    recording.first = recording.first or record
                elif record["kind"] == "epoch" and record["trial"] in seconds and len(seconds[record["trial"]]) == record["epoch"]:
                    seconds[record["trial"]].append(record["seconds"])
                elif record["kind"] == "end" and _is_whole(record, seconds.get(record["trial"])):
                    recording._note(record, max(seconds.get(record["trial"], ()), default=0.0))
        return recording

    def _note(self, end: Mapping[str, Any], seconds: float) -> None:
        if end["status"] == Status.SUCCESS and self.ended.get(end["trial"]) != Status.SUCCESS:
            self.seconds += seconds
        self.ended[end["trial"]] = end["status"]

    @property
    def n_good(self) -> int:
        """Trainings that ended well."""
        return sum(status == Status.SUCCESS for status in self.ended.values())

    @property
    def mean_seconds(self) -> float | None:
        """Seconds of a training, None before there was one."""
        return self.seconds / self.n_good if self.n_good else None

    def append(self, records: Records) -> None:
        """Write the records of one training, its end last."""
        if self._journal is None:
            (self.path / "journals").mkdir(parents=True, exist_ok=True)
            self._journal = Journal(self.path / "journals" / JOURNAL)
        for record in records:
            self._journal.append(record)
        epochs = [record["seconds"] for record in records if record["kind"] == "epoch"]
        self._note(records[-1], epochs[-1] if epochs else 0.0)

    def close(self) -> None:
        """Make sure that everything is on the disk."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _is_whole(end: Mapping[str, Any], seconds: Sequence[float] | None) -> bool:
    """Whether everything of a training that ended is there: what it is, and every epoch of one that ended well."""
    return seconds is not None and (end["status"] != Status.SUCCESS or len(seconds) > end["epoch"])


@dataclass(frozen=True)
class Wanted:
    """What a collection is to hold, and how its configurations are drawn."""

    draw: int
    configs: tuple[int, int]
    """The first number of a configuration, and the one behind the last."""
    seeds: tuple[int, ...]
    epochs: int

    def queries(self, draws: Draws, recording: Recording, *, retry: bool) -> Iterator[Query]:
        """What is missing of one task: configuration by configuration, so that at any time the first ones have every seed."""
        for trial in self.missing(recording, retry=retry):
            yield Query(draws.configuration(trial % PER_SEED), self.epochs, trial, seed=trial // PER_SEED, origin=Origin.RANDOM)

    def trials(self) -> Iterator[int]:
        """Every trial number, configuration by configuration."""
        return (seed * PER_SEED + i for i in range(*self.configs) for seed in self.seeds)

    def missing(self, recording: Recording, *, retry: bool = False) -> Iterator[int]:
        """Trainings that have not ended, or are made again."""
        return (trial for trial in self.trials() if _is_missing(recording.ended.get(trial), retry))

    def n_missing(self, recording: Recording, *, retry: bool = False) -> int:
        """How many these are."""
        return sum(1 for _ in self.missing(recording, retry=retry))

    def n_failed(self, recording: Recording) -> int:
        """Trainings that have ended without a curve that counts, which `retry` makes again."""
        return self.n_missing(recording, retry=True) - self.n_missing(recording)

    def n_whole(self, recording: Recording) -> int:
        """The first so many configurations have ended with every seed."""
        for i in range(*self.configs):
            if any(seed * PER_SEED + i not in recording.ended for seed in self.seeds):
                return i - self.configs[0]
        return self.configs[1] - self.configs[0]


def _is_missing(status: str | None, retry: bool) -> bool:
    return status is None or (retry and status not in FINE)


class CollectionDirectory:
    """One collection, locked for this process while it is open."""

    def __init__(self, path: Path) -> None:
        """Open or create the folder.

        Raises:
            UserError: if another process works in it, or its description is damaged.
        """
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = held(path, "wait for it, or choose another `name`")

    def __enter__(self) -> CollectionDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.close()

    def admit(self, fixed: Mapping[str, Any]) -> None:
        """Make room for what is `fixed`: what another plan has left goes.

        Raises:
            UserError: if the collection was begun otherwise.
        """
        before, headers, begun = read_about(self.path), list(self.path.glob("*/*/table.json")), self.begun
        for name, value in json.loads(json.dumps(fixed)).items():
            if begun and before and before.get(name) != value:
                raise UserError(
                    f"the collection {self.path.name!r} was begun with {name}={before.get(name)!r}, not {value!r}: choose another `name`; "
                    "nothing recorded was changed"
                )
        if not begun and (old := _database(self.path / "database.h5")) and old.names:
            raise UserError(
                f"the journals of the collection {self.path.name!r} are gone, but {self.path / 'database.h5'} holds its trainings: move "
                "this file away to begin anew, or choose another `name`"
            )
        for header in [] if begun else headers:  # of a plan, perhaps for another space
            shutil.rmtree(header.parent)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Write what is collected, once it is known that it can be: the next command under this name begins with it."""
        with replacing(self.path / "collection.json") as temporary:
            temporary.write_text(json.dumps(dict(about), indent=1) + "\n", encoding="utf-8")

    @property
    def begun(self) -> bool:
        """Whether anything is recorded."""
        return any(journals(header.parent) for header in self.path.glob("*/*/table.json"))

    def pack(self) -> Path:
        """Make the database of everything that was recorded, also of tasks that this command did not ask for.

        Trainings of which the database has more than the journals stay, because some of these were lost, perhaps with the folder of their
        task, and so do surrogates where their table has the trainings that they were fitted to.

        Raises:
            UserError: if a journal is damaged, or all that is left of a task is a damaged table.
        """
        with turns(self.path / "database.h5"):
            return self._pack(self.path / "database.h5")

    def _pack(self, path: Path) -> Path:
        before, same, seen = _database(path), set[tuple[str, str]](), set[tuple[str, str]]()

        def tables() -> Iterator[CurveTable]:
            for header in sorted(self.path.glob("*/*/table.json")):
                table = _with_lost(read_run(header.parent), before)
                seen.add(names_of(table))
                if before and _has_trainings_of(before, table):
                    same.add(names_of(table))
                if len(table):
                    yield table
            if before:
                for name in [name for name in before.names if name not in seen]:  # their folders are gone
                    same.add(name)
                    yield before.checked(*name)

        fitted = (model for name in before.models for model in before.fitted(*name) if name in same) if before else ()
        write_curves(path, tables(), models=fitted)
        return path


def _database(path: Path) -> Database | None:
    """The database of an earlier command, if it can be read."""
    try:
        return Database(path) if path.exists() else None
    except UserError:
        return None


def _with_lost(table: CurveTable, database: Database | None) -> CurveTable:
    """The table with what an earlier database has of it and the journals have not, because some of them were lost."""
    try:
        before = database.checked(*names_of(table)) if database else None
    except UserError:  # it is new, or damaged
        return table
    now, then = _lengths(table), _lengths(before) if before else {}
    if not before or all(length <= now.get(name, 0) for name, length in then.items()):
        return table
    try:
        return merge([table, before])
    except UserError:  # it is of other rows: the task was begun anew
        return table


def _lengths(table: CurveTable) -> dict[tuple[int, int], int]:
    columns = (table.columns[name].tolist() for name in ("trial", "horizon", "length"))
    return {(trial, horizon): length for trial, horizon, length in zip(*columns, strict=True)}


def _has_trainings_of(database: Database, table: CurveTable) -> bool:
    try:
        known = database.table(*names_of(table)).columns
    except UserError:  # it is new, or the database is damaged
        return False
    return all(np.array_equal(known[column], table.columns[column]) for column in ("trial", "length", "status"))


def read_about(path: Path) -> dict[str, Any]:
    """The content of collection.json, empty if there is none.

    Raises:
        UserError: if it is damaged.
    """
    file = path / "collection.json"
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError as error:
        raise UserError(f"{file} cannot be read ({error}): delete it and give the whole command again; the curves are whole") from None
