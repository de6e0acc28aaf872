"""ASHA: every order of events against the rule written down once more; and ten thousand results in no time."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.curve import LearningCurve
from lcbench.query import Origin, Result, Status
from lcbench.space import lcbench_space
from optimizers.asha import ASHA, StoppingASHA
from optimizers.rungs import ladder

SPACE = lcbench_space()
LADDERS = (ladder(50, 6, 2), ladder(50, 1, 3), ladder(9, 1, 3), ladder(4, 4, 2))

events = st.lists(
    st.one_of(
        st.just(("ask", 0, 0.0)),
        st.tuples(st.just("tell"), st.integers(0, 30), st.sampled_from([0.1, 0.2, 0.2, 0.3, 0.4, 0.5, math.inf, math.nan])),
        st.tuples(st.just("again"), st.integers(0, 30), st.just(0.0)),
    ),
    min_size=30,
    max_size=120,
)


def answer(query, loss):
    curve = LearningCurve(np.arange(query.epoch + 1), np.arange(query.epoch + 1.0))
    if loss == math.inf:
        return Result.failure(query, Status.CRASHED, "told to fail", curve=curve)
    return Result.measured(query, curve, loss, 1.0)


def due(told, promoted, rungs):
    """What Alg. 2 promotes now: (trial, rung that it goes to), or None; from a list of (rung, loss, trial) and nothing else."""
    for rung in reversed(range(len(rungs.epochs) - 1)):
        here = sorted((loss, trial) for r, loss, trial in told if r == rung)
        best = [trial for loss, trial in here[: len(here) // rungs.eta] if math.isfinite(loss)]
        left = [trial for trial in best if (trial, rung) not in promoted]
        if left:
            return left[0], rung + 1
    return None


@given(events=events, which=st.integers(0, len(LADDERS) - 1))
@settings(max_examples=300)
def test_no_order_of_events_promotes_wrongly(events, which):
    rungs = LADDERS[which]
    optimizer = ASHA(SPACE, rungs, np.random.default_rng(0))
    told, promoted, waiting, done = [], set(), [], []
    for kind, place, loss in events:
        if kind == "ask":
            expected, query = due(told, promoted, rungs), optimizer.ask()
            if expected is None:
                assert (query.origin, query.rung, query.epoch) == (Origin.RANDOM, 0, rungs.epochs[0])
            else:
                assert (query.trial, query.rung, query.epoch) == (*expected, rungs.epochs[expected[1]])
                assert query.origin is Origin.PROMOTION
                promoted.add((query.trial, query.rung - 1))
            waiting.append(query)
        elif kind == "tell" and waiting:
            result = answer(waiting.pop(place % len(waiting)), loss)
            optimizer.tell(result)
            told.append((result.query.rung, result.loss, result.query.trial))
            done.append(result)
        elif kind == "again" and done:
            with pytest.raises(KeyError, match="tell every ask once"):
                optimizer.tell(done[place % len(done)])


@given(events=events, which=st.integers(0, len(LADDERS) - 1))
@settings(max_examples=300)
def test_stopping_goes_on_at_once_or_never(events, which):
    rungs = LADDERS[which]
    optimizer = StoppingASHA(SPACE, rungs, np.random.default_rng(0))
    told, due_next, waiting = [], [], []
    for kind, place, loss in events:
        if kind == "ask":
            query = optimizer.ask()
            if due_next:
                assert (query.trial, query.rung, query.origin) == (*due_next.pop(0), Origin.PROMOTION)
            else:
                assert (query.rung, query.origin) == (0, Origin.RANDOM)
            assert query.epoch == rungs.epochs[query.rung]
            waiting.append(query)
        elif kind == "tell" and waiting:
            result = answer(waiting.pop(place % len(waiting)), loss)
            optimizer.tell(result)
            told.append((result.query.rung, result.loss))
            here = sorted(loss for rung, loss in told if rung == result.query.rung)
            good = here.index(result.loss) <= np.quantile(np.arange(len(here)), 1 / rungs.eta) + 1e-9  # of equals the first place
            if good and result.ok and result.query.rung + 1 < len(rungs.epochs):
                due_next.append((result.query.trial, result.query.rung + 1))


def test_the_best_so_far_always_goes_on():
    optimizer = StoppingASHA(SPACE, ladder(50, 1, 4), np.random.default_rng(0))
    for n in range(12):
        query = optimizer.ask()
        while query.rung:  # those that go on are asked for at once
            optimizer.tell(answer(query, 1.0))
            query = optimizer.ask()
        optimizer.tell(answer(query, 1.0 - 0.01 * n))
        assert optimizer._going_on[-1].trial == query.trial


@pytest.mark.parametrize("method", [ASHA, StoppingASHA])
def test_ten_thousand_results_are_not_quadratic(method):
    optimizer, rng = method(SPACE, LADDERS[0], np.random.default_rng(0)), np.random.default_rng(1)
    curve = LearningCurve.empty()
    start = time.perf_counter()
    for _ in range(10_000):
        query = optimizer.ask()
        optimizer.tell(Result(query, curve, rng.random(), 1.0))
    assert time.perf_counter() - start < 10  # a machine under load; 0.5 s on a quiet one


def test_about_one_of_eta_goes_on():
    optimizer, rng = ASHA(SPACE, LADDERS[1], np.random.default_rng(0)), np.random.default_rng(1)
    counts = np.zeros(4, int)
    for _ in range(3000):
        query = optimizer.ask()
        counts[query.rung] += 1
        optimizer.tell(Result(query, LearningCurve.empty(), rng.random(), 1.0))
    assert counts[1:] / counts[:-1] == pytest.approx(1 / 3, abs=0.05)
