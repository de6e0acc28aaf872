"""The curve database on disk: tables of trainings to and from one HDF5 file in the layout of `schema.py`.

A file is written once, whole, and then replaces the old one; it is never open for writing under its own name, because
an HDF5 file whose writer was killed is usually unreadable. What grows during a run is a journal (`journal.py`).
"""

from __future__ import annotations

import difflib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from lcbench.checksums import crc_of_array, crc_of_attributes, crcs_of_rows
from lcbench.columns import Column
from lcbench.errors import UserError
from lcbench.files import check_room, replacing
from lcbench.header import attributes_of, from_plain, header_in
from lcbench.metric import SCALES
from lcbench.plane import Plane
from lcbench.schema import ATTRIBUTES, SCHEMA_VERSION, STATUSES, link, unlinked
from lcbench.table import NUMBERS, TEXTS, CurveTable

Layout = Literal["serving", "compressed"]
"""How the bytes lie; see `schema.py`."""

_FILE_OPTIONS: dict[str, Any] = {
    "libver": ("v110", "latest"),  # metadata and indices of blocks with checksums, for any HDF5 library since 2016
    "alignment_threshold": 1,
    "alignment_interval": 64,  # a memory-mapped dataset starts at a cache line
}
_SQUEEZED: dict[str, Any] = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
BLOCK = 32
"""Rows that are compressed together: so many are lost with a damaged byte."""
UNREADABLE = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError)
"""What h5py and the decoding below raise when a byte of the file is wrong."""


@dataclass(frozen=True)
class FittedModel:
    """A model that was fitted to one column of one table, as the database keeps it: arrays, and JSON about them."""

    task: str
    """Name of the task in the file, a fold other than 0 set off by ``@fold``."""
    space: str
    """Name of the space."""
    column: str
    """What it predicts, e.g. ``val_accuracy`` or ``seconds``."""
    arrays: Mapping[str, NDArray[Any]]
    """Whatever the model needs."""
    about: Mapping[str, Any]
    """In JSON types: kind, version, quality report."""


def write_curves(
    path: str | PathLike[str], tables: Iterable[CurveTable], *, layout: Layout = "serving", models: Iterable[FittedModel] = ()
) -> None:
    """Write a database of `tables`, and of models fitted to them, to `path`: all of it or, if anything fails, nothing.

    Both may come from generators; only one of them is held at a time.

    Raises:
        UserError: if two tables have the same task, fold and space.
    """
    with replacing(Path(path)) as temporary, h5py.File(temporary, "w", **_FILE_OPTIONS) as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        names: list[tuple[str, str]] = []
        for table in tables:
            name = group_name(table)
            names.append(names_of(table))
            if name in file:
                raise UserError(f"two tables are called {name}, but a database holds one per task, fold and space: merge their trainings")
            check_room(temporary, table.curves.nbytes + table.seconds.nbytes, table.task.name)
            _write_table(file.create_group(name), table, squeezed=layout == "compressed")
        file.attrs["tables"] = encode_texts([json.dumps(sorted(names))])[0]
        for model in models:
            _write_model(file, model)


def read_curves(path: str | PathLike[str]) -> list[CurveTable]:
    """Read every table of a database into memory, every byte checked, in the order of their names.

    Raises:
        UserError: if the file is missing, is no curve database, is damaged, or has another schema version.
    """
    with opened(Path(path)) as file:
        return [read_table(group) for group in groups(file)]


def names_of(table: CurveTable) -> tuple[str, str]:
    """Task and space under which a table stands in its file; a fold other than 0 is set off by ``@fold``."""
    fold = f"@fold{table.task.fold}" if table.task.fold else ""
    return table.task.name + fold, str(table.space.name)


def table_path(task: str, space: str) -> str:
    """Where a table stands in its file, by the names of `names_of`."""
    return f"/tables/{link(task)}/{link(space)}"


def group_name(table: CurveTable) -> str:
    """Where a table stands in its file."""
    return table_path(*names_of(table))


# ---------------------------------------------------------------------------------------------------------------- write


def _write_table(group: h5py.Group, table: CurveTable, *, squeezed: bool) -> None:
    attributes = attributes_of(table)
    for name, value in attributes.items():
        group.attrs[name] = encode_texts(value) if isinstance(value, list) else encode_texts([value])[0]
    group.attrs["crc32"] = crc_of_attributes(attributes)
    n, t = table.seconds.shape
    rows = min(n, BLOCK)
    put(group, "curves", table.curves.astype(table.curves.dtype.newbyteorder("<"), copy=False), (1, rows, t) if squeezed else None)
    put(group, "seconds", table.seconds.astype("<f8", copy=False), (rows, t) if squeezed else None)
    for name, dtype in NUMBERS.items():
        put(group, name, table.columns[name].astype(dtype))
    for name in TEXTS:  # one long traceback makes a wide column of errors, which is almost all padding
        put(group, name, encode_texts(table.columns[name].tolist()), (rows,) if name == "error" else None)
    group["status"].attrs["names"] = encode_texts(STATUSES)
    for name, column in table.configs.items():
        values = column.values.astype("<f8") if column.values.dtype.kind == "f" else encode_texts(column.values.tolist())
        put(group, f"configs/{link(name)}", values).attrs["kind"] = encode_texts([column.kind])[0]
    for name, values in table.results.items():
        put(group, f"results/{link(name)}", values.astype("<f8"))
    put(group, "row_crc32", crcs_of_rows(table))


