"""A child that misbehaves in any way becomes a value with a reason, and never outlives its parent."""

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lcbench.query import Query, Status
from lcbench.space import sample
from pipeline.sandbox import Failure, Limits, Sandbox, run_in_child
from pipeline.threads import one_thread
from tests.fakes import MisbehavingBenchmark, sleep_for_ever

ROOT = Path(__file__).resolve().parents[2]


def _double(x):
    return 2 * x


def _sleep():
    time.sleep(1000)


def _allocate():
    hoard = []
    while True:
        hoard.append(bytearray(10 * 2**20))


def _allocate_crumbs():
    hoard = []
    while True:
        hoard.append(bytearray(1000))


def _allocate_tensors():
    import torch

    hoard = []
    while True:
        hoard.append(torch.ones(10 * 2**20))


def _raise():
    raise KeyError("max_units")


def _raise_it(error):
    raise error


def _die():
    os.kill(os.getpid(), signal.SIGSEGV)


def _leave():
    os._exit(3)


def _threads():
    import torch
    from threadpoolctl import threadpool_info, threadpool_limits

    torch.set_num_threads(4)
    threadpool_limits(4)
    one_thread()
    return torch.get_num_threads(), *{library["num_threads"] for library in threadpool_info()}


def _unpicklable():
    return lambda: 0


def test_a_value_comes_back():
    assert run_in_child(_double, 21, limits=Limits()) == 42


def test_sleeping_for_ever_is_a_timeout():
    start = time.monotonic()
    failure = run_in_child(_sleep, limits=Limits(seconds=0.5))
    assert failure == Failure(Status.TIMEOUT, "killed at the time limit of 0.5 s")
    assert time.monotonic() - start < 10


def test_the_deadline_of_the_run_ends_a_child_too():
    failure = run_in_child(_sleep, limits=Limits(seconds=100), deadline=time.monotonic() + 0.5)
    assert failure == Failure(Status.TIMEOUT, "killed at the end of the run's budget")


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits need Linux")
@pytest.mark.parametrize("function", [_allocate, _allocate_crumbs, _allocate_tensors])
def test_allocating_without_end_is_a_memout(function):
    failure = run_in_child(function, limits=Limits(seconds=60, memory_mb=200))
    assert failure.status is Status.MEMOUT


def test_stopping_kills_at_once_whatever_runs():
    sandbox = Sandbox(MisbehavingBenchmark(acts={0: sleep_for_ever}), Limits())
    query = Query(sample(sandbox.space, np.random.default_rng(0)), 5, 0)
    threading.Timer(1.0, sandbox.stop).start()
    start = time.monotonic()
    result = sandbox.evaluate(query)
    assert (result.status, result.error) == (Status.TIMEOUT, "killed because the run was stopped")
    assert time.monotonic() - start < 10


def test_an_exception_is_a_crash_with_its_traceback():
    failure = run_in_child(_raise, limits=Limits())
    assert failure.status is Status.CRASHED
    assert "in _raise" in failure.error
    assert failure.error.endswith("KeyError: 'max_units'")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ENOSPC, "only 7 of 80 bytes of a record could be written; free some disk space"),
        OSError("125000 requested and 4096 written"),
        RuntimeError("PytorchStreamWriter: file write failed"),
    ],
)
def test_a_full_disk_is_no_fault_of_the_trial(error):
    with pytest.raises(OSError, match="No space left on device"):
        run_in_child(_raise_it, error, limits=Limits())


def test_what_a_library_says_of_memory_is_a_memout():
    assert run_in_child(_raise_it, RuntimeError("std::bad_alloc"), limits=Limits()).status is Status.MEMOUT


def test_a_child_that_cannot_be_started_is_no_fault_of_the_trial(monkeypatch):
    def refused(self):
        raise EOFError

    monkeypatch.setattr(multiprocessing.context.ForkServerProcess, "start", refused)
    with pytest.raises(OSError, match="no child process could be started"):
        run_in_child(_raise, limits=Limits())


@pytest.mark.parametrize(("function", "reason"), [(_die, "exit code -11"), (_leave, "exit code 3")])
def test_a_dead_process_is_a_crash(function, reason):
    failure = run_in_child(function, limits=Limits())
    assert failure == Failure(Status.CRASHED, f"the process died with {reason}")


def test_an_answer_that_cannot_be_sent_is_a_crash():
    assert run_in_child(_unpicklable, limits=Limits()).status is Status.CRASHED


class _Truncated:
    """An answer whose sender is killed in the middle of it."""

    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def _answer_and_die():
    return bytearray(10_000_000), _Truncated()


def test_a_child_that_dies_while_it_answers_is_a_failure():
    assert run_in_child(_answer_and_die, limits=Limits()).status is Status.MEMOUT  # signal 9


def _kill_myself():
    os.kill(os.getpid(), signal.SIGKILL)


def test_many_supervisors_lose_no_exit_code():
    with ThreadPoolExecutor(3) as pool:
        failures = list(pool.map(lambda _: run_in_child(_kill_myself, limits=Limits()), range(60)))
    assert {failure.status for failure in failures} == {Status.MEMOUT}


def test_children_compute_on_one_thread_however_many_there_were():
    assert run_in_child(_threads, limits=Limits()) == (1, 1)


def test_limits_must_be_positive():
    with pytest.raises(ValueError, match="`seconds` of a trial is -1, but must be positive"):
        Limits(seconds=-1)


PARENT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from pipeline.sandbox import Limits, run_in_child
from tests.pipeline.test_sandbox import write_pid_and_sleep
if __name__ == "__main__":
    run_in_child(write_pid_and_sleep, {pid_file!r}, limits=Limits())
"""


def write_pid_and_sleep(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(1000)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_ends_with_its_parent_even_by_kill_9(tmp_path):
    pid_file, script = tmp_path / "pid", tmp_path / "parent.py"
    script.write_text(PARENT.format(root=str(ROOT), pid_file=str(pid_file)))
    parent = subprocess.Popen([sys.executable, str(script)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(pid_file.read_text())
    assert _alive(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(child)


@pytest.mark.parametrize("left", [100.0, float("inf")])
def test_a_sandbox_that_is_sent_elsewhere_keeps_what_is_left_of_its_time(monkeypatch, left):
    """The monotonic clock over there began at another moment."""
    sandbox = Sandbox(MisbehavingBenchmark(), Limits(), time.monotonic() + left)
    sent, here = pickle.dumps(sandbox), time.monotonic()
    monkeypatch.setattr("pipeline.sandbox.time.monotonic", lambda: here + 1e6)
    there = pickle.loads(sent)
    assert there.deadline - (here + 1e6) == pytest.approx(left, abs=1.0)
    assert there.identity == sandbox.identity
