"""The directory of one recording run, as a value that anyone can read, pack, check and repair.

::

    table.json            the header: task, space, objective, provenance (written first, atomically)
    journals/*.journal    what the training processes record, one journal per process (`recording.py`)
    events.journal        what the main process records
    curves.h5             the journals packed into a database of one table (`store.py`)

The journals are the truth and `curves.h5` is made from them, at any time and again; `read_run` needs no `curves.h5`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from lcbench.errors import UserError
from lcbench.files import LOCK, PARTIAL, held, keep_aside, replacing
from lcbench.header import from_plain, to_plain
from lcbench.journal import read_journal, repair_journal
from lcbench.recording import nameless, trainings_from_journals
from lcbench.salvage import repair_curves, verify_curves
from lcbench.schema import SCHEMA_VERSION
from lcbench.store import read_curves, write_curves
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from lcbench.training import Training

HEADER = "table.json"
JOURNALS = "journals"
EVENTS = "events.journal"
CURVES = "curves.h5"


def write_header(
    directory: str | PathLike[str], *, task: TaskInfo, space: ConfigurationSpace, objective: str, provenance: dict[str, Any]
) -> Path:
    """Write what the curves of a run are curves of; `header.provenance_now` makes the usual provenance."""
    path = Path(directory) / HEADER
    table = CurveTable.of(task=task, space=space, objective=objective, provenance=provenance)
    with replacing(path) as temporary:
        text = json.dumps({"schema_version": SCHEMA_VERSION, **to_plain(table)}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def read_header(directory: str | PathLike[str]) -> CurveTable:
    """Read the header of a run directory as a table without rows.

    Raises:
        UserError: if there is none, it is damaged, or it is newer than this code.
    """
    path = Path(directory) / HEADER
    if not path.is_file():
        raise UserError(f"{directory} is not a run directory: it has no {HEADER}")
    try:
        header = json.loads(path.read_bytes())
        if header["schema_version"] > SCHEMA_VERSION:
            raise UserError(f"{path} has schema version {header['schema_version']}, but this code reads up to {SCHEMA_VERSION}; update it")
        return from_plain(header)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} is damaged ({reason}); `python -m lcbench repair {directory}` restores it from {CURVES}") from error


def journals(directory: str | PathLike[str]) -> list[Path]:
    """The journals of the training processes, sorted by name; empty while nothing was recorded."""
    return sorted((Path(directory) / JOURNALS).glob("*.journal"))


def read_run(directory: str | PathLike[str]) -> CurveTable:
    """What a run has recorded up to now, also while it is running, straight from its journals.

    Raises:
        UserError: if the directory has no readable header, or its journals contradict each other.
    """
    return _with_trainings(read_header(directory), trainings_from_journals(journals(directory)))


def _with_trainings(header: CurveTable, trainings: Iterable[Training]) -> CurveTable:
    return CurveTable.of(
        task=header.task, space=header.space, objective=header.objective, provenance=header.provenance, trainings=trainings
    )


def pack(directory: str | PathLike[str]) -> Path:
    """Pack the journals of a run into its `curves.h5`, which is replaced whole or not at all; return its path.

    What an earlier `curves.h5` has and the journals have not (any more) is kept: of every training the longer curve.

    Raises:
        UserError: as `read_run`.
    """
    path, table = Path(directory) / CURVES, read_run(directory)
    if path.exists() and not verify_curves(path):
        longest = {(row.trial, row.horizon): row for row in read_curves(path)[0].trainings}
        for row in table.trainings:
            at = (row.trial, row.horizon)
            if at not in longest or len(row.curve) >= len(longest[at].curve):
                longest[at] = row
        table = _with_trainings(table, (longest[at] for at in sorted(longest)))
    write_curves(path, [table])
    return path


def verify(path: str | PathLike[str]) -> list[str]:
    """Read a database or a run directory to the last byte and name every problem, a sentence each.

    A journal whose last line is torn is not a problem: its writer was killed, or is still writing.

    Raises:
        UserError: if there is nothing at `path`.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no file or directory {path}; name a curves.h5 or the directory of a run")
    if path.is_file():
        return verify_curves(path)
    problems = ([] if _is_simulated(path) else _header_problems(path)) + _journal_problems(path)
    return problems + (verify_curves(path / CURVES) if (path / CURVES).exists() else [])


