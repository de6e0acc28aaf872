"""Freeze-thaw search: every step is one epoch, and what was granted to a trial is served, with any number of open asks."""

from collections import Counter

import numpy as np
import pytest

from lcbench.query import Origin, Result, Status
from lcbench.space import lcbench_space
from optimizers.freeze_thaw import FreezeThaw
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark
from tests.laws.test_optimizers import drive

LADDER = ladder(50, 6, 2)


def make(**settings):
    return FreezeThaw(lcbench_space(), LADDER, np.random.default_rng(0), **settings)


def test_a_trial_goes_on_by_one_epoch():
    asked, _ = drive(make(), FakeBenchmark(), 150, n_open=3)
    reached = Counter()
    for query in asked:
        assert query.epoch == reached[query.trial] + 1
        reached[query.trial] = query.epoch
    assert len(reached) < 150


@pytest.mark.parametrize("n_open", [1, 2, 4])
def test_what_is_granted_is_served_without_another_decision(n_open):
    """With `grant` 1 a chosen trial doubles its epochs: far fewer decisions than asks, however many workers there are."""
    optimizer = make(grant=1.0)
    asked, _ = drive(optimizer, FakeBenchmark(), 200, n_open=n_open)
    assert optimizer._n_decisions < 0.8 * len(asked)


def test_a_grant_ends_with_a_failure():
    optimizer, benchmark = make(grant=1.0), FakeBenchmark()
    drive(optimizer, benchmark, 120)
    while not optimizer._granted:
        optimizer.tell(benchmark.evaluate(optimizer.ask()))
    query = optimizer.ask()
    assert query.origin is Origin.PROMOTION
    optimizer.tell(Result.failure(query, Status.CRASHED, "told to fail"))
    assert query.trial not in {optimizer.ask().trial for _ in range(10)}
