"""The curve database on disk: tables of trainings to and from one HDF5 file in the layout of `schema.py`.

A file is written once, whole, and then replaces the old one; it is never open for writing under its own name, because
an HDF5 file whose writer was killed is usually unreadable. What grows during a run is a journal (`journal.py`).
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from lcbench.columns import INACTIVE, Column, decode_column, encode_column
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.header import from_plain, to_plain
from lcbench.schema import ATTRIBUTES, DATASETS, SCHEMA_VERSION, STATUSES, link
from lcbench.training import CurveTable, Training

_FILE_OPTIONS: dict[str, Any] = {
    "libver": ("v108", "latest"),  # metadata with checksums, for any HDF5 library since 2008
    "alignment_threshold": 512,
    "alignment_interval": 64,  # a memory-mapped dataset starts at a cache line
}
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, MemoryError)
"""What h5py and the decoding below raise when a byte of the file is wrong."""

_TEXTS_OF_PROVENANCE = ("created", "licence")
_JSONS_OF_PROVENANCE = ("versions", "host")


def write_curves(path: str | PathLike[str], tables: Iterable[CurveTable]) -> None:
    """Write a database of `tables` to `path`: all of it or, if anything fails, nothing.

    Values are stored as float32 (beyond its range they become infinite); everything else is exact.

    Raises:
        UserError: if two tables have the same task, fold and space.
    """
    with replacing(Path(path)) as temporary, h5py.File(temporary, "w", **_FILE_OPTIONS) as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        for table in tables:
            name = group_name(table)
            if name in file:
                raise UserError(f"two tables are called {name}, but a database holds one per task, fold and space: merge their trainings")
            _write_table(file.create_group(name), table)


def read_curves(path: str | PathLike[str]) -> list[CurveTable]:
    """Read every table of a database, in the order of their names.

    Raises:
        UserError: if the file is missing, is no curve database, is damaged, or is newer than this code.
    """
    with _opened(Path(path)) as file:
        return [_read_table(group) for group in _groups(file)]


def verify_curves(path: str | PathLike[str]) -> list[str]:
    """Read everything and name every problem; an empty list means that the database is whole."""
    try:
        with _opened(Path(path)) as file:
            return [problem for group in _groups(file) for problem in _problems(group)]
    except UserError as error:
        return [str(error)]


def group_name(table: CurveTable) -> str:
    """Where a table stands in its file; a fold other than 0 is set off by ``@fold``."""
    fold = f"@fold{table.task.fold}" if table.task.fold else ""
    return f"/tables/{link(table.task.name + fold)}/{link(table.space.name)}"


# ---------------------------------------------------------------------------------------------------------------- write


def _write_table(group: h5py.Group, table: CurveTable) -> None:
    attributes = _attributes(table)
    for name, value in attributes.items():
        group.attrs[name] = _texts(value) if isinstance(value, list) else _texts([value])[0]
    group.attrs["crc32"] = _crc_of_attributes(attributes)
    curves, seconds = _planes(table)
    rows = table.trainings
    columns: dict[str, Any] = {
        "curves": curves,
        "seconds": seconds,
        "length": [len(row.curve) for row in rows],
        "status": [STATUSES.index(row.status) for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in _PLAIN_COLUMNS},
    }
    for name, values in columns.items():
        _put(group, name, values, _DTYPES[name])
    group["status"].attrs["names"] = _texts(STATUSES)
    for name in table.space:
        column = encode_column(table.space[name], [row.configuration for row in rows])
        dtype = "<f8" if column.kind in ("integer", "float") else "text"
        _put(group, f"configs/{link(name)}", column.values, dtype).attrs["kind"] = _texts([column.kind])[0]


_DTYPES = {dataset.path: dataset.dtype for dataset in DATASETS}
_PLAIN_COLUMNS = ("trial", "seed", "horizon", "error", "key", "origin", "n_parameters")
"""Fields of a training that are columns as they are."""


def _attributes(table: CurveTable) -> dict[str, str | list[str]]:
    header = to_plain(table)
    origin = dict(table.provenance)
    texts = {name: origin.pop(name) for name in _TEXTS_OF_PROVENANCE if isinstance(origin.get(name), str)}
    jsons = {name: json.dumps(origin.pop(name)) for name in _JSONS_OF_PROVENANCE if name in origin}
    return {
        "task": json.dumps(header["task"]),
        "space": json.dumps(header["space"]),
        "metrics": list(table.metrics),
        "objective": table.objective,
        "split": table.task.split,
        **texts,
        **jsons,
        "notes": json.dumps(origin),
    }


def _planes(table: CurveTable) -> tuple[NDArray[np.float32], NDArray[np.float64]]:  # (M, n, T), (n, T)
    n, t = len(table.trainings), table.n_entries
    curves = np.full((len(table.metrics), n, t), np.nan, np.float32)
    seconds = np.full((n, t), np.nan)
    with np.errstate(over="ignore"):
        for i, row in enumerate(table.trainings):
            seconds[i, : len(row.curve)] = row.curve.seconds
            for m, values in enumerate(row.curve.values.values()):
                curves[m, i, : len(row.curve)] = values
    return curves, seconds


def _put(group: h5py.Group, name: str, values: Any, dtype: str) -> h5py.Dataset:
    # One long traceback makes a wide column of errors, which is almost all padding: that one is compressed.
    data = _texts(values) if dtype == "text" else np.ascontiguousarray(values, dtype)
    dataset = group.create_dataset(name, data=data, compression="gzip" if name == "error" and data.size else None)
    dataset.attrs["crc32"] = _crc(data)
    return dataset


def _texts(texts: Sequence[str]) -> NDArray[np.bytes_]:
    """Texts as UTF-8 of one width, padded with NUL.

    Variable-length texts would lie in HDF5's global heap, which has no checksums: a damaged byte there sent the HDF5
    library into an endless loop (tests/lcbench/test_store.py flips bytes).
    """
    if any("\0" in text for text in texts):
        raise ValueError(f"texts with NUL characters cannot be stored: {[text for text in texts if chr(0) in text]}")
    encoded = [text.encode() for text in texts]
    return np.array(encoded, h5py.string_dtype("utf-8", max(map(len, encoded), default=0) or 1))


# ----------------------------------------------------------------------------------------------------------------- read


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a database for reading; whatever h5py says of a damaged file becomes one sentence."""
    if not path.is_file():
        raise UserError(f"there is no curve database {path}; `python -m lcbench info DIR` shows what a run directory holds")
    try:
        with h5py.File(path, "r") as file:
            _check_version(path, file.attrs.get("schema_version"))
            yield file
    except UserError:
        raise
    except _UNREADABLE as error:
        if path.read_bytes()[:8] != b"\x89HDF\r\n\x1a\n":
            raise UserError(f"{path} is not an HDF5 file, but must be a curve database, e.g. the curves.h5 of a run") from error
        raise UserError(f"{path} is damaged or cut short ({error}); {_remedy(path)}") from error


