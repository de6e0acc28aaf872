"""The loop on benchmarks that cost nothing: budgets, order, failures, and the pair interrupted = uninterrupted."""

import errno
import os
import random
import threading
import time
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from threadpoolctl import threadpool_info, threadpool_limits

from experiments.config import Budget
from experiments.cost import Account, WallClock
from experiments.executors import Local, Serial
from experiments.loop import Asked, Loop, Told
from lcbench.errors import UserError
from lcbench.query import Status
from lcbench.space import key, lcbench_space
from optimizers.random_search import RandomSearch
from optimizers.rungs import ladder
from pipeline.sandbox import Limits, Sandbox, run_in_child
from tests.experiments.conftest import OPTIMIZERS, fewer, skipping_absent_peers
from tests.fakes import FakeBenchmark, MisbehavingBenchmark, allocate_without_end, crash, diverge, sleep_for_ever

LADDER = ladder(50, 6, 2)


class History:
    """Keeps what the loop did, and can be cut anywhere, as a kill would."""

    def __init__(self):
        self.events = []

    def asked(self, query, *, admitted):
        self.events.append(Asked(query, admitted))

    def told(self, result):
        self.events.append(Told(result))


@dataclass(frozen=True)
class Jittery(FakeBenchmark):
    """The fake, answering in any order."""

    def evaluate(self, query):
        time.sleep(random.random() * 0.003)
        return super().evaluate(query)


def _optimizer(name, seed=0):
    node = {k: v for k, v in OmegaConf.load(OPTIMIZERS[name]).items() if k != "name"}
    with skipping_absent_peers():
        return instantiate(node)(lcbench_space(), LADDER, np.random.default_rng(seed))


def _run(name, budget, *, benchmark=None, executor=None, history=(), continues=True, clock=None):
    kept = History()
    executor = executor or Serial(benchmark or FakeBenchmark())
    loop = Loop(_optimizer(name), executor, Account(budget, continues), clock or WallClock(None), (kept,), in_order=not budget.by_clock)
    results = loop.run(history)
    executor.close()
    return results, [*history, *kept.events]


def _outcome(results):
    return [(r.query.trial, r.query.epoch, key(r.query.configuration), r.loss, r.status) for r in results]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_budget_of_trials_starts_exactly_so_many(name):
    results, _ = _run(name, Budget(trials=20))
    assert {result.query.trial for result in results} == set(range(20))


class Watched(RandomSearch):
    """Notes on how many threads it computes."""

    def __init__(self, *args):
        super().__init__(*args)
        self.threads = set()

    def ask(self):
        self.threads |= {pool["num_threads"] for pool in threadpool_info()}
        return super().ask()


def test_an_optimizer_computes_on_one_thread_beside_the_trainings():
    optimizer = Watched(lcbench_space(), LADDER, np.random.default_rng(0))
    with threadpool_limits(2):
        loop = Loop(optimizer, Serial(FakeBenchmark()), Account(Budget(trials=2), True), WallClock(None), (), in_order=True)
        loop.run()
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}
    assert optimizer.threads == {1}


def test_promotions_of_the_last_trials_still_run():
    results, _ = _run("hyperband", Budget(trials=8))
    assert [result.query.epoch for result in results] == [6] * 8 + [12] * 4 + [25] * 2 + [50]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("continues", [True, False])
def test_a_budget_of_epochs_is_never_exceeded_and_nearly_used(name, continues):
    results, _ = _run(name, Budget(epochs=500), continues=continues)
    reached, spent = {}, 0
    for result in results:
        spent += result.query.epoch - (reached.get(result.query.trial, 0) if continues else 0)
        reached[result.query.trial] = result.query.epoch
    assert 450 <= spent <= 500


def test_a_budget_of_seconds_ends_the_run_in_time():
    start = time.monotonic()
    results, _ = _run("random", Budget(seconds=0.3), benchmark=Jittery(), clock=WallClock(0.3))
    assert 0.25 < time.monotonic() - start < 1
    assert len(results) > 20


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("workers", [2, 3])
def test_without_a_clock_the_run_does_not_depend_on_who_ends_first(name, workers):
    budget = Budget(trials=fewer(name, 14))
    first, _ = _run(name, budget, executor=Local(Jittery(), workers=workers))
    second, _ = _run(name, budget, executor=Local(FakeBenchmark(), workers=workers))
    assert _outcome(first) == _outcome(second)


@cache
def _whole(name, budget, workers):
    """A run that nothing has interrupted, and what happened in it."""
    return _run(name, budget, executor=Serial(FakeBenchmark()) if workers == 1 else Local(FakeBenchmark(), workers=workers))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("limits", [{"trials": 14}, {"epochs": 300}], ids=["trials", "epochs"])
@pytest.mark.parametrize("workers", [1, 2])
@settings(max_examples=6)
@given(data=st.data())
def test_cut_anywhere_and_resumed_equals_uninterrupted(name, limits, workers, data):
    budget = Budget(**{limit: fewer(name, amount) for limit, amount in limits.items()})

    def executor():
        return Serial(FakeBenchmark()) if workers == 1 else Local(FakeBenchmark(), workers=workers)

    whole, events = _whole(name, budget, workers)
    cut = data.draw(st.integers(0, len(events)))
    again = data.draw(st.integers(cut, len(events)))
    _, once_resumed = _run(name, budget, executor=executor(), history=events[:cut])
    twice, _ = _run(name, budget, executor=executor(), history=once_resumed[:again])
    assert _outcome(twice) == _outcome(whole)


