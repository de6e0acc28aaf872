"""Where curves can come from: every kind of source is recognised by what it is, not by its name."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.rundir import HEADER, read_run
from lcbench.table import CurveTable

Precision = Literal["float32", "float64"]
Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all, and what is being read."""


@dataclass(frozen=True)
class Reading:
    """How sources are read."""

    scratch: Path
    """A folder that keeps what a long import has finished, so that the same command goes on with it."""
    progress: Progress
    """Told how far it is."""
    precision: Precision = "float32"
    """Of values from published LCBench files."""
    ignore: tuple[str, ...] = ()
    """Tags, results and configuration keys of published LCBench files that are left out."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know about what was read, appended while reading."""


def read_source(path: Path, reading: Reading) -> Iterator[CurveTable]:
    """Every table of a run directory, a database, a published LCBench file, a TaskSet table or an mf-prior-bench parquet.

    Tables of databases are memory-mapped, so that a large one costs no memory until it is merged or written.

    Raises:
        UserError: if it is none of these, or damaged.
    """
    if not path.exists():
        raise UserError(f"there is no file or directory {path}; an import takes {KINDS}")
    if path.is_dir():
        yield _run(path)
    elif path.suffix in SUFFIXES:
        yield from _checked(Database(path))
    elif path.suffix == ".parquet":
        from lcbench.formats.mfpbench import read_mfpbench

        yield read_mfpbench(path)
    elif _first_character(path) == "[":
        from lcbench.formats.taskset import read_taskset

        yield read_taskset(path)
    elif path.suffix == ".zip" or _first_character(path) == "{":
        yield from _checked(Database(_imported(path, reading)))
    else:
        raise UserError(f"{path} is nothing that can be imported: an import takes {KINDS}")


SUFFIXES = (".h5", ".hdf5")
"""Of databases."""
KINDS = (
    "run directories (runs/live/…), databases (.h5), LCBench's published files (.json, .zip), TaskSet tables (.json, .json.xz) "
    "and mf-prior-bench's LCBench tables (.parquet)"
)


def _imported(path: Path, reading: Reading) -> Path:
    """A published LCBench file as a database in the scratch folder; one that was made of the same file in the same way is taken."""
    from lcbench.formats.lcbench_json import import_file

    reading.scratch.mkdir(exist_ok=True)
    stat = path.stat()
    way = (str(path.resolve()), stat.st_mtime_ns, stat.st_size, reading.precision, sorted(reading.ignore))
    database = reading.scratch / f"{path.stem}-{zlib.crc32(repr(way).encode()):08x}.h5"
    if not database.exists():
        reading.notes.extend(import_file(path, database, precision=reading.precision, progress=reading.progress, ignore=reading.ignore))
    return database


def _checked(database: Database) -> Iterator[CurveTable]:
    return (database.checked(*name) for name in database.names)


def _run(path: Path) -> CurveTable:
    if not (path / HEADER).exists():
        inside = sorted(found.parent for found in path.rglob(HEADER))[:3]
        hint = f"; inside are the runs {', '.join(map(str, inside))}, …" if inside else ""
        raise UserError(f"{path} is not a run directory: it has no {HEADER}{hint}")
    return read_run(path)


def _first_character(path: Path) -> str:
    """The first character of a JSON text, empty if the file is not text."""
    try:
        with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
            return file.read(4096).lstrip()[:1]
    except (UnicodeDecodeError, lzma.LZMAError):
        return ""
