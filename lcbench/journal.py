"""A crash-safe journal: an append-only file of JSON records that a killed writer or a damaged byte cannot ruin.

One record is one line, ``LENGTH CRC32 {json}`` and a newline: the number of bytes of the JSON and their CRC-32, each as
eight lower-case hexadecimal digits. The JSON is ASCII, so a newline only ever ends a record. A line is written by one
`os.write`, so a killed process leaves at most its last line incomplete, and a reader that meets a damaged line goes on
at the next newline. One process writes a journal; any number may read it meanwhile.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from lcbench.errors import UserError
from lcbench.files import keep_aside, replacing, sync_directory

_HEADER = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ")
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only fsync


@dataclass(frozen=True)
class Damage:
    """A stretch of a journal that holds no valid record."""

    offset: int
    """First byte, counted from the start of the file."""
    length: int
    """Number of bytes."""
    reason: str
    """What is wrong with them, in words."""


@dataclass(frozen=True)
class Contents:
    """Everything that could be read from a journal."""

    records: list[dict[str, Any]]
    """The valid records in the order in which they were appended."""
    damage: list[Damage]
    """The stretches between them that could not be read."""
    torn: bool
    """True if the last line is incomplete: its writer was killed in the middle, or is still writing."""


class Journal:
    """Appends records to the journal `path`, which is created where it is missing.

    When `append` returns, the record survives the death of this process. It is on the disk, safe from a power cut,
    after `close` or after the first append that comes `sync_seconds` after the last synchronisation; 0 waits for the
    disk on every append. A torn last line of an earlier writer is cut off on opening.
    """

    def __init__(self, path: str | os.PathLike[str], sync_seconds: float = 1.0) -> None:
        self.path = Path(path)
        self.sync_seconds = sync_seconds
        is_new = not self.path.exists()
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        if is_new:
            sync_directory(self.path.parent)
        else:
            _cut_torn_line(self.path)
        self._last_sync = time.monotonic()

    def append(self, record: dict[str, Any]) -> None:
        """Append one record: a dictionary with string keys that JSON can hold (NaN and infinities are allowed).

        Raises:
            TypeError: if the record holds something that JSON cannot, e.g. a NumPy scalar; nothing is written.
            OSError: if it could not be written whole, e.g. on a full disk; the journal stays as it was.
            ValueError: if the journal is closed.
        """
        if self._descriptor < 0:
            raise ValueError(f"the journal {self.path} is closed")
        payload = _ENCODER.encode(record).encode("ascii")
        self._write(b"%08x %08x %b\n" % (len(payload), zlib.crc32(payload), payload))
        if time.monotonic() - self._last_sync >= self.sync_seconds:
            self._sync()

    def close(self) -> None:
        """Wait until every record is on the disk and close the file; closing twice does nothing."""
        if self._descriptor >= 0:
            self._sync()
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        n_written = os.write(self._descriptor, line)
        if n_written < len(line):
            os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_END) - n_written)
            reason = f"only {n_written} of {len(line)} bytes of a record could be written; free some disk space"
            raise OSError(errno.ENOSPC, reason, str(self.path))

    def _sync(self) -> None:
        _sync(self._descriptor)
        self._last_sync = time.monotonic()


class Tail:
    """Follows a journal that another process writes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._offset = 0

    def poll(self) -> list[dict[str, Any]]:
        """The valid records that were completed since the last poll, in order; none while the file is missing.

        Raises:
            UserError: if the journal became shorter, i.e. was repaired or replaced meanwhile.
        """
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    raise UserError(f"{self.path} became shorter while it was followed: it was repaired or replaced, so follow it anew")
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        pieces = list(_pieces(data))
        self._offset += _end(pieces)
        return [piece.found for piece in pieces if isinstance(piece.found, dict)]


def read_journal(path: str | os.PathLike[str]) -> Contents:
    """Read every record that is intact, and say where the others were.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    data = Path(path).read_bytes()
    pieces = list(_pieces(data))
    return Contents(
        records=[piece.found for piece in pieces if isinstance(piece.found, dict)],
        damage=_joined([Damage(piece.start, piece.end - piece.start, piece.found) for piece in pieces if isinstance(piece.found, str)]),
        torn=_end(pieces) < len(data),
    )


def iter_records(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the intact records one by one, in order: `read_journal` in little memory, without a word about damage."""
    return (piece.found for piece in _pieces(Path(path).read_bytes()) if isinstance(piece.found, dict))


def repair_journal(path: str | os.PathLike[str]) -> Contents:
    """Rewrite a damaged or torn journal with its valid records only; return what was found before.

    The original is kept beside it as ``<name>.damaged`` (``.damaged2``, …: an older one is never overwritten).
    A healthy journal is left alone. No process may be writing to the journal.
    """
    path = Path(path)
    contents = read_journal(path)
    if contents.damage or contents.torn:
        data, written = path.read_bytes(), path.stat()
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(_line(data, piece) for piece in _pieces(data) if isinstance(piece.found, dict)))
            os.utime(temporary, ns=(written.st_atime_ns, written.st_mtime_ns))  # when the run was at work, not its repair
            keep_aside(path)
    return contents


class _Piece(NamedTuple):
    start: int
    end: int
    found: dict[str, Any] | str  # the record, or what is wrong


def _pieces(data: bytes) -> Iterator[_Piece]:
    """Cut a journal into records and damage without gaps; what follows the last piece is a torn line."""
    at = 0
    while (piece := _piece_at(data, at)) is not None:
        yield piece
        at = piece.end
        if isinstance(piece.found, dict) and data[at - 1 : at] != b"\n":
            # Only this byte is damaged. To go on at the next newline would take the next record with it.
            yield _Piece(at, at + 1, "the newline after a record is missing")
            at += 1


def _piece_at(data: bytes, at: int) -> _Piece | None:
    """The record or the damaged line that starts at `at`; None if it is torn."""
    reason = "the header of a record is unreadable"
    if header := _HEADER.match(data, at):
        end = header.end() + int(header[1], 16)
        payload = data[header.end() : end]
        if zlib.crc32(payload) == int(header[2], 16) and end < len(data):
            return _Piece(at, end + (data[end : end + 1] == b"\n"), _parsed(payload))
        reason = "the checksum of a record does not fit"
    newline = data.find(b"\n", at)
    return None if newline < 0 else _Piece(at, newline + 1, reason)


def _parsed(payload: bytes) -> dict[str, Any] | str:
    try:
        record = json.loads(payload)
    except ValueError:
        return "a record is not JSON"
    return record if isinstance(record, dict) else "a record is not a JSON object"


def _line(data: bytes, piece: _Piece) -> bytes:
    return data[piece.start : piece.end].removesuffix(b"\n") + b"\n"


def _end(pieces: list[_Piece]) -> int:
    return pieces[-1].end if pieces else 0


def _joined(damage: list[Damage]) -> list[Damage]:
    """Neighbours as one: a byte that became a newline cuts one damaged line into two."""
    joined: list[Damage] = []
    for piece in damage:
        last = joined[-1] if joined else None
        if last and last.offset + last.length == piece.offset:
            joined[-1] = Damage(last.offset, last.length + piece.length, last.reason)
        else:
            joined.append(piece)
    return joined


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            file.truncate(_end(list(_pieces(file.read()))))
