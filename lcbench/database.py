"""A curve database that is open for serving: tables by name, in milliseconds, their curves mapped into memory."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from lcbench.checksums import crc_of_array
from lcbench.errors import UserError
from lcbench.plane import Plane, Planes
from lcbench.schema import link, unlinked
from lcbench.store import (
    FittedModel,
    Layout,
    mapped_dataset,
    model_groups,
    opened,
    read_model,
    read_plane,
    read_table,
    remedy,
    table_names,
    table_path,
)
from lcbench.table import CurveTable
from lcbench.view import view_named

SHIPPED = Path(__file__).parent / "data" / "lcbench.h5"
"""The database that comes with the code; see the data card beside it."""


class Database:
    """One HDF5 file of tables, read as they are asked for and then kept; the file itself is closed between reads.

    >>> Database().table("vehicle").metrics[:2]
    ('train_loss', 'val_accuracy')
    """

    def __init__(self, path: str | PathLike[str] = SHIPPED) -> None:
        """Open a database, by default the one that ships.

        Raises:
            UserError: if it is missing, no curve database, damaged, or has another schema version.
        """
        self.path = Path(path)
        self._tables: dict[tuple[str, str], CurveTable] = {}
        with opened(self.path) as file:
            self.names: tuple[tuple[str, str], ...] = tuple(table_names(file))
            """(task, space) of every table; a fold other than 0 is set off by ``@fold``."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[CurveTable]:
        return (self.table(task, space) for task, space in self.names)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, each once."""
        return tuple(dict.fromkeys(task for task, _ in self.names))

    def table(self, task: str, space: str | None = None) -> CurveTable:
        """The table of a task; `space` may be left out where there is only one.

        Raises:
            UserError: if there is no such table, with the nearest names, or several.
        """
        name = self._name(task, space)
        if name not in self._tables:
            with opened(self.path) as file:
                self._tables[name] = read_table(file[table_path(*name)], mapped=True)
        return self._tables[name]

    def checked(self, task: str, space: str | None = None) -> CurveTable:
        """The table of a task with every byte of its curves and seconds compared with their checksums.

        For whoever writes them anew: checksums of damaged values would hide the damage for ever.

        Raises:
            UserError: as `table`, or if a checksum does not fit.
        """
        with opened(self.path) as file:
            group = file[table_path(*self._name(task, space))]
            for name in ("curves", "seconds"):  # through mappings of their own, whose pages are given back at once
                if crc_of_array(mapped_dataset(group, name)) != group[name].attrs["crc32"]:
                    raise UserError(f"{self.path}: the checksum of the dataset {group.name}/{name} does not fit; {remedy(self.path)}")
            return read_table(group, mapped=True)

    def plane(self, task: str, metric: str, space: str | None = None) -> Plane:
        """One metric of all trainings of a task, straight from the file: the shortest way to a first value.

        Values are in the unit of the metric; entry 0, the untrained network, is epoch 0.

        Raises:
            UserError: if there is no such table or metric, with the nearest names.
        """
        with opened(self.path) as file:
            return read_plane(file[table_path(*self._name(task, space))], metric)

    @cached_property
    def models(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Columns that a model was fitted to, by (task, space)."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        with opened(self.path) as file:
            for group in model_groups(file):
                task, space, column = (unlinked(part) for part in group.name.split("/")[2:])
                found[task, space] = (*found.get((task, space), ()), column)
        return found

    def fitted(self, task: str, space: str | None = None) -> list[FittedModel]:
        """Every model that was fitted to a table, checked.

        Raises:
            UserError: if there is no such table, or no model of it, with what to do.
        """
        name = self._name(task, space)
        columns = self.models.get(name, ())
        if not columns:
            have = _listed(dict.fromkeys(task for task, _ in self.models)) or "none"
            raise UserError(
                f"{self.path} has no surrogate of {task!r} (it has one of {have}); "
                f"`python -m lcbench fit-surrogate {self.path} --task {task}` fits it"
            )
        return [self.model(*name, column) for column in columns]

    def model(self, task: str, space: str, column: str) -> FittedModel:
        """The model that was fitted to one column, one of those in `models`, checked.

        Raises:
            UserError: if it is damaged.
        """
        with opened(self.path) as file:
            return read_model(file[f"/models/{link(task)}/{link(space)}/{link(column)}"])

    @property
    def layout(self) -> Layout:
        """How its tables are laid out; see `schema`."""
        with opened(self.path) as file:
            return "compressed" if any(file[table_path(*name)]["curves"].chunks for name in self.names) else "serving"

    def _name(self, task: str, space: str | None) -> tuple[str, str]:
        found = [name for name in self.names if name[0] == task and space in (None, name[1])]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"`space` must be given, because {self.path} has several tables of {task!r}: {_listed(s for _, s in found)}")
        if task in self.tasks:
            raise UserError(f"`space` is {space!r}, but {self.path} has {task!r} in {_listed(s for t, s in self.names if t == task)}")
        near = difflib.get_close_matches(task, self.tasks, n=3, cutoff=0.5)
        hint = f"did you mean {_listed(near)}, or another of" if near else "it has"
        raise UserError(f"`task` is {task!r}, but {self.path} does not have it: {hint} {_listed(self.tasks)}")

    @cached_property
    def index(self) -> dict[tuple[str, str, str], int]:
        """Number of every plane in `planes`, by (task, space, metric)."""
        names = [(*name, metric) for name in self.names for metric in self.table(*name).metrics]
        return {name: i for i, name in enumerate(names)}

    def planes(self, view: str = "trained") -> Planes:
        """Every metric of every table in one piece, numbered by `index`, for vectorised look-ups across all of them.

        Values are as stored (`CurveTable.units`); rows count all trainings of a table. In the serving layout the whole file
        is mapped and nothing is read.

        Raises:
            UserError: if the tables have different types of values.
        """
        tables = list(self)
        if not tables:
            raise UserError(f"{self.path} has no table to look anything up in")
        if len(types := {table.curves.dtype for table in tables}) > 1:
            raise UserError(f"{self.path} has tables of {_listed(map(str, types))}; planes need one type, export it with one precision")
        starts = self._starts(tables)
        if starts is None:
            flat = np.concatenate([table.curves.ravel() for table in tables])
            starts = list(np.cumsum([0, *(table.curves.size for table in tables[:-1])]))
        else:
            dtype = tables[0].curves.dtype
            flat = np.asarray(np.memmap(self.path, dtype, "r", shape=(self.path.stat().st_size // dtype.itemsize,)))
        sizes = [table.seconds.shape for table in tables]
        offsets = [start + m * n * t for start, table, (n, t) in zip(starts, tables, sizes, strict=True) for m in range(len(table.metrics))]
        shapes = [size for table, size in zip(tables, sizes, strict=True) for _ in table.metrics]
        cut = view_named(view)
        return Planes(flat, offsets, shapes, cut.first, cut.last)

    def _starts(self, tables: list[CurveTable]) -> list[int] | None:
        """Where the curves of every table begin in the file, in values; None if they are not contiguous, or between two values."""
        with opened(self.path) as file:
            offsets = [file[table_path(*name)]["curves"].id.get_offset() for name in self.names]
        if any(offset is None or offset % table.curves.itemsize for offset, table in zip(offsets, tables, strict=True)):
            return None
        return [offset // table.curves.itemsize for offset, table in zip(offsets, tables, strict=True)]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
