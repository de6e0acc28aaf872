"""What each installed peer does, seen from outside: its brackets, its refusals. What is not installed is skipped, and says so."""

from collections import Counter
from importlib import import_module

import numpy as np
import pytest

from lcbench.query import Origin
from lcbench.space import lcbench_space
from optimizers.adapters.errors import PeerMissingError, UnsupportedError
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark, mixed_space

CLIENTS = {
    "hpbandster": "HpBandSter",
    "dehb": "DEHBAutoML",
    "neps": "NePSHyperband",
    "smac": "SMAC",
    "syne_tune": "SyneTuneASHA",
}
LADDER = ladder(50, 6, 2)


def build(peer, space=None, rungs=LADDER, name=None, **settings):
    client = getattr(import_module(f"optimizers.adapters.{peer}"), name or CLIENTS[peer])
    try:
        return client(space or lcbench_space(), rungs, np.random.default_rng(0), **settings)
    except PeerMissingError as error:
        pytest.skip(str(error))


def drive(optimizer, n):
    benchmark, asked = FakeBenchmark(), []
    for _ in range(n):
        asked.append(optimizer.ask())
        optimizer.tell(benchmark.evaluate(asked[-1]))
    return asked


@pytest.mark.parametrize(
    ("peer", "first"), [("hpbandster", (8, 4, 2, 1)), ("dehb", (8, 4, 2, 1)), ("neps", (8, 4, 2, 1)), ("smac", (8, 4, 2, 1))]
)
def test_the_first_bracket_halves(peer, first):
    asked = drive(build(peer), sum(first))
    assert tuple(Counter(query.epoch for query in asked)[epoch] for epoch in LADDER.epochs) == first
    assert sum(query.origin is Origin.PROMOTION for query in asked) == sum(first[1:])


def test_asha_continues_the_best_half_of_a_rung():
    asked = drive(build("syne_tune"), 60)
    starts = [query for query in asked if query.origin is not Origin.PROMOTION]
    assert {query.epoch for query in starts} == {6}
    assert 0 < sum(query.epoch == 12 for query in asked) < len(starts)


@pytest.mark.parametrize("peer", ["hpbandster", "dehb", "neps", "syne_tune"])
def test_a_space_beyond_a_peer_is_refused_in_its_name(peer):
    with pytest.raises(UnsupportedError, match=f"^{peer} (knows no|cannot search)"):
        build(peer, mixed_space())


@pytest.mark.parametrize("peer", ["dehb", "neps", "smac"])
def test_a_ladder_of_one_rung_is_refused_where_it_is_needed(peer):
    with pytest.raises(UnsupportedError, match=f"^{peer} needs two rungs"):
        build(peer, rungs=ladder(50, 50, 2))


def test_smac_trains_in_full_with_its_other_facade():
    assert {query.epoch for query in drive(build("smac", name="SMACFull", n_initial=5), 12)} == {50}


@pytest.mark.parametrize(("peer", "settings"), [("smac", {"n_initial": 0}), ("syne_tune", {"brackets": 0})])
def test_settings_out_of_range_are_refused(peer, settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"`{name}` is 0, but must be at least 1"):
        build(peer, **settings)