def repair(path: str | PathLike[str]) -> list[str]:
    """Rescue every undamaged record of a database, or of a run that is not running; say what was done, a sentence each.

    A damaged journal is rewritten without its damage, a damaged header is restored from `curves.h5`, and a damaged or
    missing `curves.h5` is packed again. Every damaged original is kept beside its successor (`files.keep_aside`).

    Raises:
        UserError: if this is neither a database nor a run directory, its header is lost, or nothing can be rescued.
    """
    path = Path(path)
    if path.is_file():
        return repair_curves(path)
    with _held(path):
        return _repair(path)


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold the lock of a run, or of the collection that it is a task of, if there is one; refuse while another process works in it."""
    collection = directory.resolve().parent.parent  # <collection>/<task>/<space>
    with ExitStack() as locks:
        for folder in (directory, collection):
            if (folder / LOCK).exists():
                locks.enter_context(held(folder, "wait for its end, a running experiment must not be repaired"))
        yield


def _repair(directory: Path) -> list[str]:
    if not any((directory / name).exists() for name in (HEADER, CURVES, JOURNALS, EVENTS)):
        raise UserError(f"{directory} is no run directory, it has no {HEADER}: name the directory of a run, or a database")
    done = [_remove(path) for path in sorted(directory.rglob(f".*{PARTIAL}"))]
    if _header_problems(directory) and not _is_simulated(directory):
        done.append(_restore_header(directory))
    for path in _all_journals(directory):
        contents = repair_journal(path)
        if contents.damage or contents.torn:
            done.append(f"{path}: {len(contents.records)} records kept, {len(contents.damage)} damaged stretches dropped")
    return done + _repack(directory)


def _is_simulated(directory: Path) -> bool:
    """Whether it is a run on recorded curves, which has none of its own."""
    return (directory / EVENTS).exists() and not any((directory / name).exists() for name in (HEADER, CURVES, JOURNALS))


def _all_journals(directory: Path) -> list[Path]:
    events = directory / EVENTS
    return journals(directory) + [events] * events.exists()


def _header_problems(directory: Path) -> list[str]:
    try:
        read_header(directory)
    except UserError as error:
        return [str(error)]
    return []


def _journal_problems(directory: Path) -> list[str]:
    remedy = f"`python -m lcbench repair {directory}` keeps everything else"
    problems = [
        f"{path}: {damage.length} bytes from byte {damage.offset} on are damaged ({damage.reason}); {remedy}"
        for path in _all_journals(directory)
        for damage in read_journal(path).damage
    ]
    try:
        return problems + nameless(journals(directory))
    except UserError as error:
        return [*problems, str(error)]


def _remove(path: Path) -> str:
    path.unlink()
    return f"{path}: removed, it was left over from a writer that was killed"


def _restore_header(directory: Path) -> str:
    path = directory / HEADER
    if not (directory / CURVES).exists():
        raise UserError(f"{path} is missing or damaged and there is no {CURVES} to restore it from; copy the {HEADER} of an equal run here")
    table = read_curves(directory / CURVES)[0]
    if path.exists():
        keep_aside(path)
    write_header(directory, task=table.task, space=table.space, objective=table.objective, provenance=table.provenance)
    return f"{path}: restored from {CURVES}"


def _repack(directory: Path) -> list[str]:
    path = directory / CURVES
    if not journals(directory):
        return []
    if not path.exists():
        return [f"{pack(directory)}: packed from the journals"]
    if not verify_curves(path):
        return []
    kept = keep_aside(path)
    return [f"{pack(directory)}: packed anew from the journals, the damaged one is {kept.name}"]
