"""The Dask executor: the same trainings in threads, in processes, on a running cluster, and with workers that die."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.cluster import LOOK_SECONDS, SETTINGS, Dask, _result
from experiments.config import register
from experiments.door import CONF
from lcbench.errors import UserError
from lcbench.journal import iter_records
from lcbench.schema import PER_SEED
from tests.experiments.test_collect import assert_equal, command, run, tables
from tests.experiments.test_run import _trials

distributed = pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[2]
WORDS = ("tasks=wine,iris", "configs=6", "seeds=1,2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"), *WORDS)


@pytest.fixture
def running():
    """A cluster of two processes that somebody else has started: a scheduler and workers in processes of their own."""
    code = (
        "import dask, time; dask.config.set({'distributed.worker.daemon': False}); from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)\n"
        "    print(cluster.scheduler_address, flush=True)\n    time.sleep(1000)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    yield process.stdout.readline().strip()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def collected(folder, *words):
    answer = subprocess.run(command(folder, *words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return tables(folder / "default")


@pytest.mark.parametrize("processes", ["false", pytest.param("true", marks=pytest.mark.slow)])
def test_threads_and_processes_give_the_same_database(whole, tmp_path, processes):
    options = ("executor=dask", "executor.workers=2", f"executor.processes={processes}")
    assert_equal(collected(tmp_path, *WORDS, *options), whole)


@pytest.mark.slow
def test_a_running_cluster_serves_one_command_after_the_other(whole, tmp_path, running):
    options = ("executor=dask", f"executor.address={running}")
    collected(tmp_path, "tasks=wine", "configs=3", "seeds=1", *options)
    assert_equal(collected(tmp_path, *WORDS, *options), whole)


@pytest.mark.slow
def test_a_search_on_a_cluster_finds_what_a_search_here_finds(door, running):
    options = ("task=iris", "optimizer=hyperband", "budget.trials=8", "fidelity.max_epochs=8", "fidelity.min_epochs=2", "ensemble.size=0")
    here = door(*options, "executor=local", "executor.workers=2", f"runs={door.runs}/here")
    there = door(*options, "executor=dask", "executor.workers=2", f"executor.address={running}", f"runs={door.runs}/there")
    assert here.returncode == there.returncode == 0, here.stderr + there.stderr
    one, other = (_trials(door.runs / place / "live/iris/lcbench/hyperband/0") for place in ("here", "there"))
    assert one == other
    assert len(one) >= 8


def _collect_while_workers_die(folder, words, seconds_between, rng, most=1000):
    """Collect on two processes of which one dies every so often; returns the database and how many have died."""
    process = subprocess.Popen(
        command(folder, *words, "executor=dask", "executor.workers=2", "executor.processes=true"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = 0
    reader = threading.Thread(target=process.communicate)
    reader.start()
    while process.poll() is None and not list(folder.rglob("*.journal")):
        time.sleep(0.1)
    while process.poll() is None:
        time.sleep(seconds_between)
        workers = _workers(process.pid)
        if workers and killed < most and process.poll() is None:
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
    reader.join()
    assert process.returncode == 0
    _assert_nothing_double(folder)
    return tables(folder / "default"), killed


def _workers(pid):
    """The processes that Dask's nannies started: children of the command that are no fork server and no resource tracker."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        if parent == pid and "spawn_main" in words:
            found.append(int(path.name))
    return found


def _assert_nothing_double(folder):
    """Every training has ended once in the journals, from which a table takes the last of equals."""
    for journal in folder.rglob("collect.journal"):
        ends = Counter(record["trial"] for record in iter_records(journal) if record["kind"] == "end")
        assert set(ends.values()) == {1}


def _assert_each_once(found, tasks, configs, seeds):
    assert set(found) == set(tasks)
    for table in found.values():
        assert sorted(row.trial for row in table.trainings) == sorted(seed * PER_SEED + i for i in range(configs) for seed in seeds)
        assert {row.status for row in table.trainings} == {"success"}


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path):
    words = ("tasks=wine", "configs=30", "seeds=1,2", "epochs=20")
    found, killed = _collect_while_workers_die(tmp_path, words, 0.3, random.Random(0), most=1)
    assert killed > 0
    _assert_each_once(found, ("wine",), 30, (1, 2))


def _die_once(mark):
    """Kills the worker that is the first to do it."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def test_a_scheduler_that_gives_up_at_once_loses_nothing(tmp_path):
    """Dask's own limit is three deaths; a running scheduler may have any."""
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
        cluster.adapt(minimum=1, maximum=1)
    executor = Dask(SimpleNamespace(evaluate=_die_once, identity="none"), workers=1, address=cluster.scheduler_address)
    try:
        executor.submit(mark := tmp_path / "died")
        assert executor.next() == "done"
        assert mark.exists()
    finally:
        executor.close()
        cluster.close()


