"""Several tables of one task and space made one: runs of several optimizers, seeds and machines in one database."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.columns import INACTIVE, Column, decode_column, encode_column
from lcbench.errors import UserError
from lcbench.query import Status
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.table import NUMBERS, TEXTS, CurveTable
from lcbench.task import is_same_task


def merge(tables: Sequence[CurveTable]) -> CurveTable:
    """One table with the trainings of all, by number, so that parts may come in any order.

    Of two trainings of the same configuration, seed and horizon the longer one counts; of equally long ones that which has failed or come
    to its horizon, else that which has ended, else the earlier.
    Trial numbers stay as they are unless one would name two configurations or trainings; then all are numbered anew. A metric that a
    table lacks is NaN in its rows.

    Raises:
        UserError: if the tables are not of one task and space, or store a metric in different units.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    stated = next((table for table in tables if _checksums(table)), first)
    for table in tables[1:]:
        _check_alike(first, table)
        check_same_rows(stated, table)
    metrics = tuple(dict.fromkeys(name for table in tables for name in table.metrics))
    columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in (*NUMBERS, *TEXTS)}
    names = dict.fromkeys(name for table in tables for name in table.results)
    whole = CurveTable(
        task=max((table.task for table in tables), key=lambda task: task.n_categorical),  # older recordings do not know it
        space=first.space,
        objective=first.objective,
        provenance=provenance_of_parts(tables),
        metrics=metrics,
        units=tuple(_unit(tables, name) for name in metrics),
        curves=_curves(tables, metrics),
        seconds=np.concatenate([_padded(table.seconds, _length(tables)) for table in tables]),
        columns=columns,
        configs={name: _config(tables, name) for name in first.space},
        results={name: np.concatenate([table.results.get(name, np.full(len(table), np.nan)) for table in tables]) for name in names},
    )
    whole = _numbered(whole.take(_distinct(columns)))
    return whole.take(np.lexsort([whole.columns[name] for name in ("horizon", "seed", "trial")]))


def choose_metrics(table: CurveTable, patterns: Iterable[str]) -> CurveTable:
    """The table with those of its metrics that match a pattern, e.g. ``val_*``; the objective always stays.

    Raises:
        UserError: if a pattern matches nothing.
    """
    wanted = {table.objective}
    for pattern in patterns:
        found = fnmatch.filter(table.metrics, pattern)
        if not found:
            raise UserError(f"`metrics` has {pattern!r}, but {table.task.name!r} has {', '.join(table.metrics)}")
        wanted.update(found)
    return table.take(range(len(table)), [name for name in table.metrics if name in wanted])


def check_same_rows(one: CurveTable, other: CurveTable) -> None:
    """See that two tables are of the same rows, split alike: curves of others cannot be compared.

    Raises:
        UserError: if they are of different tasks, or of what has changed between the recordings.
    """
    if not is_same_task(one.task, other.task):
        raise UserError(
            f"tables of {one.task.name!r} do not belong together: task {one.task} is not {other.task}; keep them in two databases"
        )
    checksums = _checksums(one), _checksums(other)
    if len(checksums[0] | checksums[1]) > max(map(len, checksums)):
        said = " and ".join(", ".join(map(str, sorted(part))) for part in checksums)
        raise UserError(
            f"tables of {one.task.name!r} do not belong together: their rows or splits differ (checksums {said}); "
            "keep them in two databases"
        )


def _check_alike(one: CurveTable, other: CurveTable) -> None:
    check_same_rows(one, other)
    if one.space != other.space:
        raise UserError(
            f"tables of {one.task.name!r} cannot be merged: their spaces {one.space.name!r} and {other.space.name!r} differ; "
            "keep them in two databases"
        )
    _check_defects(one, other)
    if one.objective != other.objective:
        raise UserError(
            f"tables of {one.task.name!r} were recorded for {one.objective!r} and for {other.objective!r}: they cannot be merged"
        )


def _check_defects(one: CurveTable, other: CurveTable) -> None:
    if _said(one, "published_defects") != _said(other, "published_defects"):
        raise UserError(
            f"tables of {one.task.name!r} cannot be merged: one was recorded with LCBench's published defects, so that its columns mean "
            "something else; keep them in two databases"
        )


