"""One trial in one child process: with a time limit, a memory limit, and a reason for whatever goes wrong.

Children are forked from a server that has torch loaded already (0.09 s each, where a fresh interpreter takes 12 s). A child
watches a pipe to the process that asked for it and ends with it, so that no orphan trains on after a kill -9.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from lcbench.benchmark import CurveBenchmark
from lcbench.errors import UserError
from lcbench.metric import Metric
from lcbench.query import AT_THE_END, Query, Result, Status
from lcbench.task import TaskInfo
from pipeline.kernels import cache_folder

PRELOAD = (
    "__main__",
    "pipeline.training",
    "pipeline.kernels.ready",
    "pipeline.live",
    "pipeline.members",
    "pipeline.preprocessing.cache",
    "sklearn.impute",
    "sklearn.preprocessing",
    "torch.utils.serialization",
)
RESERVE_BYTES = 2**20
"""Freed when a child runs out of memory, so that it can still say so."""
_REAPING = threading.Lock()
"""Starting a child also asks after all others; two threads that ask at once lose an exit code."""
STOPPED = "killed because the run was stopped"
"""Why a child did not answer that nothing was wrong with."""
FULL_DISK = ("No space left on device", "Disk quota exceeded", "file write failed", "requested and", "Not enough free space")
"""What an error says that is none of the trial: the third is torch's, and numpy's are the last two."""
NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "bad allocation")
"""What an error says that is no MemoryError: torch's allocators, errno 12, and the C++ of boosters."""
ERROR_LINES = 12
"""Of a traceback this many lines, the last ones, are kept as the reason."""


@dataclass(frozen=True)
class Limits:
    """What one trial may use.

    Raises:
        UserError: if a limit is not positive.
    """

    seconds: float | None = None
    """Wall-clock seconds of one evaluation, None for no limit."""
    memory_mb: int | None = None
    """Mebibytes that a trial may allocate beyond an idle child (Linux; RLIMIT_AS), None for no limit."""

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_mb"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"`{name}` of a trial is {value}, but must be positive, or null for no limit")


@dataclass(frozen=True)
class Failure:
    """Why a child did not answer."""

    status: Status
    """What happened, in one word."""
    error: str
    """First lines of the reason."""


def warm_up() -> None:
    """Start the fork server now, so that it loads torch while the parent does other things."""
    _context()
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process; with it all children end
    try:
        ensure_running()
    finally:
        signal.signal(signal.SIGINT, previous)


def is_compiled() -> bool:
    """Whether the kernels of the training lie compiled beside their source, as they do after the first run on a machine."""
    return any(cache_folder().rglob("statistics.moments_and_quantiles-*.nbi"))  # the last one of `pipeline.kernels.ready`


def _context() -> ForkServerContext:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


def run_in_child(
    function: Callable[..., Any],
    *args: object,
    limits: Limits,
    name: str = "worker",
    deadline: float = float("inf"),
    stop: Connection | None = None,
) -> Any | Failure:
    """Call a picklable function in a child and return its value, or a Failure; raises for nothing that the child does but one.

    Args:
        function: importable function.
        *args: picklable arguments.
        limits: time and memory of this call.
        name: name of the child process.
        deadline: `time.monotonic()` at which the child is killed whatever its own limit says.
        stop: a connection whose other end, when closed, kills the child at once.

    Raises:
        OSError: if the disk is full, or no process can be started, which is no fault of the trial: it is made again once there is room.
    """
    context = _context()
    answers, answer = context.Pipe(duplex=False)
    lifeline, held = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(answer, lifeline, limits.memory_mb, function, args), name=name, daemon=True)
    try:
        with _REAPING:
            _start(child)
        answer.close()
        lifeline.close()
        message = _await(child, (answers, stop), limits.seconds, deadline)
    finally:
        _end(child)
        for connection in (answers, answer, lifeline, held):
            connection.close()
    if isinstance(message, OSError):
        raise message
    return message


def _start(child: Any) -> None:
    try:
        child.start()
    except (EOFError, ConnectionError):  # the fork server dies of a fork that is refused
        raise OSError(errno.EAGAIN, "no child process could be started: there are too many processes, or too little memory") from None


def _end(child: Any) -> int | None:
    """Make sure that a child is gone; returns its exit code, None if it never started."""
    if child.pid is None:
        return None
    child.kill()
    with _REAPING:
        child.join()
        return child.exitcode


def _await(child: Any, ends: tuple[Connection, Connection | None], seconds: float | None, deadline: float) -> Any | Failure:
    """Two messages come from a child: that it has begun, which starts its time, and its answer."""
    end, reason, (answers, stop) = deadline, AT_THE_END, ends
    try:
        for _ in range(2):
            ready = wait([one for one in ends if one], None if end == float("inf") else max(end - time.monotonic(), 0))
            if answers not in ready:
                return Failure(Status.TIMEOUT, STOPPED if stop in ready else reason)
            message = answers.recv()
            if seconds is not None and time.monotonic() + seconds < deadline:
                end, reason = time.monotonic() + seconds, f"killed at the time limit of {seconds:g} s"
        return message
    except (EOFError, OSError):  # it died before it answered, or in the middle of its answer
        with _REAPING:
            child.join()
        return Failure(*_death(child.exitcode))