def _die(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_query_that_kills_every_worker_gets_a_sentence(monkeypatch):
    monkeypatch.setattr("experiments.cluster.ROUNDS", 1)
    monkeypatch.setitem(SETTINGS, "distributed.scheduler.allowed-failures", 0)
    executor = Dask(SimpleNamespace(evaluate=_die, identity="none"), workers=1, processes=True)
    try:
        executor.submit(0)
        with pytest.raises(UserError, match="workers of the cluster die of one query again and again"):
            executor.next()
    finally:
        executor.close()


@dataclass
class _Late:
    """A result that is there, or was, and comes to those who wait long enough."""

    status: str
    tries: list[float] = field(default_factory=list)

    def result(self, timeout):
        self.tries.append(timeout)
        if timeout < 10 * LOOK_SECONDS:
            raise TimeoutError
        return "done"


def test_a_result_that_takes_long_to_come_is_waited_for():
    assert _result(late := _Late("finished")) == "done"
    assert len(late.tries) <= 3
    for status in ("lost", "pending", "error"):  # another worker makes it anew, or it is the evaluation that says so
        with pytest.raises(TimeoutError):
            _result(_Late(status))


def _wait(seconds):
    time.sleep(seconds)
    return "done"


def _serve(port):
    code = (
        "import dask, time; dask.config.set({'distributed.worker.daemon': False}); from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        f"    LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, scheduler_port={port}, processes=False)\n"
        "    print('ready', flush=True)\n    time.sleep(1000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline().strip() == "ready"
    return process


def _ended(process):
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_a_scheduler_that_is_started_again_loses_nothing():
    """And one that is not is said to be gone."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = _serve(port)
    executor = Dask(SimpleNamespace(evaluate=_wait, identity="none"), workers=2, address=f"tcp://127.0.0.1:{port}")
    try:
        executor.submit(0.0)
        assert executor.next() == "done"
        executor.submit(3.0)
        executor.submit(0.0)
        _ended(server)
        server = _serve(port)
        assert [executor.next(), executor.next()] == ["done", "done"]
        executor.submit(30.0)
        executor._client._timeout = 1.0
        _ended(server)
        with pytest.raises(UserError, match="the scheduler of the cluster is gone: start it again"):
            executor.next()
    finally:
        _ended(server)
        executor.close()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_worker_is_killed_every_20_seconds_for_5_minutes(tmp_path):
    words = ("tasks=wine,iris,breast_cancer,digits", "configs=2000", "seeds=1", "epochs=50", "seconds=300")
    found, killed = _collect_while_workers_die(tmp_path, words, 20.0, random.Random(0))
    assert killed >= 14
    for table in found.values():
        numbers = {row.trial - PER_SEED for row in table.trainings}
        assert numbers == set(range(len(numbers)))  # the last trainings that were given are waited for
        assert {row.status for row in table.trainings} <= {"success", "diverged"}
        assert all(len(row.curve) == 51 for row in table.trainings if row.status == "success")
    whole = collected(tmp_path / "again", *(word for word in words if not word.startswith("seconds")), "configs=20")
    for task, table in whole.items():
        rows = {row.trial: row for row in found[task].trainings}
        for row in table.trainings:
            if row.status == "success":
                twin = rows[row.trial].curve.values  # columns of layers that a network does not have are NaN
                assert all(np.array_equal(twin[name], values, equal_nan=True) for name, values in row.curve.values.items())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("executor.workers=0",), "`executor.workers` is 0, but must be at least 1"),
        (("executor.address=tcp://127.0.0.1:1",), "`executor.address` is 'tcp://127.0.0.1:1', but no scheduler answers there"),
    ],
)
def test_what_cannot_be_gets_a_sentence(tmp_path, words, sentence, monkeypatch):
    monkeypatch.setattr("experiments.cluster.PATIENCE", 20.0)
    with pytest.raises(UserError, match=sentence):
        run(tmp_path, "tasks=wine", "configs=1", "executor=dask", *words)


def test_without_dask_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match="pip install distributed"):
        run(tmp_path, "tasks=wine", "configs=1", "executor=dask")


@pytest.mark.parametrize(("name", "cluster"), [("slurm", "SLURMCluster"), ("pbs", "PBSCluster")])
def test_a_job_of_a_queue_may_have_children_and_computes_on_one_core(name, cluster):
    pytest.importorskip("dask_jobqueue")
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("run", ["executor=dask", f"cluster={name}", f"cluster.queue={name}_queue"])
    assert config.executor.cluster == config.cluster
    assert config.cluster._target_ == f"dask_jobqueue.{cluster}"
    about = {key: value for key, value in OmegaConf.to_container(config.cluster).items() if key != "_target_"}
    about |= {"n_workers": 0, "scheduler_options": {"dashboard": False}}
    code = f"import dask_jobqueue; print(dask_jobqueue.{cluster}(**{about!r}).job_script())"
    script = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "DASK_DISTRIBUTED__WORKER__DAEMON=False" in script
    assert "OMP_NUM_THREADS=1" in script
    assert "--nthreads 1" in script
    assert f"{name}_queue" in script
