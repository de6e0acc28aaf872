"""Trainings in a child process, several in one go: a small network takes a tenth of a second, which is what a child costs.

On a processor they are done one after the other, on another device side by side.
"""

from __future__ import annotations

import errno
import socket
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcbench.errors import UserError, in_words
from lcbench.query import Query, Status
from lcbench.recording import end_record, training_record
from lcbench.space import plain
from pipeline.sandbox import ERROR_LINES, Failure, Sandbox
from pipeline.turns import Turns, Work

if TYPE_CHECKING:
    from pipeline.live import LiveBenchmark

FATAL = ("OutOfMemoryError", "AcceleratorError")
"""Errors of torch that are not the fault of one training: a device is full, or lost to this process; like those of its own allocator."""
RESIDENT = 256
"""Networks that are trained side by side on a device."""
Records = list[dict[str, Any]]
"""What a training writes down (`lcbench.recording`), its end last."""


@dataclass(frozen=True)
class Chunk:
    """Trainings on one task that one child does."""

    live: LiveBenchmark
    queries: tuple[Query, ...]


@dataclass(frozen=True)
class Recorded:
    """What became of a chunk: all its trainings, or none and why the child was lost with them."""

    chunk: Chunk
    trainings: tuple[Records, ...]
    failure: Failure | None = None


def failed(query: Query, horizon: int, status: Status, error: str) -> Records:
    """The records of a training of which nothing is left."""
    name: dict[str, Any] = {"trial": query.trial, "horizon": horizon}
    about: dict[str, Any] = {"seed": query.seed, "configuration": plain(query.configuration), "origin": str(query.origin)}
    return [training_record(**name, **about), end_record(**name, status=status, error=error, epoch=-1)]


@dataclass(frozen=True)
class Recorder:
    """Does chunks, each in a child of the sandbox; what an executor asks."""

    sandbox: Sandbox

    @property
    def identity(self) -> str:
        """That of the sandbox."""
        return self.sandbox.identity

    def evaluate(self, chunk: Chunk) -> Recorded:
        """Train a chunk; never raises for what a training does.

        The child is killed when all trainings together take longer than they may, and one of them once more; one that takes too long by
        itself ends with the epoch that went beyond, for which there is this time.

        Raises:
            UserError: if this machine lacks a file, a package or room on a disk, which is no fault of a training.
        """
        answer = self.sandbox.call(_record, chunk, self.sandbox.limits.seconds, times=len(chunk.queries) + 1)
        if isinstance(answer, UserError):
            raise answer
        return Recorded(chunk, (), answer) if isinstance(answer, Failure) else Recorded(chunk, tuple(answer))


def what_is_missing(device: str) -> str:
    """Why torch cannot train on a device, nothing if it can; called in a child, because a process that has asked cannot be forked."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        return str(error).partition("\n")[0].rstrip(".")
    return ""


def _record(chunk: Chunk, limit: float | None) -> Sequence[Records] | UserError:
    """In the child: a training that raises is a crash, and the next one goes on; without memory or files nothing does."""
    try:
        return _recorded(chunk, limit)
    except (OSError, ImportError) as error:
        if getattr(error, "errno", None) == errno.ENOMEM:
            raise
        reason = in_words(error) if isinstance(error, OSError) else str(error)
        return UserError(
            f"{socket.gethostname()} cannot train on {chunk.live.task.name!r}: {reason}; give it what it lacks and the same command again, "
            "nothing that was recorded is lost"
        )


def _recorded(chunk: Chunk, limit: float | None) -> Sequence[Records]:
    done: dict[int, Records] = {}
    for gives_way in (True, False):  # what does not would hold the others up, and they would pay for it
        turns = Turns(RESIDENT if gives_way else 1)
        places = [place for place, query in enumerate(chunk.queries) if chunk.live.gives_way(query) == gives_way]
        for number, records in turns.results(_attempt(chunk, chunk.queries[place], turns.clock, limit) for place in places):
            done[places[number]] = records
    return [done[place] for place in sorted(done)]


def _attempt(chunk: Chunk, query: Query, clock: Callable[[], float], limit: float | None) -> Work[Records]:
    try:
        return (yield from chunk.live.recording(query, clock, limit))
    except (MemoryError, OSError, ImportError):
        raise
    except Exception as error:
        if "allocate memory" in str(error) or type(error).__name__ in FATAL:
            raise
        lines = "".join(traceback.format_exception(error)).splitlines()[-ERROR_LINES:]
        return failed(query, chunk.live.horizon(query), Status.CRASHED, "\n".join(lines))
