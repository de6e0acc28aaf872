"""Curve tables as one tidy table for everybody's tools: CSV (.csv, .csv.gz) or Parquet (.parquet), and back.

One row per entry of a curve: (task, fold, space, training, epoch). A training without a single entry has one row, without
epoch and values, so that no failure is lost. Columns, in this order:

    task, fold, space, training    which table, and the number of the training in it
    trial, seed, horizon, status, error, key, origin, n_parameters      as in `schema.DATASETS`
    epoch, seconds                 0 is the untrained network; cumulative seconds
    <hyperparameter>               of every space, empty where it is inactive or the space does not have it
    <metric>                       in the unit of the metric, whatever a table stores: accuracies are fractions
    <result>                       further scalars of the training, repeated on each of its rows

A name that stands further left already gets an ending that says what it is (``learning_rate_measured``). What is not rows
(task, space, units, provenance) is JSON: in the metadata of a Parquet file under `METADATA`, beside a CSV file in
``<name>.json``. So `read_frame` is the inverse of `export_frame`; only a float64 table in percent may differ in the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lcbench.columns import Column, Kind
from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.header import from_plain, to_plain
from lcbench.metric import SCALES, unit_of
from lcbench.schema import DATASETS, STATUSES
from lcbench.table import NUMBERS, TEXTS, CurveTable

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = b"lcbench"
"""Key of the JSON in the metadata of a Parquet file."""
SUFFIXES = (".parquet", ".csv", ".csv.gz")
"""Endings of the files that can be written and read."""
Role = Literal["table", "training", "epoch", "config", "metric", "result"]
"""What a column says."""

_ROWS = 100_000  # at a time: some tens of MB
_ENDINGS = {"config": "_config", "metric": "_measured", "result": "_result"}
_ABOUT = {dataset.path: dataset for dataset in DATASETS}


@dataclass(frozen=True)
class FrameColumn:
    """One column of the file."""

    role: Role
    """What it says."""
    source: str
    """Name of the hyperparameter, metric, … that it holds."""
    kind: Kind
    """How values are written: integer, float, text as it is, or the JSON of a value."""
    unit: str
    """Unit of the values, empty where there is none."""
    meaning: str
    """What a value says."""
    name: str = ""
    """Its name in the file."""


_FIXED = (
    FrameColumn("table", "task", "text", "", "name of the task"),
    FrameColumn("table", "fold", "integer", "", "fold of the task's own split"),
    FrameColumn("table", "space", "text", "", "name of the search space"),
    FrameColumn("table", "training", "integer", "", "number of the training in its table, counted from 0"),
    *(
        FrameColumn("training", name, "text" if name in (*TEXTS, "status") else "integer", _ABOUT[name].unit, _ABOUT[name].meaning)
        for name in ("trial", "seed", "horizon", "status", "error", "key", "origin", "n_parameters")
    ),
    FrameColumn("epoch", "epoch", "integer", "epochs", "number of epochs trained; 0 is the untrained network"),
    FrameColumn("epoch", "seconds", "float", "s", _ABOUT["seconds"].meaning),
)


def export_frame(tables: Iterable[CurveTable], path: Path) -> None:
    """Write tables to `path`, all of them or nothing; its ending chooses the format.

    Rows are written in blocks, so that of a `Database`, whose tables stay in its file, little is in memory at a time.

    Raises:
        UserError: if the ending is none of `SUFFIXES`.
    """
    path = Path(path)
    suffix = _suffix(path)
    tables = tables if iter(tables) is not tables else list(tables)  # they are gone through several times
    columns = frame_columns(tables)
    header = json.dumps({"columns": [asdict(column) for column in columns], "tables": [_header(table) for table in tables]})
    with replacing(path) as temporary, _writing(temporary, suffix, columns, header) as write:
        for table in tables:
            n_blocks = 1 + len(table) * table.n_entries // _ROWS
            for rows in np.array_split(np.arange(len(table)), n_blocks):
                write(_batch(_Entries.of(table, rows), columns))
    if suffix != ".parquet":
        with replacing(_beside(path)) as temporary:
            temporary.write_text(header, encoding="utf-8")


def frame_columns(tables: Iterable[CurveTable]) -> list[FrameColumn]:
    """The columns of the file that these tables make, in their order."""
    kinds: dict[str, set[Kind]] = {}
    units: dict[str, str] = {}
    results: dict[str, None] = {}
    for table in tables:
        for name, values in table.configs.items():
            kinds.setdefault(name, set()).add(values.kind)
        units |= {name: unit_of(name) if unit in SCALES else unit for name, unit in zip(table.metrics, table.units, strict=True)}
        results |= dict.fromkeys(table.results)
    found = [
        *_FIXED,
        *(FrameColumn("config", name, _common(kind), "", f"hyperparameter {name}") for name, kind in kinds.items()),
        *(FrameColumn("metric", name, "float", unit, f"{name} after this epoch") for name, unit in units.items()),
        *(FrameColumn("result", name, "float", "", f"{name} of the training, as its source gave it") for name in results),
    ]
    columns: dict[str, FrameColumn] = {}
    for column in found:
        name = column.source
        while name in columns:
            name += _ENDINGS[column.role]
        columns[name] = FrameColumn(**{**asdict(column), "name": name})
    return list(columns.values())


def _common(kinds: set[Kind]) -> Kind:
    """The kind that can hold the values of a hyperparameter in all tables."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "float" if kinds == {"integer", "float"} else "json"