def _death(exitcode: int) -> tuple[Status, str]:
    if exitcode == -9:
        return Status.MEMOUT, "killed by signal 9, which on a machine short of memory is the kernel's doing"
    return Status.CRASHED, f"the process died with exit code {exitcode}"


def _child(answer: Connection, lifeline: Connection, memory_mb: int | None, function: Callable[..., Any], args: tuple[object, ...]) -> None:
    """Body of the child: whatever happens becomes one message."""
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    answer.send("begun")
    reserve = bytearray(RESERVE_BYTES)
    try:
        _limit_memory(memory_mb)
        answer.send(function(*args))
    except MemoryError as error:
        del reserve
        traceback.clear_frames(error.__traceback__)  # what filled the memory is held by the frames of the traceback
        answer.send(Failure(Status.MEMOUT, f"more memory than the limit of {memory_mb} MB"))
    except Exception as error:  # noqa: BLE001 (a sandbox turns every exception into a value)
        lines = "".join(traceback.format_exception(error)).splitlines()[-ERROR_LINES:]
        no_memory = any(words in str(error) for words in NO_MEMORY)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(words in str(error) for words in FULL_DISK)
        failure = Failure(Status.MEMOUT if no_memory else Status.CRASHED, "\n".join(lines))
        answer.send(OSError(errno.ENOSPC, f"No space left on device ({lines[-1]})") if full else failure)


def _die_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except EOFError:
        os._exit(1)


def _limit_memory(memory_mb: int | None) -> None:
    if memory_mb is None or not Path("/proc/self/statm").exists():
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory_mb * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)  # a cluster may have set a lower one
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


class Place:
    """Where children run: this process, with numbers for those that run at the same time and one way to stop them all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stop = multiprocessing.Pipe(duplex=False)
        self._free: list[int] = []
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[str]:
        """A name that no other running child has, here or elsewhere; its journal is called so."""
        with self._lock:
            if not self._free:
                self._free.append(self._count)
                self._count += 1
            number = self._free.pop()
        try:
            yield f"{self.name}-{number}"
        finally:
            with self._lock:
                self._free.append(number)


@cache
def place_away(identity: str) -> Place:
    """The place of a sandbox that was sent to this process, which is a worker of a cluster."""
    return Place(f"worker-{socket.gethostname()}-{os.getpid()}")


def stop_away(identity: str) -> None:
    """Kill what runs here for a sandbox that was sent to this process."""
    place_away(identity).stop[1].close()


@dataclass
class Sandbox:
    """A benchmark whose every evaluation runs in a child: the same answers, and a Result also for what kills a process.

    It can be pickled: in another process it is the same sandbox with children there.
    """

    benchmark: Any
    """The CurveBenchmark that answers inside the child; picklable."""
    limits: Limits
    """What one evaluation may use."""
    deadline: float = float("inf")
    """`time.monotonic()` at which whatever is running is killed."""
    place: Place = field(default_factory=lambda: Place("worker"), repr=False)
    """Where the children run."""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)
    """Names the sandbox wherever it is sent to."""

    def __getstate__(self) -> dict[str, Any]:
        until = self.deadline - time.monotonic() + time.time()  # every machine has a monotonic clock of its own
        return {"benchmark": self.benchmark, "limits": self.limits, "identity": self.identity, "until": until}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.benchmark, self.limits, self.identity = state["benchmark"], state["limits"], state["identity"]
        self.deadline, self.place = state["until"] - time.time() + time.monotonic(), place_away(self.identity)

    @property
    def task(self) -> TaskInfo:
        """The task of the wrapped benchmark."""
        return self.benchmark.task

    @property
    def space(self) -> ConfigurationSpace:
        """The space of the wrapped benchmark."""
        return self.benchmark.space

    @property
    def epochs(self) -> int:
        """The largest epoch of the wrapped benchmark."""
        return self.benchmark.epochs

    @property
    def metric(self) -> Metric:
        """The metric of the wrapped benchmark."""
        return self.benchmark.metric

    def evaluate(self, query: Query) -> Result:
        """Answer in a child; may be called from several threads, each of which then supervises one child."""
        start = time.perf_counter()
        answer = self.call(_evaluate, self.benchmark, query)
        if isinstance(answer, Failure):
            return Result.failure(query, answer.status, answer.error, seconds=time.perf_counter() - start)
        return answer

    def call(self, function: Callable[..., Any], *args: object, times: int = 1) -> Any | Failure:
        """Call a picklable function in a child that may take `times` as long as one evaluation."""
        limits = Limits(None if self.limits.seconds is None else times * self.limits.seconds, self.limits.memory_mb)
        with self.place.slot() as name:
            return run_in_child(function, *args, limits=limits, name=name, deadline=self.deadline, stop=self.stop_signal)

    @property
    def stop_signal(self) -> Connection:
        """A connection for `run_in_child`: whatever else is run under it ends with `stop`, too."""
        return self.place.stop[0]

    def stop(self) -> None:
        """Kill whatever is running here, now; the sandbox cannot be used afterwards."""
        self.place.stop[1].close()


def _evaluate(benchmark: CurveBenchmark, query: Query) -> Result:
    return benchmark.evaluate(query)