def _write_model(file: h5py.File, model: FittedModel) -> None:
    columns = file.require_group(f"/models/{link(model.task)}/{link(model.space)}")
    group = columns.create_group(link(model.column))
    text = json.dumps(model.about)
    group.create_dataset("about", data=np.frombuffer(text.encode(), np.uint8)).attrs["crc32"] = crc_of_attributes({"about": text})
    for name, values in model.arrays.items():
        path = f"arrays/{link(name)}"
        same = next((other[path] for other in columns.values() if path in other and _equal(other[path], values)), None)
        if same is None:
            put(group, path, values)
        else:
            group[path] = same  # the configurations are those of every column: a hard link


def _equal(dataset: h5py.Dataset, values: NDArray[Any]) -> bool:
    return (dataset.dtype, dataset.shape) == (values.dtype, values.shape) and dataset[...].tobytes() == values.tobytes()


def put(group: h5py.Group, name: str, data: NDArray[Any], chunks: tuple[int, ...] | None = None) -> h5py.Dataset:
    """Write one array with the checksum of its bytes; compressed in `chunks`, or as it is without."""
    options = {**_SQUEEZED, "chunks": chunks} if chunks and data.size else {}
    dataset = group.create_dataset(name, data=data, **options)
    dataset.attrs["crc32"] = crc_of_array(data)
    return dataset


