"""The machine that runs brackets: golden schedules, failures, and any interleaving of asks and tells."""

import math
from collections import defaultdict
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.curve import LearningCurve
from lcbench.query import Origin, Result, Status
from lcbench.space import lcbench_space
from optimizers.hyperband import Hyperband
from optimizers.rungs import hyperband_bracket, ladder
from optimizers.successive_halving import Brackets, SuccessiveHalving, uniform

LADDER = ladder(50, 6, 2)
CONFIGURATION = lcbench_space().get_default_configuration()


def answer(query, loss):
    if loss is None:
        return Result.failure(query, Status.CRASHED, "told to fail")
    return Result(query, LearningCurve.empty(), float(loss), 1.0)


def serial(optimizer, n, loss):
    """The queries of n asks, each answered at once by `loss(query)`."""
    asked = []
    for _ in range(n):
        asked.append(optimizer.ask())
        optimizer.tell(answer(asked[-1], loss(asked[-1])))
    return asked


def sh():
    return SuccessiveHalving(lcbench_space(), LADDER, np.random.default_rng(0))


def test_the_schedule_of_successive_halving():
    asked = serial(sh(), 30, lambda query: -(query.trial % 15))
    one_bracket = [6] * 8 + [12] * 4 + [25] * 2 + [50]
    assert [query.epoch for query in asked] == one_bracket * 2
    assert [query.rung for query in asked] == ([0] * 8 + [1] * 4 + [2] * 2 + [3]) * 2
    assert [query.bracket for query in asked] == [0] * 15 + [1] * 15
    assert [query.trial for query in asked[:15]] == [*range(8), 4, 5, 6, 7, 6, 7, 7]
    assert [query.origin for query in asked[:15]] == [Origin.RANDOM] * 8 + [Origin.PROMOTION] * 7
    assert asked[15].trial == 8


@pytest.mark.parametrize(
    ("table", "first_sizes", "epochs"),
    [
        ("hpbandster", [8, 4, 4, 4], [6] * 8 + [12] * 4 + [25] * 2 + [50] + [12] * 4 + [25] * 2 + [50] + [25] * 4 + [50] * 2 + [50] * 4),
        ("li2018", [8, 6, 4, 4], [6] * 8 + [12] * 4 + [25] * 2 + [50] + [12] * 6 + [25] * 3 + [50] + [25] * 4 + [50] * 2 + [50] * 4),
    ],
)
def test_the_schedule_of_hyperband(table, first_sizes, epochs):
    optimizer = Hyperband(lcbench_space(), LADDER, np.random.default_rng(0), table=table)
    asked = serial(optimizer, 2 * len(epochs), lambda query: query.trial)
    assert [query.epoch for query in asked] == epochs * 2
    starts = [sum(query.bracket == bracket and query.rung == 0 for query in asked) for bracket in range(4)]
    assert starts == first_sizes
    assert sum(query.origin is not Origin.PROMOTION for query in asked) == 2 * sum(first_sizes)


def test_ties_go_to_the_earlier_trial():
    optimizer = sh()
    waiting = [optimizer.ask() for _ in range(8)]
    for query in reversed(waiting):
        optimizer.tell(answer(query, 0.5))
    assert [optimizer.ask().trial for _ in range(4)] == [0, 1, 2, 3]


def test_a_slot_that_failures_leave_empty_goes_to_a_new_trial_at_that_rung():
    optimizer = sh()
    serial(optimizer, 8, lambda query: query.trial if query.trial in (2, 5) else None)
    rung = [optimizer.ask() for _ in range(4)]
    assert [(query.trial, query.epoch, query.rung, query.bracket) for query in rung] == [
        (2, 12, 1, 0),
        (5, 12, 1, 0),
        (8, 12, 1, 0),
        (9, 12, 1, 0),
    ]
    assert [query.origin for query in rung] == [Origin.PROMOTION] * 2 + [Origin.RANDOM] * 2
    for query in rung:
        optimizer.tell(answer(query, -query.trial))
    assert [optimizer.ask().trial for _ in range(2)] == [8, 9]