def _check_version(path: Path, version: Any) -> None:
    if version is None:
        raise UserError(f"{path} is an HDF5 file, but not a curve database: it lacks the attribute `schema_version`")
    if not 1 <= version <= SCHEMA_VERSION:
        raise UserError(f"{path} has schema version {version}, but this code reads 1..{SCHEMA_VERSION}; update it: `pip install -U -e .`")


def _remedy(path: Path) -> str:
    return f"rebuild it from the journals of its run by `python -m lcbench repair {path.parent}`, or fetch it again"


def _groups(file: h5py.File) -> list[h5py.Group]:
    return [group for task in file["tables"].values() for group in task.values()] if "tables" in file else []


def _read_table(group: h5py.Group) -> CurveTable:
    attributes = _checked_attributes(group)
    origin = {name: attributes[name] for name in _TEXTS_OF_PROVENANCE if name in attributes}
    origin |= {name: json.loads(attributes[name]) for name in _JSONS_OF_PROVENANCE if name in attributes}
    header = {
        "task": json.loads(attributes["task"]),
        "space": json.loads(attributes["space"]),
        "objective": attributes["objective"],
        "provenance": origin | json.loads(attributes["notes"]),
    }
    table = from_plain(header)
    table = dataclasses.replace(table, trainings=_read_rows(group, table.space, attributes["metrics"]))
    if group.name != group_name(table):
        raise ValueError(f"the table at {group.name} says that it is {group_name(table)}")
    return table


