"""Trajectories: the vectorised incumbent against the one that looks at every result."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.cost import Spent
from experiments.incumbent import POLICIES, incumbent
from experiments.incumbent import judged as compared
from experiments.trajectory import Trajectory, changes, incumbents, judged
from lcbench.curve import LearningCurve
from lcbench.metric import METRICS
from lcbench.query import Query, Result, Status
from lcbench.space import lcbench_space, sample

CONFIGURATION = sample(lcbench_space(), np.random.default_rng(0))
LEVELS = (6, 12, 25, 50)

LOSSES = st.sampled_from([0.1, 0.2, 0.3, 0.4])

results = st.lists(st.tuples(st.sampled_from(LEVELS), st.one_of(LOSSES, st.just(np.inf)), st.integers(1, 60), LOSSES), max_size=40)
"""(epoch, loss there, an earlier epoch, loss there) of every result; all other epochs are worse."""


def curve(epoch, loss, dip, dipped):
    losses = np.full(epoch + 1, 0.9)
    losses[0] = 0.0  # the untrained network, which never counts
    losses[min(dip, epoch)], losses[epoch] = dipped, loss
    return LearningCurve(np.arange(epoch + 1), np.arange(epoch + 1.0), {"val_accuracy": 1 - losses, "test_accuracy": 0.9 - losses})


def run(rows):
    told, trajectory = [], Trajectory(SimpleNamespace(elapsed=0.0), Spent(), METRICS["accuracy"], lambda: 0.0)
    for trial, (epoch, loss, dip, dipped) in enumerate(rows):
        query = Query(CONFIGURATION, epoch, trial)
        failed = not np.isfinite(loss)
        told.append(Result.failure(query, Status.CRASHED, "x") if failed else Result(query, curve(epoch, loss, dip, dipped), loss, 1.0))
        trajectory.told(told[-1])
    return told, trajectory.columns()


@given(results, st.sampled_from(list(POLICIES)))
@settings(max_examples=400)
def test_the_incumbent_after_every_result_is_that_of_the_results_so_far(rows, policy):
    told, columns = run(rows)
    columns = judged(columns, policy)
    best = incumbents(columns, policy, LEVELS[-1])
    for n in range(len(rows)):
        expected = incumbent([compared(result, policy, METRICS["accuracy"]) for result in told[: n + 1]], policy, LEVELS[-1])
        assert best[n] == (expected.query.trial if expected else -1)
        if expected:
            found = {name: columns[name][best[n]] for name in ("epoch", "val_loss", "test_loss", "train_seconds")}
            its = expected.curve.at(expected.query.epoch)
            assert (found["epoch"], found["train_seconds"]) == (expected.query.epoch, expected.query.epoch)
            assert (found["val_loss"], found["test_loss"]) == (expected.loss, 1 - its["test_accuracy"])


@given(results, st.sampled_from(list(POLICIES)))
@settings(max_examples=200)
def test_changes_lose_nothing(rows, policy):
    columns = judged(run(rows)[1], policy)
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
