"""A peer's process and the conversation with it: one line of JSON out, one line back, never an endless wait."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import tempfile
import threading
import time
from collections import deque
from itertools import count
from pathlib import Path
from typing import Any

from optimizers.adapters.errors import PeerError, UnsupportedError
from optimizers.adapters.interpreters import SERVERS, interpreter

PATIENCE = 600.0
"""Seconds that a peer has for one answer; a model over a thousand results takes seconds."""
_LAST_WORDS = 2000
"""Characters of a dead peer's stderr that are shown."""


class Process:
    """The process of one peer; it serves any number of optimizers, and ends with this process, whose end closes its stdin."""

    def __init__(self, peer: str, python: Path, patience: float = PATIENCE) -> None:
        self.peer = peer
        self._patience = patience
        self._ids = count()
        self._dropped: deque[int] = deque()
        self._lock = threading.Lock()
        self._unread = b""
        self._last_words = ""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # Hashes of strings differ from process to process; a library that walks a set would not repeat itself.
        surroundings = {**os.environ, "PYTHONHASHSEED": "0"}
        surroundings.pop("PYTHONPATH", None)  # the peer must not see this project
        self._popen = subprocess.Popen(
            [python, "-P", SERVERS / "protocol.py", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=surroundings,
            bufsize=0,
            start_new_session=True,  # an interrupt from the keyboard is ours to handle
        )
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """False once the process has ended."""
        return self._popen.poll() is None

    def new(self, **order: Any) -> int:
        """Build an optimizer, and return its id."""
        name = next(self._ids)
        self.request("new", id=name, **order)
        return name

    def drop(self, name: int) -> None:
        """Forget an optimizer with the next request; harmless at any moment, garbage collection included."""
        self._dropped.append(name)

    def request(self, verb: str, **order: Any) -> Any:
        """The answer to one request.

        Raises:
            UnsupportedError: if the library says that it cannot do this.
            PeerError: if the library raised, or the process died, answered no JSON or nothing within the time limit.
        """
        with self._lock:
            while self._dropped:
                self._exchange({"drop": {"id": self._dropped.popleft()}})
            answer = self._exchange({verb: order})
        if "error" not in answer:
            return answer["answer"]
        if answer["unsupported"]:
            raise UnsupportedError(f"{self.peer} {answer['error']}")
        raise PeerError(f"{self.peer} failed at `{verb}`:\n{answer['error']}")

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._write(json.dumps(request, allow_nan=False).encode() + b"\n")
            line = self._readline()
        except (BrokenPipeError, EOFError):
            raise PeerError(self._obituary("died")) from None
        except TimeoutError:
            self.close(grace=0)
            raise PeerError(self._obituary(f"gave no answer for {self._patience:g} seconds and was ended")) from None
        except BaseException:  # an interrupt: the answer would be taken for that of the next request
            self.close(grace=0)
            raise
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not answer.keys() & {"answer", "error"}:
            self.close(grace=0)
            raise PeerError(self._obituary(f"answered {line[:200]!r}, which is no answer, and was ended"))
        return answer

    def _write(self, line: bytes) -> None:
        assert self._popen.stdin is not None
        if self._popen.stdin.closed:
            raise BrokenPipeError
        while line:
            line = line[self._popen.stdin.write(line) :]

    def _readline(self) -> bytes:
        assert self._popen.stdout is not None
        deadline = time.monotonic() + self._patience
        poll = select.poll()
        poll.register(self._popen.stdout, select.POLLIN)
        while b"\n" not in self._unread:
            if not poll.poll(1000 * max(deadline - time.monotonic(), 0)):
                raise TimeoutError
            if not (part := self._popen.stdout.read(2**16)):
                raise EOFError
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _obituary(self, what: str) -> str:
        self.close(grace=1)
        return f"the process of {self.peer} {what}; the last lines that it wrote:\n{self._last_words or '(none)'}"

    def close(self, grace: float = 5.0) -> None:
        """End the process: its input ends, and if it is not gone after `grace` seconds it is killed."""
        atexit.unregister(self.close)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        if self._popen.stdin.closed:
            return
        self._popen.stdin.close()
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()
        self._stderr.seek(0)
        self._last_words = self._stderr.read().decode(errors="replace").strip()[-_LAST_WORDS:]
        self._stderr.close()


_running: dict[tuple[int, str], Process] = {}
"""The peers' processes of this process; a fork must not talk on its parent's pipes, so the process id is part of the key."""


def process_of(peer: str) -> Process:
    """The process that serves a peer, started if there is none that lives.

    Raises:
        PeerMissingError: if the peer is not installed.
    """
    place = os.getpid(), peer
    if place not in _running or not _running[place].alive:
        _running[place] = Process(peer, interpreter(peer))
    return _running[place]
