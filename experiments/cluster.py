"""Queries on a Dask cluster: threads of this process, processes of this machine, a running cluster or a queue; the same code throughout.

Every query is evaluated in a sandboxed child of a worker, whose process must be allowed to have children. A worker that dies is not the
fault of what it evaluated: Dask gives its queries to another one. All machines see one file system.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from experiments.executors import raise_first
from lcbench.errors import UserError
from lcbench.machine import cores
from pipeline.sandbox import stop_away

PATIENCE = 600.0
"""Seconds to wait for the first worker, which a queue may give late."""
LOOK_SECONDS = 5.0
"""Seconds between two looks for workers, while nothing comes; and in which a result should have come."""
ROUNDS = 10
"""So often a query is given to the cluster anew after the deaths of workers; then they are taken for its fault."""
SETTINGS = {
    "distributed.worker.daemon": False,  # a daemonic process may not have children
    "distributed.scheduler.allowed-failures": 100,  # queries have children of their own: the death of a worker is hardly their fault
    "distributed.scheduler.work-stealing": False,  # a query is long, and nothing is won by moving it
}


class Dask:
    """An executor on a cluster of Dask (https://distributed.dask.org).

    Args:
        benchmark: a sandbox, or what evaluates in one; picklable.
        workers: how many evaluations run at the same time; None: one per core of this machine, or whatever a running cluster has now.
        processes: workers of this machine are processes of their own, not threads of this one.
        address: a running scheduler, for example tcp://head:8786.
        cluster: anything of dask-jobqueue and the like, which is scaled to `workers`, and closed with this executor.

    Raises:
        UserError: if Dask is not installed, two clusters are named, or there is no worker.
    """

    def __init__(
        self,
        benchmark: Any,
        *,
        workers: int | None = None,
        processes: bool = False,
        address: str | None = None,
        cluster: Any = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise UserError(f"`executor.workers` is {workers}, but must be at least 1, or null for one per core")
        if address and cluster is not None:
            raise UserError(f"`executor.address` is {address!r} and `cluster` is given as well: leave one of them out")
        self._benchmark = benchmark
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._open: dict[Any, tuple[Any, int]] = {}  # future: query, rounds of deaths that it has seen
        self._cluster, self._client = _connect(workers, processes, address, cluster)
        self.slots = self._wait_for(workers, address)
        self._jobs = ThreadPoolExecutor(1, "job")

    def _wait_for(self, workers: int | None, address: str | None) -> int:
        """How many evaluations run at the same time, for the whole run; some workers may come later."""
        from distributed import TimeoutError as TooLate

        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except TooLate:
            self._shut()
            raise UserError(
                f"no worker has come in {PATIENCE:g} s to {address or 'the cluster'}: start some, or ask its queue why"
            ) from None
        return workers or (sum(self._client.nthreads().values()) if address else cores())

    def submit(self, query: Any) -> None:
        """Queue a query."""
        self._submit(query, 0)

    def _submit(self, query: Any, n_rounds: int) -> None:
        self._expect(self._client.submit(self._benchmark.evaluate, query, pure=False), query, n_rounds)

    def _expect(self, future: Any, query: Any, n_rounds: int) -> None:
        self._open[future] = query, n_rounds
        future.add_done_callback(self._done.put)

    def next(self) -> Any:
        """Wait for whichever evaluation ends first; what was lost with a worker or a scheduler is evaluated again.

        Raises:
            UserError: if the workers die of a query, time and again.
        """
        from distributed import CancelledError, KilledWorker
        from distributed import TimeoutError as TooLate

        while True:
            future = self._next_done()
            if isinstance(future, BaseException):
                raise future
            query, n_rounds = self._open.pop(future)
            try:
                return _result(future)
            except CancelledError:  # the scheduler was started again
                self._wait_for_scheduler()
                self._submit(query, n_rounds)
            except KilledWorker as error:  # somebody else's scheduler has its own limit of deaths
                if n_rounds >= ROUNDS:
                    raise UserError(f"workers of the cluster die of one query again and again, their logs say why: {error}") from error
                self._wait_for_scheduler()
                self._submit(query, n_rounds + 1)
            except TooLate:
                if future.status == "error":  # it is the evaluation that says so
                    raise
                self._expect(future, query, n_rounds)  # the result has died with its worker, and another one makes it anew

    def _next_done(self) -> Any:
        lost = None
        while True:
            with suppress(queue.Empty):
                return self._done.get(timeout=LOOK_SECONDS)
            lost = None if self._has_workers() else lost or time.monotonic()
            if lost and time.monotonic() - lost > PATIENCE:
                raise UserError(f"the cluster has had no worker for {PATIENCE:g} s: start some and give the same command again")

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except Exception:  # noqa: BLE001 (no scheduler answers, in one of many ways; the client looks for it)
            self._wait_for_scheduler()
            return False

    def _wait_for_scheduler(self) -> None:
        """Until the client, which looks for a scheduler that is lost, has found it or has given up.

        Raises:
            UserError: if it has given up.
        """
        while self._client.status not in ("running", "closed"):
            time.sleep(0.1)
        if self._client.status == "closed":
            raise UserError("the scheduler of the cluster is gone: start it again and give the same command again")

    def run(self, job: Callable[[], None]) -> None:
        """Do something else in this process, beside the cluster."""
        with suppress(RuntimeError):  # the run has ended
            self._jobs.submit(job).add_done_callback(self._raise_later)

    def _raise_later(self, job: Any) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            self._done.put(error)

    def settle(self) -> None:
        """Raise what a job has raised since the last result; the jobs themselves go on, and results that lie ready are dropped."""
        raise_first(self._done)

    def close(self) -> None:
        """Drop what is queued, end what runs, and leave the cluster: one that ran before goes on, one that was made or given ends."""
        self._jobs.shutdown(wait=True, cancel_futures=True)
        with suppress(Exception):  # a cluster that is gone has nothing left to stop
            self._client.cancel(list(self._open), force=True)
            self._client.run(stop_away, self._benchmark.identity)
        self._shut()

    def _shut(self) -> None:
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _result(future: Any) -> Any:
    """What an evaluation has given or raised.

    Raises:
        TimeoutError: if it has died with its worker, or if the evaluation has raised just that.
    """
    from distributed import TimeoutError as TooLate

    seconds = LOOK_SECONDS
    while True:
        try:
            return future.result(timeout=seconds)
        except TooLate:
            if future.status != "finished":
                raise
            seconds *= 4  # it is there, and takes longer; every try transfers it anew


def _connect(workers: int | None, processes: bool, address: str | None, cluster: Any) -> tuple[Any, Any]:
    """The cluster, if it is ours to close, and a client of it."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise UserError(
            "executor=dask needs the package distributed: pip install distributed (and dask-jobqueue for Slurm or PBS)"
        ) from None
    dask.config.set(SETTINGS)
    if address:
        try:
            return None, Client(address, timeout=PATIENCE / 20)
        except OSError as error:
            raise UserError(f"`executor.address` is {address!r}, but no scheduler answers there: {error}") from None
    n, made_here = workers or cores(), cluster is None
    if made_here:
        split = {"n_workers": n, "threads_per_worker": 1} if processes else {"n_workers": 1, "threads_per_worker": n}
        cluster = LocalCluster(processes=processes, dashboard_address=None, **split)
    if processes or not made_here:
        cluster.adapt(minimum=n, maximum=n)  # what has died, or was ended by its queue, is replaced
    return cluster, Client(cluster)
