"""Files that are either the old one or the new one: atomic replacement, turns of writers, damaged originals that are kept aside."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO

from lcbench.errors import UserError

LOCK = ".lock"
"""File by which a folder is held."""
MARGIN = 4 * 2**20
"""Bytes that a file may take beside its data."""
PARTIAL = ".partial"
"""Suffix of a file that is being written; one that is left over belonged to a writer that was killed."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, what was written there becomes `path`, durably.

    A reader, and a machine that loses power, sees the whole old file or the whole new one. When the block raises,
    the temporary file is removed and `path` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL}")  # other machines may write here, too
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:  # also on Ctrl-C: whatever ended the block, no half-written file stays behind
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def held(folder: Path, remedy: str) -> IO[str]:
    """Keep other processes out of a folder until what is returned is closed.

    Raises:
        UserError: if another one works there.
    """
    handle = (folder / LOCK).open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise UserError(f"another process is working in {folder}: {remedy}") from None
    return handle


@contextmanager
def turns(path: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for `path`: whoever reads a file and writes it anew loses nothing of others."""
    lock = path.with_name(f".{path.name}.lock")
    while True:
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                ours = os.path.samestat(os.fstat(handle.fileno()), lock.stat())
            except FileNotFoundError:
                ours = False
            if not ours:
                continue  # it was removed by the process that we waited for
            try:
                yield
            finally:
                lock.unlink()
            return


def check_room(path: Path, size: int, what: str) -> None:
    """See that `size` bytes and a margin fit beside `path`: HDF5 does not survive a full disk in every case.

    Raises:
        OSError: if they do not.
    """
    needed, free = size + MARGIN, shutil.disk_usage(path.parent).free
    if needed > free:
        said = f"No space left on device: {what} needs {needed / 2**20:.0f} MB, and {free / 2**20:.0f} MB are free"
        raise OSError(errno.ENOSPC, said, str(path.parent))


def keep_aside(path: Path) -> Path:
    """Copy the file `path` to ``<name>.damaged`` (or ``.damaged2``, …: never over an older one) and return that path."""
    for number in count(1):
        aside = path.with_name(f"{path.name}.damaged{number if number > 1 else ''}")
        try:
            with aside.open("xb") as copy, path.open("rb") as original:
                shutil.copyfileobj(original, copy)
        except FileExistsError:
            continue
        sync_file(aside)
        return aside
    raise AssertionError("this is a bug: the loop above has no end")


def sync_file(path: Path) -> None:
    """Wait until the content of `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Wait until the names in the directory `path` are on the disk, so that a new or renamed file survives a power cut."""
    sync_file(path)