def encode_texts(texts: Sequence[str]) -> NDArray[np.bytes_]:
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
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a database for reading; whatever h5py says of a damaged file becomes one sentence."""
    if not path.is_file():
        raise UserError(f"there is no curve database {path}; `python -m lcbench info PATH` shows what a file or run directory holds")
    try:
        with h5py.File(path, "r") as file:
            _check_version(path, file.attrs.get("schema_version"))
            yield file
    except UserError:
        raise
    except UNREADABLE as error:
        if _first_bytes(path) != b"\x89HDF\r\n\x1a\n":
            raise UserError(f"{path} is not an HDF5 file, but must be a curve database, e.g. the curves.h5 of a run") from error
        raise UserError(f"{path} is damaged or cut short ({error}); {remedy(path)}") from error


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _check_version(path: Path, version: Any) -> None:
    if version is None:
        raise UserError(f"{path} is an HDF5 file, but not a curve database: it lacks the attribute `schema_version`")
    if version > SCHEMA_VERSION:
        raise UserError(f"{path} has schema version {version}, but this code reads {SCHEMA_VERSION}; update it: `pip install -U -e .`")
    if version < SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, but this code reads {SCHEMA_VERSION}; "
            f"`python -m lcbench repair {path.parent}` makes the curves.h5 of a run anew from its journals"
        )


def remedy(path: Path) -> str:
    """What to do with a damaged database."""
    return f"`python -m lcbench repair {path}` rescues every undamaged training; a run's curves.h5 is rebuilt from its journals"


def table_names(file: h5py.File) -> list[tuple[str, str]]:
    """(task, space) of every table, in the order of their groups."""
    if "tables" in file.attrs:
        return [(task, space) for task, space in json.loads(decode_text(file.attrs["tables"]))]
    return [(unlinked(task), unlinked(space)) for task in file.get("tables", {}) for space in file["tables"][task]]


def groups(file: h5py.File) -> list[h5py.Group]:
    """The group of every table, in the order of their names."""
    return [group for task in file["tables"].values() for group in task.values()] if "tables" in file else []


def model_groups(file: h5py.File) -> list[h5py.Group]:
    """The group of every model, in the order of their names."""
    tasks = file["models"].values() if "models" in file else ()
    return [group for task in tasks for space in task.values() for group in space.values()]


def read_model(group: h5py.Group) -> FittedModel:
    """One model, every byte checked.

    Raises:
        UserError: if it is damaged.
    """
    _, _, task, space, column = (unlinked(part) for part in group.name.split("/"))
    text = bytes(group["about"][...]).decode()
    if crc_of_attributes({"about": text}) != group["about"].attrs["crc32"]:
        raise UserError(
            f"{group.file.filename}: the checksum of {group.name} does not fit; fit it again: `python -m lcbench fit-surrogate`"
        )
    about = json.loads(text)
    return FittedModel(task, space, column, {unlinked(name): checked(group, f"arrays/{name}") for name in group.get("arrays", ())}, about)


def read_table(group: h5py.Group, *, mapped: bool = False) -> CurveTable:
    """One table; with `mapped`, contiguous curves and seconds stay in the file, unchecked, and are mapped into memory.

    Raises:
        UserError, ValueError: if the table is damaged.
    """
    header = header_in(checked_attributes(group))
    empty = from_plain(header)
    payload = mapped_dataset if mapped else checked
    table = CurveTable(
        task=empty.task,
        space=empty.space,
        objective=empty.objective,
        provenance=empty.provenance,
        metrics=tuple(header["metrics"]),
        units=tuple(header["units"]),
        curves=payload(group, "curves"),
        seconds=payload(group, "seconds"),
        columns=_read_columns(group),
        configs={name: _read_config(group, name) for name in empty.space},
        results={name: checked(group, f"results/{link(name)}") for name in header["results"]},
    )
    if group.name != group_name(table):
        raise ValueError(f"the table at {group.name} says that it is {group_name(table)}")
    return table


def read_plane(group: h5py.Group, metric: str) -> Plane:
    """One metric of a table, mapped into memory; only the attributes are read.

    Raises:
        UserError: if the metric was not recorded, or the attributes are damaged.
    """
    attributes = checked_attributes(group)
    names = attributes["metrics"]
    if metric not in names:
        near = difflib.get_close_matches(metric, names, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UserError(f"`metric` is {metric!r}, but {group.name} has {', '.join(names)}{hint}")
    m = names.index(metric)
    return Plane(_mapped_for_look_ups(group["curves"])[m], scale=SCALES.get(attributes["units"][m], 1.0))


def _mapped_for_look_ups(dataset: h5py.Dataset) -> NDArray[Any]:
    """A dataset where it lies in the file, for single look-ups: the system reads the pages that are asked for, and none ahead."""
    offset = dataset.id.get_offset()
    if offset is None:  # compressed, or empty
        return dataset[...]
    with Path(dataset.file.filename).open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)  # reading ahead cost 7 ms of a first look-up where the system reads 8 MB ahead
    return np.frombuffer(mapping, dataset.dtype, dataset.size, offset).reshape(dataset.shape)


def _read_columns(group: h5py.Group) -> dict[str, NDArray[Any]]:
    columns = {name: checked(group, name) for name in (*NUMBERS, *TEXTS)}
    names = decode_text(group["status"].attrs["names"])
    if names != list(STATUSES):  # another writer may count otherwise
        columns["status"] = np.array([STATUSES.index(names[status]) for status in columns["status"]], NUMBERS["status"])
    return columns


def _read_config(group: h5py.Group, name: str) -> Column:
    path = f"configs/{link(name)}"
    return Column(decode_text(group[path].attrs["kind"]), checked(group, path))


def mapped_dataset(group: h5py.Group, name: str) -> NDArray[Any]:
    """One dataset where it lies in the file, unchecked; a compressed one is read and checked."""
    dataset = group[name]
    offset = dataset.id.get_offset()
    if offset is None:  # compressed, or empty
        return checked(group, name)
    mapping = np.memmap(group.file.filename, dataset.dtype, "r", offset, dataset.shape)
    return mapping.view(np.ndarray)  # the subclass would slow every look-up down


def checked(group: h5py.Group, name: str) -> NDArray[Any]:
    """Read one dataset, in native types.

    Raises:
        UserError: if it is missing, unreadable, or not what was written.
    """
    path = Path(group.file.filename)
    try:
        dataset = group[name]
        data = dataset[...]
        is_whole = crc_of_array(data) == dataset.attrs["crc32"]
    except UNREADABLE as error:
        raise UserError(f"{path}: the dataset {group.name}/{name} is unreadable ({error}); {remedy(path)}") from error
    if not is_whole:
        raise UserError(f"{path}: the checksum of the dataset {group.name}/{name} does not fit; {remedy(path)}")
    return data if data.dtype.kind != "S" else decode_texts(data)


def decode_texts(data: NDArray[np.bytes_]) -> NDArray[Any]:
    """The inverse of `encode_texts`."""
    return np.array([text.decode() for text in data.tolist()], object)


def checked_attributes(group: h5py.Group) -> dict[str, Any]:
    """The attributes of a table.

    Raises:
        UserError: if they are not what was written.
    """
    path = Path(group.file.filename)
    attributes = {name: decode_text(group.attrs[name]) for name in ATTRIBUTES if name in group.attrs and name != "crc32"}
    if crc_of_attributes(attributes) != group.attrs["crc32"]:
        raise UserError(f"{path}: the checksum of the attributes of {group.name} does not fit; {remedy(path)}")
    return attributes


def decode_text(attribute: Any) -> Any:
    """One text, or a list of texts; also of variable width, as other programs write them."""
    if np.ndim(attribute) > 0:
        return [decode_text(text) for text in attribute]
    return attribute if isinstance(attribute, str) else bytes(attribute).decode()