def _read_rows(group: h5py.Group, space: ConfigurationSpace, metrics: Sequence[str]) -> tuple[Training, ...]:
    plain = {name: _checked(group, name).tolist() for name in _PLAIN_COLUMNS}
    statuses = _text(group["status"].attrs["names"])
    curves = _curves(_checked(group, "curves"), _checked(group, "seconds"), _checked(group, "length"), metrics)
    rows = zip(_checked(group, "status"), _configurations(group, space, len(curves)), curves, strict=True)
    return tuple(
        Training(status=statuses[status], configuration=configuration, curve=curve, **{name: plain[name][i] for name in plain})
        for i, (status, configuration, curve) in enumerate(rows)
    )


def _curves(
    planes: NDArray[np.float32], seconds: NDArray[np.float64], lengths: NDArray[np.int32], metrics: Sequence[str]
) -> list[LearningCurve]:
    if planes.shape != (len(metrics), *seconds.shape) or len(lengths) != len(seconds):
        raise ValueError(f"`curves` is {planes.shape}, `seconds` {seconds.shape}, `length` {lengths.shape}, with {len(metrics)} metrics")
    return [
        LearningCurve(np.arange(n), seconds[i, :n], dict(zip(metrics, planes[:, i, :n].astype(np.float64), strict=True)))
        for i, n in enumerate(lengths)
    ]


def _configurations(group: h5py.Group, names: Iterable[str], n: int) -> list[dict[str, Any]]:
    configurations: list[dict[str, Any]] = [{} for _ in range(n)]
    for name in names:
        path = f"configs/{link(name)}"
        values = decode_column(Column(_text(group[path].attrs["kind"]), _checked(group, path)))
        for configuration, value in zip(configurations, values, strict=True):
            if value is not INACTIVE:
                configuration[name] = value
    return configurations


# --------------------------------------------------------------------------------------------------------------- verify


def _checked(group: h5py.Group, name: str) -> NDArray[Any]:
    """Read one dataset, in native types.

    Raises:
        UserError: if it is missing, unreadable, or not what was written.
    """
    path = Path(group.file.filename)
    try:
        dataset = group[name]
        data = dataset[...]
        is_whole = _crc(data) == dataset.attrs["crc32"]
    except _UNREADABLE as error:
        raise UserError(f"{path}: the dataset {group.name}/{name} is unreadable ({error}); {_remedy(path)}") from error
    if not is_whole:
        raise UserError(f"{path}: the checksum of the dataset {group.name}/{name} does not fit; {_remedy(path)}")
    return data if data.dtype.kind != "S" else np.array([text.decode() for text in data.tolist()], object)


def _checked_attributes(group: h5py.Group) -> dict[str, Any]:
    path = Path(group.file.filename)
    attributes = {name: _text(group.attrs[name]) for name in ATTRIBUTES if name in group.attrs and name != "crc32"}
    if _crc_of_attributes(attributes) != group.attrs["crc32"]:
        raise UserError(f"{path}: the checksum of the attributes of {group.name} does not fit; {_remedy(path)}")
    return attributes


def _text(attribute: Any) -> Any:
    """One text, or a list of texts; also of variable width, as other programs write them."""
    if np.ndim(attribute) > 0:
        return [_text(text) for text in attribute]
    return attribute if isinstance(attribute, str) else bytes(attribute).decode()


def _crc(data: NDArray[Any]) -> int:
    little_endian = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    return zlib.crc32(little_endian.reshape(-1).view(np.uint8).data)


def _crc_of_attributes(attributes: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(attributes, sort_keys=True).encode())


def _problems(group: h5py.Group) -> list[str]:
    """Every dataset that is not what was written; if all are, whatever keeps them from being one table."""
    found = []
    datasets: list[str] = []
    group.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in datasets:
        try:
            _checked(group, name)
        except UserError as error:
            found.append(str(error))
    if not found:
        try:
            _read_table(group)
        except _UNREADABLE as error:
            found.append(str(error) if isinstance(error, UserError) else f"{group.file.filename}: {group.name} is no table: {error}")
    return found
