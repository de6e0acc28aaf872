"""Trajectories: the vectorised incumbent against the one that looks at every result."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.incumbent import POLICIES, incumbent
from experiments.trajectory import COLUMNS, changes, incumbents
from lcbench.curve import LearningCurve
from lcbench.query import Query, Result, Status
from lcbench.space import lcbench_space, sample

CONFIGURATION = sample(lcbench_space(), np.random.default_rng(0))
LEVELS = (6, 12, 25, 50)

results = st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from([0.1, 0.2, 0.3, 0.4, np.inf])), max_size=40)


def run(rows):
    told = []
    for trial, (epoch, loss) in enumerate(rows):
        query = Query(CONFIGURATION, epoch, trial)
        failed = not np.isfinite(loss)
        told.append(Result.failure(query, Status.CRASHED, "x") if failed else Result(query, LearningCurve.empty(), loss, 1.0))
    columns = {name: np.zeros(len(rows), kind) for name, kind in COLUMNS.items()}
    columns["epoch"] = np.array([epoch for epoch, _ in rows], np.int16)
    columns["val_loss"] = np.array([loss for _, loss in rows], np.float64)
    return told, columns


@given(results, st.sampled_from(list(POLICIES)))
@settings(max_examples=400)
def test_the_incumbent_after_every_result_is_that_of_the_results_so_far(rows, policy):
    told, columns = run(rows)
    best = incumbents(columns, policy, LEVELS[-1])
    for n in range(len(rows)):
        expected = incumbent(told[: n + 1], policy, LEVELS[-1])
        assert best[n] == (expected.query.trial if expected else -1)


@given(results, st.sampled_from(list(POLICIES)))
@settings(max_examples=200)
def test_changes_lose_nothing(rows, policy):
    _, columns = run(rows)
    best = incumbents(columns, policy, LEVELS[-1])
    at, who = changes(columns, best)
    if not len(best):
        assert not len(at)
        return
    assert at[-1] == len(best) - 1
    again = np.full(len(best), -1)
    for i, index in zip(at, who, strict=True):
        again[i:] = index
    assert np.array_equal(again, best)
    assert len(at) <= len(np.unique(best)) + 1