def test_a_larger_budget_goes_on_with_the_same_trials():
    _, events = _run("bohb", Budget(trials=9))
    extended, _ = _run("bohb", Budget(trials=14), history=events)
    direct, _ = _run("bohb", Budget(trials=14))
    assert {r.query.trial for r in extended} == {r.query.trial for r in direct}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("workers", [1, 2])
@settings(max_examples=3)
@given(data=st.data())
def test_a_larger_budget_of_epochs_goes_on_wherever_the_smaller_one_ended(name, workers, data):
    """What did not fit is asked for again, once there is room for it; killed in between, the run ends the same."""

    def executor():
        return Serial(FakeBenchmark()) if workers == 1 else Local(FakeBenchmark(), workers=workers)

    amounts = [data.draw(st.integers(fewer(name, 60), fewer(name, 300))) for _ in range(2)]
    small, large = Budget(epochs=min(amounts)), Budget(epochs=max(amounts) + 50)
    short, events = _run(name, small, executor=executor())
    extended, all_events = _run(name, large, executor=executor(), history=events)
    assert _outcome(extended)[: len(short)] == _outcome(short)
    assert sum(isinstance(event, Told) for event in all_events) == len(extended)
    reached = {}
    for result in extended:
        reached[result.query.trial] = max(result.query.epoch, reached.get(result.query.trial, 0))
    assert large.epochs - 50 < sum(reached.values()) <= large.epochs
    cut = data.draw(st.integers(len(events), len(all_events)))
    resumed, _ = _run(name, large, executor=executor(), history=all_events[:cut])
    assert _outcome(resumed) == _outcome(extended)


def test_a_record_of_another_version_is_refused():
    _, events = _run("random", Budget(trials=3))
    forged = [Asked(replace(events[0].query, epoch=25)), *events[1:]]
    with pytest.raises(UserError, match="asks for trial 0 at epoch 25, but the optimizer now asks for trial 0 at epoch 50"):
        _run("random", Budget(trials=3), history=forged)


def test_what_a_job_has_raised_is_not_lost_behind_results_that_nobody_asks_for():
    executor = Local(SimpleNamespace(evaluate=lambda query: query), workers=1)
    for query in range(3):
        executor.submit(query)
    executor.run(_full_disk)
    while executor._done.qsize() < 4:
        time.sleep(0.01)
    with pytest.raises(OSError, match="No space left"):
        executor.settle()
    executor.settle()
    executor.close()


def _full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", ["random", "bohb"])
def test_every_way_to_fail_is_a_status_and_the_run_goes_on(name):
    acts = {1: sleep_for_ever, 2: allocate_without_end, 3: crash, 4: diverge}
    sandbox = Sandbox(MisbehavingBenchmark(acts=acts), Limits(seconds=5, memory_mb=300))
    results, _ = _run(name, Budget(trials=9), executor=Local(sandbox, workers=2))
    status = {result.query.trial: result.status for result in results if result.query.trial in acts}
    assert status == {1: Status.TIMEOUT, 2: Status.MEMOUT, 3: Status.CRASHED, 4: Status.DIVERGED}
    failed = [result for result in results if not result.ok]
    assert len(failed) == 4
    assert all(result.loss == float("inf") and result.error for result in failed)
    assert "ZeroDivisionError: trial 3 was told to crash" in next(r.error for r in failed if r.query.trial == 3)
    assert {result.query.trial for result in results} == set(range(9))


def test_a_bug_outside_the_sandbox_is_raised_and_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        _run("random", Budget(trials=3), executor=Local(MisbehavingBenchmark(acts={1: crash}), workers=2))


def test_what_the_end_of_the_run_cuts_is_not_told():
    run_in_child(time.time, limits=Limits())  # the fork server is there when the clock starts
    clock = WallClock(2.0)
    sandbox = Sandbox(MisbehavingBenchmark(acts=dict.fromkeys(range(3, 99), sleep_for_ever)), Limits(), clock.deadline)
    results, events = _run("random", Budget(seconds=2), executor=Local(sandbox, workers=2), clock=clock)
    assert all(result.ok for result in results)
    assert {result.query.trial for result in results} == {0, 1, 2}
    assert {event.query.trial for event in events if isinstance(event, Asked)} > {0, 1, 2}
    assert clock.elapsed < 4


def test_local_runs_as_many_at_once_as_it_has_workers():
    running, most, lock = 0, 0, threading.Lock()

    class Watched(FakeBenchmark):
        def evaluate(self, query):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return super().evaluate(query)

    _run("random", Budget(trials=8), executor=Local(Watched(), workers=3))
    assert most == 3


def test_bad_workers_are_refused():
    with pytest.raises(UserError, match=r"`executor\.workers` is 0, but must be at least 1"):
        Local(FakeBenchmark(), workers=0)


@pytest.mark.parametrize("part", ["seconds", "trials", "epochs"])
def test_a_budget_must_be_positive(part):
    with pytest.raises(UserError, match=rf"`budget\.{part}` is -1, but must be positive"):
        Budget(**{part: -1})