def test_a_bracket_of_failures_ends_all_the_same():
    asked = serial(sh(), 15, lambda query: None)
    assert [query.epoch for query in asked] == [6] * 8 + [12] * 4 + [25] * 2 + [50]
    assert [query.trial for query in asked] == list(range(15))


def test_a_new_bracket_starts_while_a_rung_waits_and_the_older_one_goes_first():
    optimizer = sh()
    first = [optimizer.ask() for _ in range(9)]
    assert [query.bracket for query in first] == [0] * 8 + [1]
    for query in first[:8]:
        optimizer.tell(answer(query, query.trial))
    asked = [optimizer.ask() for _ in range(5)]
    assert [(query.bracket, query.rung) for query in asked] == [(0, 1)] * 4 + [(1, 0)]


def check_ask(query, asked, results, plan):
    """Compare one ask with what the written rules allow, given everything asked and told before."""
    n_asked, told = defaultdict(int), defaultdict(list)
    for earlier in asked:
        n_asked[earlier.bracket, earlier.rung] += 1
    for result in results:
        told[result.query.bracket, result.query.rung].append(result)

    def has_job(bracket):
        for rung, size in enumerate(plan(bracket).sizes):
            if len(told[bracket, rung]) < size:
                return rung, n_asked[bracket, rung] < size
        return None, False

    n_started = max((earlier.bracket for earlier in asked), default=-1) + 1
    due = next((bracket for bracket in range(n_started) if has_job(bracket)[1]), n_started)
    rung = has_job(due)[0]
    assert (query.bracket, query.rung, query.epoch) == (due, rung, plan(due).epochs[rung])

    below = sorted((result.loss, result.query.trial) for result in told[due, rung - 1] if result.ok)
    best = {trial for _, trial in below[: plan(due).sizes[rung]]}
    taken = {earlier.trial for earlier in asked if (earlier.bracket, earlier.rung) == (due, rung)}
    if best - taken:
        assert query.trial == min(best - taken)
        assert query.origin is Origin.PROMOTION
    else:
        assert query.trial == max((earlier.trial for earlier in asked), default=-1) + 1
        assert query.origin is Origin.RANDOM


@settings(max_examples=60)
@given(
    n_open=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 10**6), st.one_of(st.none(), st.integers(0, 4))), max_size=120),
    limits=st.sampled_from([(50, 6, 2), (50, 10, 2), (50, 5, 3), (27, 1, 3), (50, 50, 2)]),
    table=st.sampled_from(["hpbandster", "li2018"]),
)
def test_any_interleaving_follows_the_rules(n_open, steps, limits, table):
    plan = partial(hyperband_bracket, ladder=ladder(*limits), table=table)
    machine = Brackets(plan, lambda: (CONFIGURATION, Origin.RANDOM), trial_seed=0)
    asked, waiting, results = [], [], []
    for pick, loss in steps:
        while len(waiting) < n_open:
            query = machine.ask()
            check_ask(query, asked, results, plan)
            asked.append(query)
            waiting.append(query)
        results.append(answer(waiting.pop(pick % n_open), loss))
        machine.tell(results[-1])
    assert len({(query.trial, query.epoch) for query in asked}) == len(asked)  # no trial is promoted twice
    for bracket in {query.bracket for query in asked}:
        for rung, size in enumerate(plan(bracket).sizes):
            assert sum((query.bracket, query.rung) == (bracket, rung) for query in asked) <= size


def test_failures_are_never_promoted():
    optimizer, failed = sh(), set()
    for i in range(200):
        query = optimizer.ask()
        assert query.trial not in failed
        failed |= {query.trial} if i % 3 == 0 else set()
        optimizer.tell(answer(query, None if i % 3 == 0 else math.sin(i)))


def test_uniform_says_that_it_is_random():
    configuration, origin = uniform(lcbench_space(), np.random.default_rng(0))
    configuration.check_valid_configuration()
    assert origin is Origin.RANDOM
