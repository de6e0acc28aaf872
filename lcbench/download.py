"""Files from the web that end up whole or not at all: resumed after a drop, checked before they get their name, unpacked.

While `fetch` works, two files lie beside the target: ``<name>.partial`` with the bytes so far, and ``<name>.partial.json``
with what the server said of the file that they belong to (ETag, Last-Modified, size). A later attempt, in this process or
in the next one, goes on where the bytes end if the server still says the same, and starts anew if it does not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lcbench.errors import UserError
from lcbench.files import PARTIAL, replacing, sync_directory, sync_file

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes that there will be, None where the server does not say."""

TIMEOUT = 30.0
"""Seconds of silence after which a connection counts as dropped."""
LONGEST_PAUSE = 60.0
"""Seconds; no pause between two attempts is longer, whatever the server asks for."""

_CHUNK = 1 << 16
_TRANSIENT = {202, 408, 425, 429, 500, 502, 503, 504}  # 202: figshare answers so while it decides whether we are a browser


@dataclass(frozen=True)
class Published:
    """A file that its authors published, and how its address is known."""

    url: str
    """Address that answers with the file itself."""
    archive: str
    """Name that the file gets."""
    member: str
    """File inside the archive that holds the data."""
    md5: str | None
    """MD5 of the archive in hexadecimal, None where nobody published one that we could read."""
    size: str
    """About how much is fetched, in words."""
    licence: str
    """Under which the file was published."""
    source: str
    """Where the address, the name and the checksum were read."""


PUBLISHED = {
    "data_2k_lw": Published(
        url="https://ndownloader.figshare.com/files/21188598",
        archive="data_2k_lw.zip",
        member="data_2k_lw.json",
        md5="26c8493006358a15ce12041c0bfc12a2",
        size="about 340 MB, 1 GB unpacked",
        licence="Apache-2.0",
        source="LCBench's README names figshare project 74151 (article 11662422); the file's number stands in syne-tune's lcbench.py, "
        "number and MD5 in YAHPO's notes on preparing lcbench",
    ),
    "data_2k": Published(
        url="https://ndownloader.figshare.com/files/21188607",
        archive="data_2k.zip",
        member="data_2k.json",
        md5=None,
        size="larger than data_2k_lw: with the statistics of gradients",
        licence="Apache-2.0",
        source="mf-prior-bench 1.10.0, setup_benchmark.py; no checksum was published",
    ),
}
"""LCBench's curves of 2000 configurations on 35 data sets, without and with the statistics of gradients.

The sources write ``https://figshare.com/ndownloader/files/<number>``; the host ndownloader.figshare.com, which scikit-learn
uses for its data sets, answers for the same numbers without a detour.
"""


@dataclass(frozen=True)
class _Remote:
    """What a server said of a file."""

    url: str
    etag: str | None = None
    modified: str | None = None
    total: int | None = None

    def same_as(self, other: _Remote, *, checksum: bool) -> bool:
        """Whether both are provably one file; a size alone proves it only where a checksum decides in the end."""
        return self == other and (self.etag is not None or self.modified is not None or (checksum and self.total is not None))


class _DroppedError(Exception):
    """An attempt failed in a way that another attempt may not; `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _Download:
    url: str
    partial: Path
    size: int | None
    checksum: tuple[str, str] | None  # algorithm, hexadecimal digest
    progress: Progress | None

    @property
    def note(self) -> Path:
        return self.partial.with_name(f"{self.partial.name}.json")


def fetch(
    url: str,
    target: Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    attempts: int = 6,
    pause: float = 1.0,
) -> Path:
    """Fetch `url` into the file `target` and return `target`.

    A target that is there with the right checksum (or, without one, the right size, or nothing to compare) is not fetched
    again; one that differs is replaced, once the new file is whole. Dropped connections and busy servers are tried again.

    Args:
        url: an http or https address; redirections are followed.
        target: where the file goes; its directory is made.
        md5: expected MD5 in hexadecimal.
        sha256: expected SHA-256 in hexadecimal; it takes precedence.
        size: expected size in bytes.
        progress: told how far it is.
        attempts: how many attempts in a row may bring nothing.
        pause: seconds before the second attempt; doubled for every further one, up to `LONGEST_PAUSE`.

    Raises:
        UserError: if the server refuses, is not reached, or sends another file than expected; if the disk is too small;
            if another process fetches the same file. What was fetched stays for the next call, except when it was wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"`url` is {url!r}, but must start with http:// or https://")
    checksum = ("sha256", sha256.lower()) if sha256 else ("md5", md5.lower()) if md5 else None
    if target.is_file() and _is_whole(target, size, checksum):
        return target
    download = _Download(url, target.with_name(target.name + PARTIAL), size, checksum, progress)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(download.partial) as file:
            _persist(download, file, attempts, pause)
            _check(download)
            sync_file(download.partial)
            download.partial.replace(target)
            download.note.unlink(missing_ok=True)
        sync_directory(target.parent)
    except OSError as error:  # the disk's: those of the network have become `_DroppedError`
        raise UserError(f"{str(target)!r} cannot be written: {error}") from error
    return target