def _header(table: CurveTable) -> dict[str, Any]:
    """What is not rows."""
    lengths = table.columns["length"]
    return to_plain(table) | {
        "metrics": table.metrics,
        "units": table.units,
        "results": list(table.results),
        "kinds": {name: column.kind for name, column in table.configs.items()},
        "dtype": table.curves.dtype.name,
        "shape": table.seconds.shape,
        "rows": int(np.maximum(lengths, 1).sum()),
    }


def _suffix(path: Path) -> str:
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise UserError(f"`path` is {str(path)!r}, but must end with {', '.join(SUFFIXES)}")


def _beside(path: Path) -> Path:
    """Where the header of a CSV file stands."""
    return path.with_name(f"{path.name}.json")


# --------------------------------------------------------------------------------------------------------------------- write


class _Entries(NamedTuple):
    """Some trainings of a table, entry by entry; N entries."""

    table: CurveTable
    training: NDArray[np.int64]  # (N,) its number
    epochs: NDArray[np.int64]  # (N,)
    is_empty: NDArray[np.bool_]  # (N,) the one row of a training without entries

    @classmethod
    def of(cls, table: CurveTable, rows: NDArray[np.int64]) -> _Entries:
        lengths = table.columns["length"][rows]
        counts = np.maximum(lengths, 1).astype(np.int64)
        epochs = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(table, np.repeat(rows, counts), epochs, np.repeat(lengths == 0, counts))

    def plane(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # (n, T) -> (N,), and where it is missing
        found = np.full(len(self.training), np.nan)
        there = ~self.is_empty
        found[there] = values[self.training[there], self.epochs[there]]
        return found, self.is_empty


def _batch(entries: _Entries, columns: list[FrameColumn]) -> pa.RecordBatch:
    import pyarrow as pa

    schema = _schema(columns)
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        values, missing = _values(entries, column)
        arrays.append(pa.nulls(len(entries.training), field.type) if values is None else pa.array(values, field.type, mask=missing))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _values(entries: _Entries, column: FrameColumn) -> tuple[NDArray[Any] | None, NDArray[np.bool_] | None]:
    """The values of a column and where they are missing; None if the table has none of it."""
    table, index, source = entries.table, entries.training, column.source
    match column.role:
        case "table":
            whole = {"task": table.task.name, "fold": table.task.fold, "space": table.space.name}
            return (index, None) if source == "training" else (np.full(len(index), whole[source], object), None)
        case "training":
            values = table.columns[source][index]
            return (np.array(STATUSES, object)[values] if source == "status" else values), None
        case "epoch":
            return (entries.epochs, entries.is_empty) if source == "epoch" else entries.plane(table.seconds)
        case "config":
            return _written(table.configs[source].take(index), column.kind) if source in table.configs else (None, None)
        case "metric":
            if source not in table.metrics:
                return None, None
            m = table.plane(source)
            values, missing = entries.plane(table.curves[m])
            return values * SCALES.get(table.units[m], 1.0), missing
    found = table.results.get(source)
    return (None, None) if found is None else (found[index], np.isnan(found[index]))


def _written(column: Column, kind: Kind) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values of a hyperparameter as the file holds them, and where it is inactive."""
    is_number = column.kind in ("integer", "float")
    missing = np.isnan(column.values) if is_number else column.values == ""
    if kind == "integer":
        return np.where(missing, 0, column.values).astype(np.int64), missing
    if kind != "json" or column.kind == "json":
        return column.values, missing
    number = int if column.kind == "integer" else float
    plain = [number(value) if is_number and not gone else value for value, gone in zip(column.values, missing, strict=True)]
    texts = ["" if gone else json.dumps(value) for value, gone in zip(plain, missing, strict=True)]
    return np.array(texts, object), missing


def _schema(columns: list[FrameColumn], metadata: dict[bytes, str] | None = None) -> pa.Schema:
    import pyarrow as pa

    types = {"integer": pa.int64(), "float": pa.float64(), "text": pa.string(), "json": pa.string()}
    return pa.schema([pa.field(column.name, types[column.kind]) for column in columns], metadata)


@contextmanager
def _writing(path: Path, suffix: str, columns: list[FrameColumn], header: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if suffix == ".parquet":
        with parquet.ParquetWriter(path, _schema(columns, {METADATA: header}), compression="zstd") as writer:
            yield writer.write_batch
        return
    compression = "gzip" if suffix == ".csv.gz" else None
    with pa.output_stream(str(path), compression=compression) as sink, csv.CSVWriter(sink, _schema(columns)) as writer:
        yield writer.write_batch


# ---------------------------------------------------------------------------------------------------------------------- read


def read_frame(path: Path) -> list[CurveTable]:
    """Read what `export_frame` wrote, all of it, in the same order.

    Raises:
        UserError: if the file is missing, or is not what `export_frame` wrote.
    """
    path = Path(path)
    _suffix(path)
    try:
        header, frame = _read(path)
        sizes = [table["rows"] for table in header["tables"]]
        columns = [FrameColumn(**column) for column in header["columns"]]
        if sum(sizes) != len(frame):
            raise ValueError(f"it has {len(frame)} rows instead of {sum(sizes)}")
        starts = np.cumsum([0, *sizes[:-1]])
        return [_table(table, columns, frame.slice(start, n)) for table, start, n in zip(header["tables"], starts, sizes, strict=False)]
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:  # pyarrow's errors are ValueError or OSError
        raise UserError(f"{path} is not what `export_frame` wrote ({error}); read it with pandas, or export the database again") from error


def _read(path: Path) -> tuple[dict[str, Any], pa.Table]:
    from pyarrow import csv, parquet

    if path.name.endswith(".parquet"):
        frame = parquet.read_table(path)
        return json.loads((frame.schema.metadata or {})[METADATA]), frame
    header = json.loads(_beside(path).read_text(encoding="utf-8"))
    types = {field.name: field.type for field in _schema([FrameColumn(**column) for column in header["columns"]])}
    options = csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)
    return header, csv.read_csv(path, convert_options=options, parse_options=csv.ParseOptions(newlines_in_values=True))


def _table(header: dict[str, Any], columns: list[FrameColumn], frame: pa.Table) -> CurveTable:
    empty, (n, t) = from_plain(header), header["shape"]
    found = {(column.role, column.source): (column.kind, frame[column.name].to_numpy()) for column in columns}
    index, epochs = found["table", "training"][1], found["epoch", "epoch"][1]
    there = ~np.isnan(epochs) if epochs.dtype.kind == "f" else np.ones(len(epochs), bool)
    where = index[there], epochs[there].astype(np.int64)
    first = np.flatnonzero(np.diff(index, prepend=-1))  # the first row of every training
    training = {name: values[first] for (role, name), (_, values) in found.items() if role == "training"}
    training["status"] = np.array([STATUSES.index(word) for word in training["status"]])
    training["length"] = np.bincount(where[0], minlength=n)

    def plane(role: Role, name: str, scale: float, dtype: str) -> NDArray[Any]:  # (n, T)
        values = np.full((n, t), np.nan, dtype)
        values[where] = found[role, name][1][there] / scale
        return values

    dtype, units = header["dtype"], header["units"]
    planes = [plane("metric", name, SCALES.get(unit, 1.0), dtype) for name, unit in zip(header["metrics"], units, strict=True)]
    return CurveTable(
        task=empty.task,
        space=empty.space,
        objective=empty.objective,
        provenance=empty.provenance,
        metrics=tuple(header["metrics"]),
        units=tuple(units),
        curves=np.array(planes, dtype).reshape(len(planes), n, t),
        seconds=plane("epoch", "seconds", 1.0, "float64"),
        columns={name: values.astype(NUMBERS.get(name, object)) for name, values in training.items()},
        configs={name: _config(header["kinds"][name], *found["config", name], first) for name in empty.space},
        results={name: found["result", name][1][first].astype(np.float64) for name in header["results"]},
    )


def _config(kind: Kind, written: Kind, values: NDArray[Any], first: NDArray[np.int64]) -> Column:
    """The inverse of `_written`; `kind` is that of the table, `written` that of the file."""
    values = values[first]
    if kind in ("integer", "float"):
        loaded = [np.nan if value is None else json.loads(value) for value in values] if written == "json" else values
        return Column(kind, np.array(loaded, np.float64))
    is_quoted = written == "json" and kind == "text"
    return Column(kind, np.array(["" if value is None else json.loads(value) if is_quoted else value for value in values], object))
