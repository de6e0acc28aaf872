"""What is wrong with a database, to the byte, and what of a damaged one can be rescued."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lcbench.checksums import crcs_of_rows
from lcbench.columns import Column
from lcbench.errors import UserError
from lcbench.files import keep_aside
from lcbench.header import from_plain, header_in
from lcbench.schema import STATUSES, link
from lcbench.store import (
    UNREADABLE,
    FittedModel,
    Layout,
    checked,
    checked_attributes,
    decode_text,
    groups,
    model_groups,
    names_of,
    opened,
    read_model,
    read_table,
    remedy,
    table_names,
    table_path,
    write_curves,
)
from lcbench.table import NUMBERS, TEXTS, CurveTable


def verify_curves(path: str | PathLike[str]) -> list[str]:
    """Read everything and name every problem; an empty list means that the database is whole."""
    try:
        with opened(Path(path)) as file:
            found = [problem for group in groups(file) for problem in _problems(group)]
            there = sorted(group.name for group in groups(file))
            if sorted(table_path(*name) for name in table_names(file)) != there:
                found.append(f"{path}: the list of its tables is not what it holds: {', '.join(there)}; {remedy(Path(path))}")
            return found + [problem for group in model_groups(file) for problem in _model_problems(group)]
    except UserError as error:
        return [str(error)]


def _problems(group: h5py.Group) -> list[str]:
    """Every dataset that is not what was written; if all are, whatever keeps them from being one table."""
    found = []
    datasets: list[str] = []
    group.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in datasets:
        try:
            checked(group, name)
        except UserError as error:
            found.append(str(error))
    if not found:
        try:
            if not np.array_equal(crcs_of_rows(read_table(group)), checked(group, "row_crc32")):
                found.append(f"{group.file.filename}: the rows of {group.name} do not fit their checksums")
        except UNREADABLE as error:
            found.append(str(error) if isinstance(error, UserError) else f"{group.file.filename}: {group.name} is no table: {error}")
    return found


def _model_problems(group: h5py.Group) -> list[str]:
    try:
        read_model(group)
    except UNREADABLE as error:
        return [str(error) if isinstance(error, UserError) else f"{group.file.filename}: {group.name} is no model: {error}"]
    return []


def repair_curves(path: str | PathLike[str]) -> list[str]:
    """Rescue every undamaged training of a database, and say what was done, a sentence each; the original is kept aside.

    A row counts as undamaged if all its checksums fit (dataset ``row_crc32``); in the compressed layout a damaged byte costs
    a block of rows. A metric of which no row is left is dropped instead of every row. The layout stays.

    Raises:
        UserError: if the file cannot be opened as a database at all, or nothing in it can be rescued.
    """
    path = Path(path)
    if not verify_curves(path):
        return []
    try:
        tables, models, done, layout = _rescue(path)
    except UserError as error:
        if "schema version" in str(error):  # it is whole, and of other code
            raise
        reason = str(error).partition(";")[0]
        raise UserError(
            f"{reason}, and what HDF5 needs to find its way in it is lost: it cannot be repaired; fetch or copy it again "
            f"(a run's curves.h5 is made anew by `python -m lcbench repair {path.parent}`)"
        ) from None
    if not tables:
        raise UserError(f"nothing in {path} can be rescued: {'; '.join(done) or 'it has no table'}; fetch it again")
    there = {names_of(table) for table in tables}
    done += [f"/models/{m.task}/{m.space}/{m.column}: dropped with its table" for m in models if (m.task, m.space) not in there]
    kept = keep_aside(path)
    write_curves(path, tables, layout=layout, models=[model for model in models if (model.task, model.space) in there])
    return [*done, f"{path}: written anew, the damaged one is {kept.name}"]


def _rescue(path: Path) -> tuple[list[CurveTable], list[FittedModel], list[str], Layout]:
    """Every table and model that can be told from damage, what is said about them, and the layout of the file."""
    tables: list[CurveTable] = []
    models: list[FittedModel] = []
    done: list[str] = []
    layout: Layout = "serving"
    with opened(path) as file:
        for group in groups(file):
            try:
                table, sentence = _rescued(group)
            except UNREADABLE as error:
                done.append(f"{group.name}: lost, nothing in it can be told from damage ({error})")
                continue
            tables.append(table)
            done.append(f"{group.name}: {sentence}")
            layout = "compressed" if group["curves"].chunks else layout
        for group in model_groups(file):
            if _model_problems(group):
                done.append(f"{group.name}: a damaged model was dropped, fit it again: `python -m lcbench fit-surrogate {path}`")
            else:
                models.append(read_model(group))
    return tables, models, done, layout


def _rescued(group: h5py.Group) -> tuple[CurveTable, str]:
    damaged = {name for name in _names(group) if not _is_whole(group, name)}
    if not damaged:
        return read_table(group), "whole"
    table = _loosely_read(group)
    if damaged == {"row_crc32"}:
        return table, "whole but for its checksums, which were made anew"
    bad = crcs_of_rows(table) != group["row_crc32"][...]  # (M + 1, n)
    lost_planes = bad[:-1].all(axis=1) if len(table) else np.zeros(len(table.metrics), bool)
    good_rows = ~bad[np.append(~lost_planes, True)].any(axis=0)
    kept = table.take(np.flatnonzero(good_rows), [name for name, lost in zip(table.metrics, lost_planes, strict=True) if not lost])
    return kept, _sentence(table, good_rows, lost_planes)


def _sentence(table: CurveTable, good_rows: NDArray[np.bool_], lost_planes: NDArray[np.bool_]) -> str:
    parts = [f"{good_rows.sum()} of {len(table)} trainings kept"]
    if not good_rows.all():
        dropped = np.flatnonzero(~good_rows)
        shown = ", ".join(map(str, dropped[:8])) + (", …" if len(dropped) > 8 else "")
        parts.append(f"dropped row{'s' * (len(dropped) > 1)} {shown}")
    if lost_planes.any():
        parts.append(f"lost metrics {', '.join(name for name, lost in zip(table.metrics, lost_planes, strict=True) if lost)}")
    return ", ".join(parts)


def _names(group: h5py.Group) -> list[str]:
    names: list[str] = []
    group.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _is_whole(group: h5py.Group, name: str) -> bool:
    try:
        checked(group, name)
    except UserError:
        return False
    return True


def _loosely_read(group: h5py.Group) -> CurveTable:
    """The table as far as its bytes can be read, right or wrong; planes that cannot be read are NaN."""
    header = header_in(checked_attributes(group))
    empty = from_plain(header)
    configs = {}
    for name in empty.space:
        dataset = group[f"configs/{link(name)}"]
        configs[name] = Column(decode_text(dataset.attrs["kind"]), _loosely(dataset))
    columns = {name: _loosely(group[name]) for name in (*NUMBERS, *TEXTS)}
    if decode_text(group["status"].attrs["names"]) != list(STATUSES):
        raise ValueError("its statuses are numbered in another way")
    return CurveTable(
        task=empty.task,
        space=empty.space,
        objective=empty.objective,
        provenance=empty.provenance,
        metrics=tuple(header["metrics"]),
        units=tuple(header["units"]),
        curves=_readable(group["curves"], axis=1),
        seconds=_readable(group["seconds"]),
        columns=columns,
        configs=configs,
        results={name: group[f"results/{link(name)}"][...] for name in header["results"]},
    )


def _loosely(dataset: h5py.Dataset) -> NDArray[Any]:
    data = _readable(dataset)
    if data.dtype.kind != "S":
        return data
    return np.array([text.decode(errors="replace") for text in data.tolist()], object)


def _readable(dataset: h5py.Dataset, axis: int = 0) -> NDArray[Any]:
    """What can be read, block by block along the rows; the rest is NaN, or empty, and fits no checksum."""
    if dataset.chunks is None:
        return dataset[...]
    data = np.full(dataset.shape, np.nan if dataset.dtype.kind == "f" else b"", dataset.dtype)
    for plane in np.ndindex(dataset.shape[:axis]):
        for start in range(0, dataset.shape[axis], dataset.chunks[axis]):
            part = (*plane, slice(start, start + dataset.chunks[axis]))
            try:
                data[part] = dataset[part]
            except OSError:
                continue
    return data
