"""A huge JSON object of objects, ``{outer: {inner: value, …}, …}``, value by value, in the memory of a few of them.

The decoder of the standard library reads every value, so numbers are parsed exactly and ``NaN``, ``Infinity`` and
``-Infinity`` are numbers. A buffer slides over the file; a value that the end of the buffer cuts is read again with more of
the file, at least twice as much, so that the work stays linear whatever the sizes are.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lcbench.errors import UserError

CHUNK = 1 << 22
"""Bytes that are read at a time."""
LONGEST = 1 << 28
"""A value with more characters is refused, so that a damaged file does not fill the memory."""

_BLANK = re.compile(r"[ \t\n\r]*")
_AFTER_VALUE = " \t\n\r,:}"
_LONGEST_PIECE = 16  # an error nearer to the end of the buffer can come from the cut: of ``-Infinity``, ``\uD83D\uDE00``, ``1e+``
_AGAIN = "fetch the file again"


class Source(Protocol):
    """A file to read from the start to the end."""

    def read(self, n: int, /) -> bytes:
        """Up to n bytes, none at the end."""


@contextmanager
def opened_json(path: Path) -> Iterator[tuple[Source, int]]:
    """Open a JSON file, or the only one in a zip archive, and say how many bytes of JSON it has.

    Raises:
        UserError: if the file is missing, or is an archive that is cut short or has not exactly one ``.json``.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}; a JSON file, or a zip archive of one, is wanted")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX/")]
            if len(names) != 1:
                raise UserError(f"{path} is an archive of {', '.join(archive.namelist()) or 'nothing'}, but must hold exactly one .json")
            with archive.open(names[0]) as member:
                yield member, archive.getinfo(names[0]).file_size
        return
    with path.open("rb") as file:
        if _starts_like_zip(file):
            raise UserError(f"{path} is a zip archive that is cut short or damaged; {_AGAIN}")
        yield file, path.stat().st_size


def _starts_like_zip(file: BinaryIO) -> bool:
    start = file.read(4)
    file.seek(0)
    return start == b"PK\3\4"


class ObjectStream:
    """Reads ``{outer: {inner: value, …}, …}`` once, from the start to the end.

    >>> import io
    >>> stream = ObjectStream(io.BytesIO(b'{"a": {"x": [1, NaN], "y": 2}, "b": {}}'), "example")
    >>> [(outer, list(members)) for outer, members in stream.members()], stream.offset
    ([('a', [('x', [1, nan]), ('y', 2)]), ('b', [])], 39)
    """

    def __init__(self, file: Source, name: str, *, chunk: int = CHUNK) -> None:
        """Read `file`, which messages call `name`, in pieces of `chunk` bytes or more."""
        self.name = name
        self._file = file
        self._chunk = chunk
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder(object_pairs_hook=self._unique)
        self._text, self._at = "", 0  # the buffer, and how much of it was used
        self._base, self._hash = 0, hashlib.sha256()  # bytes before the buffer, and their hash
        self._path: list[str] = []

    @property
    def offset(self) -> int:
        """Number of bytes of the file that were used so far."""
        return self._base + (self._at if self._text.isascii() else len(self._text[: self._at].encode()))

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes that were used so far; of the whole file, when everything was read."""
        digest = self._hash.copy()
        digest.update(self._text[: self._at].encode())
        return digest.hexdigest()

    def skip(self, n: int) -> None:
        """Use the first `n` bytes without looking at them; the rest continues right after an inner object."""
        while self._base < n and (data := self._read(min(self._chunk, n - self._base))):
            self._hash.update(data)
            self._base += len(data)

    def members(self) -> Iterator[tuple[str, Iterator[tuple[str, Any]]]]:
        """The outer keys, each with an iterator of its (inner key, value); what was not taken of one is passed over.

        Raises:
            UserError: if the file ends too early, or is no such JSON, with the number of the byte.
        """
        if self.offset == 0:
            self._expect("{")
            outer = self._keys(first=True)
        else:
            outer = self._keys(first=False)
        for key in outer:
            self._expect("{")
            inner = self._inner()
            yield key, inner
            for _ in inner:
                pass
        if self._peek():
            raise self._wrong("something follows after its end")

    def _inner(self) -> Iterator[tuple[str, Any]]:
        for key in self._keys(first=True):
            yield key, self._value()

    def _keys(self, *, first: bool) -> Iterator[str]:
        """The keys of an object that was opened; the caller takes the value of each before it asks for the next."""
        if first and self._peek() == "}":
            self._expect("}")
            return
        while first or self._expect(",}") == ",":
            first = False
            if self._peek() != '"':
                self._expect('"')
            key = self._value()
            self._expect(":")
            self._path.append(key)
            yield key
            self._path.pop()

    def _value(self) -> Any:
        """Take the next value."""
        self._peek()
        is_last = False  # nothing is left to read
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if is_last:
                    raise self._cut() from None
                if error.pos < len(self._text) - _LONGEST_PIECE and not error.msg.startswith("Unterminated string"):
                    self._at = error.pos
                    raise self._wrong(error.msg) from None
            except RecursionError:
                raise self._wrong("it is nested too deeply") from None
            else:
                if is_last or self._is_whole(end):
                    self._at = end
                    return value
            is_last = not self._more()

    def _is_whole(self, end: int) -> bool:
        """False if the value before `end` may go on: the end of the buffer can cut a number so that the rest is one, too (1|e5)."""
        return len(self._text) - end > _LONGEST_PIECE or (end < len(self._text) and self._text[end] in _AFTER_VALUE)

    def _peek(self) -> str:
        """The next character that is not blank, empty at the end of the file."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _expect(self, allowed: str) -> str:
        """Take the next character that is not blank, which must be one of `allowed`."""
        found = self._peek()
        if not found:
            raise self._cut()
        if found not in allowed:
            raise self._wrong(f"{' or '.join(allowed)} is wanted, but there is {found}")
        self._at += 1
        return found

    def _more(self) -> bool:
        """Put more of the file into the buffer; False if there is no more."""
        used = self._text[: self._at].encode()
        self._hash.update(used)
        self._base += len(used)
        self._text, self._at = self._text[self._at :], 0
        n_before = len(self._text)
        if n_before > LONGEST:
            raise self._wrong(f"a value has more than {LONGEST} characters")
        while len(self._text) == n_before:
            data = self._read(max(self._chunk, n_before))
            try:
                self._text += self._utf8.decode(data)
            except UnicodeDecodeError as error:
                raise self._wrong(f"it is not UTF-8: {error.reason}") from None
            if not data:
                return False
        return True

    def _read(self, n: int) -> bytes:
        try:
            return self._file.read(n)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UserError(f"{self.name} is a zip archive that is cut short or damaged ({error}); {_AGAIN}") from error

    def _unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in found if names.count(name) > 1)
            raise self._wrong(f"an object has the key {twice!r} twice")
        return found

    def _wrong(self, what: str) -> UserError:
        return UserError(f"{self.name} is not the JSON that is wanted: {what}, at byte {self.offset}{self._where()}; {_AGAIN}")

    def _cut(self) -> UserError:
        end = self._base + len(self._text.encode()) + len(self._utf8.getstate()[0])
        return UserError(f"{self.name} is cut short or damaged: it ends at byte {end}{self._where()}, but the JSON goes on; {_AGAIN}")

    def _where(self) -> str:
        return f", in {' / '.join(map(repr, self._path))}" if self._path else ""
