"""Simulated workers: an event queue against a schedule written out by hand, continuation, limits, and the optimizer's own seconds."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config import Budget
from experiments.cost import Account
from experiments.loop import Loop
from experiments.simulated import Simulated, Timed
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.query import Query, Result, Status
from lcbench.space import lcbench_space, sample
from optimizers.hyperband import Hyperband
from optimizers.random_search import RandomSearch
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark

SPACE = lcbench_space()
CONFIGURATION = sample(SPACE, np.random.default_rng(0))


@dataclass
class Lasting:
    """Trainings whose epochs take given seconds, by trial; some fail at an epoch."""

    seconds: list[float]
    ends: dict[int, int] = field(default_factory=dict)

    def evaluate(self, query):
        last = min(query.epoch, self.ends.get(query.trial, query.epoch))
        curve = LearningCurve(np.arange(last + 1), self.seconds[query.trial] * np.arange(last + 1))
        if last < query.epoch:
            return Result.failure(query, Status.CRASHED, "told to end", curve=curve, seconds=float(curve.seconds[-1]))
        return Result.measured(query, curve, 0.5, float(curve.seconds[-1]))


def query(trial, epoch=1):
    return Query(CONFIGURATION, epoch, trial)


def take(workers):
    """The next result as the loop takes it, or None if the run has ended."""
    result = workers.next()
    return workers.charge(result) if workers.admits(result) else None


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=60), st.integers(1, 7))
@settings(max_examples=300)
def test_the_queue_is_the_schedule_that_one_would_write_down(durations, n_workers):
    workers = Simulated(Lasting(durations), workers=n_workers)
    submitted, ends = 0, []
    while submitted < len(durations) or len(ends) < submitted:
        while submitted < min(len(durations), len(ends) + n_workers):
            workers.submit(query(submitted))
            submitted += 1
        ends.append((take(workers).query.trial, workers.elapsed))
    free, expected = [0.0] * n_workers, []
    for trial, duration in enumerate(durations):  # every training begins on the worker that is free first
        worker = min(range(n_workers), key=free.__getitem__)
        free[worker] += duration
        expected.append((free[worker], trial))
    assert [end for _, end in ends] == sorted(end for end, _ in expected)
    assert [end for _, end in ends] == [dict((t, e) for e, t in expected)[trial] for trial, _ in ends]


def test_equal_ends_come_in_the_order_of_submission():
    workers = Simulated(Lasting([2.0] * 5), workers=5)
    for trial in (3, 1, 4, 0, 2):
        workers.submit(query(trial))
    assert [take(workers).query.trial for _ in range(5)] == [3, 1, 4, 0, 2]


@pytest.mark.parametrize(("continues", "charged"), [(True, [6, 6, 13]), (False, [6, 12, 25])])
def test_a_promotion_is_charged_its_new_epochs_or_all(continues, charged):
    workers = Simulated(Lasting([1.0]), continues=continues)
    seconds = []
    for epoch in (6, 12, 25):
        workers.submit(query(0, epoch))
        seconds.append(take(workers).seconds)
    assert seconds == charged
    assert workers.elapsed == sum(charged)


def test_a_continued_trial_that_fails_is_charged_as_far_as_it_came():
    workers = Simulated(Lasting([2.0], ends={0: 9}))
    for epoch in (6, 12):
        workers.submit(query(0, epoch))
        result = take(workers)
    assert (result.status, result.seconds, workers.elapsed) == (Status.CRASHED, 6.0, 18.0)


def test_a_result_after_the_end_does_not_count():
    workers = Simulated(Lasting([1.0, 3.0]), workers=2, limit=25.0)
    workers.submit(query(0, 20))
    workers.submit(query(1, 9))
    assert take(workers).query.trial == 0
    assert (workers.over, workers.elapsed) == (False, 20.0)
    assert take(workers) is None


def test_all_that_ends_at_the_very_end_counts():
    workers = Simulated(Lasting([1.0, 1.0]), workers=2, limit=20.0)
    workers.submit(query(0, 20))
    workers.submit(query(1, 20))
    assert [take(workers).query.trial for _ in range(2)] == [0, 1]
    assert (workers.over, workers.elapsed) == (False, 20.0)


def test_the_seconds_of_the_optimizer_delay_what_it_asked_for():
    thought = iter([1.0, 1.5, 1.5])
    workers = Simulated(Lasting([2.0, 2.0, 0.25]), workers=3, counts_overhead=True, overhead=lambda: next(thought))
    for trial in range(3):
        workers.submit(query(trial))
    assert [(take(workers).query.trial, workers.elapsed) for _ in range(3)] == [(2, 1.75), (0, 3.0), (1, 3.5)]


def test_without_a_worker_nothing_can_be_simulated():
    with pytest.raises(UserError, match=r"`executor\.workers` is 0"):
        Simulated(Lasting([1.0]), workers=0)


def run(n_workers, *, optimizer=Hyperband, seed=0, budget=Budget(epochs=900), continues=True):  # noqa: B008 (frozen)
    workers = Simulated(FakeBenchmark(), workers=n_workers, continues=continues, limit=budget.seconds)
    loop = Loop(
        Timed(optimizer(SPACE, ladder(50, 6, 2), np.random.default_rng(seed))),
        workers,
        Account(budget, continues),
        workers,
        (),
        in_order=False,
    )
    return loop.run(), workers, loop


@pytest.mark.parametrize("n_workers", [1, 2, 5, 16])
def test_workers_are_never_idle_and_never_double(n_workers):
    results, workers, _ = run(n_workers)
    total = sum(result.seconds for result in results)
    longest = max(result.seconds for result in results)
    assert total / n_workers <= workers.elapsed <= total / n_workers + longest * 2
    assert sum(result.query.epoch for result in results) >= 900 * 0.8


def test_more_workers_see_the_same_trainings_earlier():
    alone, together = run(1, optimizer=RandomSearch), run(4, optimizer=RandomSearch)
    assert {r.query.trial: r.loss for r in alone[0]} == {r.query.trial: r.loss for r in together[0]}
    assert together[1].elapsed < alone[1].elapsed / 3


def test_a_run_repeats_to_the_last_bit():
    (one, clock, _), (other, its, _) = run(5), run(5)
    assert [(r.query.trial, r.query.epoch, r.loss, r.seconds) for r in one] == [
        (r.query.trial, r.query.epoch, r.loss, r.seconds) for r in other
    ]
    assert clock.elapsed == its.elapsed


def test_a_budget_of_seconds_is_that_of_the_clock_and_not_of_the_workers():
    results, workers, _ = run(4, budget=Budget(seconds=200.0))
    assert workers.elapsed <= 200.0
    assert sum(result.seconds for result in results) > 600.0


def test_the_optimizer_is_timed():
    _, _, loop = run(1)
    assert math.isfinite(loop.optimizer.seconds)
    assert loop.optimizer.seconds > 0