def unpack(archive: Path, member: str, target: Path | None = None, progress: Progress | None = None) -> Path:
    """Write one file of a zip archive to `target`, piece by piece, and return `target`.

    The default target lies beside the archive under the last part of the member's name. A target of the same size and
    CRC is left as it is.

    Raises:
        UserError: if the archive is damaged or lacks the member, or if the disk is too small.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            if member not in opened.namelist():
                raise UserError(f"{str(archive)!r} has no file {member!r}, but {', '.join(opened.namelist()[:5]) or 'nothing'}")
            info = opened.getinfo(member)
            target = target or archive.parent / Path(member).name
            if target.is_file() and target.stat().st_size == info.file_size and _crc32(target) == info.CRC:
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            _check_space(target, info.file_size)
            with opened.open(info) as source, replacing(target) as temporary, temporary.open("wb") as sink:
                written = _write(iter(lambda: source.read(_CHUNK), b""), sink, 0, info.file_size, progress)
                if written != info.file_size:
                    raise zipfile.BadZipFile(f"{member} has {written} bytes instead of {info.file_size}")
    except OSError as error:
        raise UserError(f"{member!r} cannot be unpacked from {str(archive)!r}: {error}") from error
    except (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:  # RuntimeError: encrypted, or packed in an unknown way
        raise UserError(f"{member!r} cannot be unpacked from {str(archive)!r} ({error}): delete the archive and fetch it again") from error
    return target


def _persist(download: _Download, file: IO[bytes], attempts: int, pause: float) -> None:
    """Attempt until the partial file has everything; attempts that bring something do not count."""
    failures, farthest = 0, _length(file)
    while True:
        try:
            return _attempt(download, file)
        except _DroppedError as error:
            if _length(file) > farthest:
                failures, farthest = 0, _length(file)
            failures += 1
            if failures >= attempts:
                raise UserError(
                    f"{download.url} could not be fetched, {failures} attempts in a row failed ({error}): try again later, "
                    f"{_length(file)} bytes are kept in {str(download.partial)!r}"
                ) from error
            time.sleep(min(max(pause * 2 ** (failures - 1), error.wait), LONGEST_PAUSE))


def _attempt(download: _Download, file: IO[bytes]) -> None:
    before, have = _read_note(download), _length(file)
    if before is None or not before.same_as(before, checksum=download.checksum is not None):
        have = 0  # bytes of which nothing is known
    elif have == before.total:
        return
    headers = {"User-Agent": "lcbench-harness"}
    if have and before:
        headers["Range"] = f"bytes={have}-"
        if before.etag and not before.etag.startswith("W/"):
            headers["If-Range"] = before.etag
    try:
        response = urlopen(Request(download.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            _refused(download, file, error)
    except (OSError, HTTPException) as error:  # no network, no such host, refused, silent, or cut off before the answer
        raise _DroppedError(str(getattr(error, "reason", error)) or repr(error)) from error
    else:
        with response:
            _receive(download, file, response, before if have else None)


def _receive(download: _Download, file: IO[bytes], response: HTTPResponse, before: _Remote | None) -> None:
    if response.status in _TRANSIENT:
        raise _DroppedError(f"the server answers {response.status} {response.reason}")
    start, total = _span(response)
    remote = _Remote(download.url, response.headers["ETag"], response.headers["Last-Modified"], total)
    if start:
        if before is None or start != _length(file) or not before.same_as(remote, checksum=download.checksum is not None):
            _forget(download, file)
            raise _DroppedError("the file on the server has changed")
    else:
        _forget(download, file)
    if download.size is not None and total is not None and total != download.size:
        raise UserError(f"{download.url} has {total} bytes instead of {download.size}: it has changed, or the address is wrong")
    _check_space(download.partial, (total or 0) - start)
    download.note.write_text(json.dumps(asdict(remote)), encoding="utf-8")
    file.seek(start)
    have = _write(_arriving(response), file, start, total, download.progress)
    if total is not None and have < total:
        raise _DroppedError(f"the connection ended after {have} of {total} bytes")
    if have == start == 0 and total is None:
        raise _DroppedError("the server sent nothing")


def _span(response: HTTPResponse) -> tuple[int, int | None]:
    """Where the body starts in the file, and how long the file is."""
    if response.status == 206:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        if not start.isdecimal():
            raise _DroppedError("the server does not say which part it sends")
        return int(start), int(total) if total.isdecimal() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _refused(download: _Download, file: IO[bytes], error: HTTPError) -> None:
    """Another attempt or the end.

    Raises:
        _DroppedError: if the server may answer otherwise soon.
        UserError: if it will not.
    """
    answer = f"the server answers {error.code} {error.reason}"
    if error.code == 416:  # it has fewer bytes than we have: it is another file
        _forget(download, file)
        raise _DroppedError(answer) from error
    if error.code in _TRANSIENT:
        wait = error.headers.get("Retry-After", "")
        raise _DroppedError(answer, float(wait) if wait.isdecimal() else 0.0) from error
    raise UserError(f"{download.url} cannot be fetched, {answer}: check the address in a browser") from error


def _check(download: _Download) -> None:
    """Compare what was fetched with what was expected; what is wrong is deleted, so that the next call starts anew."""
    trouble, length = None, download.partial.stat().st_size
    if download.size is not None and length != download.size:
        trouble = f"has {length} bytes instead of {download.size}"
    elif download.checksum is not None:
        algorithm, expected = download.checksum
        found = _digest(download.partial, algorithm)
        trouble = f"has the {algorithm} {found} instead of {expected}" if found != expected else None
    if trouble:
        download.note.unlink(missing_ok=True)
        download.partial.unlink()
        raise UserError(
            f"what {download.url} sent {trouble} and was deleted: fetch it again, and if this repeats, the published file has changed"
        )


def _is_whole(path: Path, size: int | None, checksum: tuple[str, str] | None) -> bool:
    return size in (None, path.stat().st_size) and (checksum is None or _digest(path, checksum[0]) == checksum[1])


@contextmanager
def _locked(partial: Path) -> Iterator[IO[bytes]]:
    """The partial file, for one process at a time."""
    partial.touch()
    with partial.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = partial.exists() and os.path.samestat(os.fstat(file.fileno()), partial.stat())  # else it has become the target
        except BlockingIOError:
            ours = False
        if not ours:
            raise UserError(f"{str(partial)!r} is being written by another process: wait for it")
        try:
            yield file
        finally:
            if partial.exists() and not partial.stat().st_size:
                partial.unlink()


def _forget(download: _Download, file: IO[bytes]) -> None:
    download.note.unlink(missing_ok=True)
    file.seek(0)
    file.truncate()


def _read_note(download: _Download) -> _Remote | None:
    try:
        remote = _Remote(**json.loads(download.note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none, or damaged: start anew
        return None
    return remote if remote.url == download.url else None


def _length(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _arriving(response: HTTPResponse) -> Iterator[bytes]:
    """The pieces of an answer as they come; only here an OSError is the network's and not the disk's."""
    while True:
        try:
            piece = response.read1(_CHUNK)
        except (OSError, HTTPException) as error:
            raise _DroppedError(f"the connection dropped: {error!r}") from error
        if not piece:
            return
        yield piece


def _write(pieces: Iterable[bytes], sink: IO[bytes], start: int, total: int | None, progress: Progress | None) -> int:
    """Write all pieces and return where they end; what came before an error is kept."""
    have = start
    try:
        for piece in pieces:
            sink.write(piece)
            have += len(piece)
            if progress:
                progress(have, total)
    finally:
        sink.flush()
    return have


def _check_space(path: Path, wanted: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if wanted > free:
        raise UserError(f"{str(path)!r} needs {wanted / 1e6:.1f} MB, but {free / 1e6:.1f} MB are free: make room or go elsewhere")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            crc = zlib.crc32(piece, crc)
    return crc