def _unit(tables: Sequence[CurveTable], metric: str) -> str:
    units = {table.units[table.plane(metric)] for table in tables if metric in table.metrics}
    if len(units) > 1:
        both = " and in ".join(sorted(units))
        raise UserError(f"{metric!r} on {tables[0].task.name!r} is stored in {both}: only tables of one unit can be merged")
    return units.pop()


def _length(tables: Sequence[CurveTable]) -> int:
    return max(table.n_entries for table in tables)


def _padded(values: NDArray[Any], length: int) -> NDArray[Any]:  # (…, T) -> (…, length)
    padding = [(0, 0)] * (values.ndim - 1) + [(0, length - values.shape[-1])]
    return np.pad(values, padding, constant_values=np.nan)


def _curves(tables: Sequence[CurveTable], metrics: Sequence[str]) -> NDArray[Any]:  # (M, n, T)
    dtype = np.result_type(*(table.curves.dtype for table in tables))
    curves = np.full((len(metrics), sum(map(len, tables)), _length(tables)), np.nan, dtype)
    start = 0
    for table in tables:
        rows = slice(start, start + len(table))
        for name in table.metrics:
            curves[metrics.index(name), rows, : table.n_entries] = table.curves[table.plane(name)]
        start = rows.stop
    return curves


def _config(tables: Sequence[CurveTable], name: str) -> Column:
    values = [value for table in tables for value in decode_column(table.configs[name])]
    return encode_column(tables[0].space[name], [{} if value is INACTIVE else {name: value} for value in values])


def _distinct(columns: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Rows that stay, in their order."""
    length, unfinished, success = columns["length"], *(columns["status"] == STATUSES.index(word) for word in (UNFINISHED, Status.SUCCESS))
    over = (length > columns["horizon"]) | ~(unfinished | success)  # nothing can follow: a run that grows may still say more of the others

    def worth(row: int) -> tuple[int, bool, bool]:
        return int(length[row]), bool(over[row]), not unfinished[row]

    best: dict[tuple[str, int, int], int] = {}
    names = zip(columns["key"].tolist(), columns["seed"].tolist(), columns["horizon"].tolist(), strict=True)
    for row, name in enumerate(names):
        if name not in best or worth(row) > worth(best[name]):
            best[name] = row
    return np.sort(np.fromiter(best.values(), np.int64, len(best)))


def _numbered(table: CurveTable) -> CurveTable:
    trials, keys = table.columns["trial"].tolist(), table.columns["key"].tolist()
    named = zip(trials, table.columns["seed"].tolist(), table.columns["horizon"].tolist(), strict=True)
    if len(set(named)) == len(table) and len(set(zip(trials, keys, strict=True))) == len(set(trials)):
        return table
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return replace(table, columns={**table.columns, "trial": np.array([numbers[key] for key in keys], np.int64)})


NOT_STATED = "not stated"
"""Stands for what a part does not say."""
OF_PARTS = " (of each part)"
"""Suffix of what the parts of a table do not agree on: a list of what each part says, each answer once."""


def _said(table: CurveTable, name: str) -> list[Any]:
    """What the parts of a table say."""
    return list(table.provenance.get(name + OF_PARTS, [table.provenance.get(name, NOT_STATED)]))


def _checksums(table: CurveTable) -> set[Any]:
    return set(_said(table, "table_crc32")) - {NOT_STATED}


def provenance_of_parts(tables: Sequence[CurveTable]) -> dict[str, Any]:
    """What all tables say alike; what they do not, as a list, with ``not stated`` for those that say nothing."""
    names = dict.fromkeys(name.removesuffix(OF_PARTS) for table in tables for name in table.provenance)
    found: dict[str, Any] = {}
    for name in names:
        said: list[Any] = []
        for table in tables:
            for value in _said(table, name):
                if value not in said:
                    said.append(value)
        found[name if len(said) == 1 else name + OF_PARTS] = said[0] if len(said) == 1 else said
    dates = [str(table.provenance["created"]) for table in tables if "created" in table.provenance]
    return found | ({"created": min(dates)} if dates else {})  # the recording began with the earliest part
