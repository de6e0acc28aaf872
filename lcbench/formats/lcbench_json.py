"""LCBench's published files in: a JSON file of any size becomes a curve database, in little memory, and a killed import goes on.

While an import runs, ``<database>.importing/`` beside the database holds one small database per finished data set and
``state.json``: how far the source was read, and the SHA-256 of what was read. The same import goes on from there if the
source begins with the very same bytes, so a download that was cut short can be completed meanwhile. The database appears
whole, at the end, and the folder goes.
"""

from __future__ import annotations

import dataclasses
import fcntl
import glob
import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from lcbench.errors import UserError
from lcbench.files import PARTIAL, replacing
from lcbench.formats.json_stream import ObjectStream, opened_json
from lcbench.formats.lcbench_entries import Entries
from lcbench.formats.lcbench_export import export_lcbench as export_lcbench  # the way back
from lcbench.store import read_curves, write_curves
from lcbench.table import CurveTable

Precision = Literal["float32", "float64"]
"""How values are stored: rounded to float32, or with every bit of the file."""
Progress = Callable[[int, int, str], None]
"""Called with the bytes read, the bytes there are, and the name of the data set."""

_VERSION = 1  # of what the folder of an unfinished import holds
_STATE = "state.json"
_REPORT_EVERY = 1 << 20  # bytes
_EMPTY = hashlib.sha256().hexdigest()


def import_file(
    source: Path,
    database: Path,
    *,
    precision: Precision = "float32",
    progress: Progress | None = None,
    ignore: Collection[str] = (),
) -> list[str]:
    """Write one of LCBench's files, or a zip archive of it, as a curve database, and say in sentences what a user should know.

    Call it again after it was killed or the power failed, and it goes on. An older `database` is replaced at the end.

    Args:
        source: data_2k.json, data_2k_lw.json, six_datasets.json, bench_full.json, …; the layout is recognised by content.
        database: where to write.
        precision: type of the values of curves; seconds and final values are always float64.
        progress: told about every MB or so.
        ignore: names of tags, results and keys of configurations that are left out.

    Raises:
        UserError: if the source is cut short, or holds anything that is not known; what was read until then is kept.
    """
    notes: list[str] = []
    database = Path(database)
    scratch = database.with_name(f"{database.name}.importing")
    tables = import_lcbench(source, scratch=scratch, precision=precision, progress=progress, ignore=ignore, say=notes.append)
    try:
        first = next(tables)  # by then everything was read
    except UserError:
        if not (scratch / _STATE).exists():
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    for leftover in database.parent.glob(f".{glob.escape(database.name)}.*{PARTIAL}"):  # of an import that was killed
        leftover.unlink()
    write_curves(database, chain([first], tables))
    shutil.rmtree(scratch)
    return notes


def import_lcbench(
    source: Path,
    *,
    scratch: Path,
    precision: Precision = "float32",
    progress: Progress | None = None,
    ignore: Collection[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
) -> Iterator[CurveTable]:
    """Read one of LCBench's files into the folder `scratch`, then yield a table per data set, in the order of the file.

    `say` is told what a user should know; the rest as of `import_file`. The folder stays, so that the same call is quick
    afterwards.

    Raises:
        UserError: as `import_file`; also if another import works in this folder.
    """
    source, scratch = Path(source), Path(scratch)
    options = {"version": _VERSION, "precision": precision, "ignore": sorted(ignore)}
    with _claimed(scratch):
        state = _saved(scratch, options)
        if state.parts:
            say(f"an earlier import was not finished: it goes on after {len(state.parts)} data sets")
        if not _read_on(source, scratch, state, progress):
            say(f"{source.name} is not the file of the earlier import: it is read from the start")
            state = _State(options)
            _read_on(source, scratch, state, progress)
        if not any(state.parts.values()):
            raise UserError(f"{source} holds no trainings, but must be one of LCBench's files: see lcbench/formats/lcbench_layout.py")
        origin = {"file": source.name, "json_bytes": state.offset, "json_sha256": state.sha256, "left_out": options["ignore"]}
        for task, part in state.parts.items():
            if not part:
                say(f"{task}: no trainings, so no table")
                continue
            table = read_curves(scratch / part)[0]
            for note in table.provenance["notes"]:
                say(f"{task}: {note}")
            yield dataclasses.replace(table, provenance=table.provenance | {"source": origin})


@dataclass
class _State:
    """How far an import has come."""

    options: dict[str, Any]
    offset: int = 0
    """Bytes of the source that are done with; a data set ends there."""
    sha256: str = _EMPTY
    """Of these bytes."""
    parts: dict[str, str] = field(default_factory=dict)
    """The file of every data set, empty if it has no trainings."""


def _saved(scratch: Path, options: dict[str, Any]) -> _State:
    """What `scratch` holds of an unfinished import with the same options, or a beginning."""
    try:
        state = _State(**json.loads((scratch / _STATE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # none, or of another version
        return _State(options)
    is_whole = all((scratch / part).is_file() for part in state.parts.values() if part)
    return state if state.options == options and is_whole else _State(options)


def _read_on(source: Path, scratch: Path, state: _State, progress: Progress | None) -> bool:
    """Read the rest of the source; False, and nothing done, if it does not begin with what was read before."""
    with opened_json(source) as (file, size):
        stream = ObjectStream(file, str(source))
        stream.skip(state.offset)
        if stream.sha256 != state.sha256:
            return False
        for task, members in stream.members():
            if task in state.parts:
                raise UserError(f"{source} has the data set {task!r} twice, but a table must be whole: fetch the file again")
            entries = Entries(source.name, task, state.options["precision"], frozenset(state.options["ignore"]))
            for config_id, entry in _reported(members, stream, size, task, progress):
                entries.add(config_id, entry)
            _keep(scratch, state, task, entries)
            state.offset, state.sha256 = stream.offset, stream.sha256
            _save(scratch, state)
        state.offset, state.sha256 = stream.offset, stream.sha256  # not saved: an import goes on inside the outer object
        if progress:
            progress(size, size, next(reversed(state.parts), ""))
    return True


def _reported(
    members: Iterator[tuple[str, Any]], stream: ObjectStream, size: int, task: str, progress: Progress | None
) -> Iterator[tuple[str, Any]]:
    reported = -_REPORT_EVERY
    for member in members:
        yield member
        if progress and stream.offset >= reported + _REPORT_EVERY:
            reported = stream.offset
            progress(reported, size, task)
    if progress:
        progress(stream.offset, size, task)


def _keep(scratch: Path, state: _State, task: str, entries: Entries) -> None:
    part = f"{len(state.parts):04d}.h5" if len(entries) else ""
    if part:
        write_curves(scratch / part, [entries.table()])
    state.parts[task] = part


def _save(scratch: Path, state: _State) -> None:
    with replacing(scratch / _STATE) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(state)), encoding="utf-8")


@contextmanager
def _claimed(scratch: Path) -> Iterator[None]:
    """Hold the folder, which is made if it is missing, for this process; a killed process lets go of it."""
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another process imports into {scratch}: wait until it is done") from None
        yield
