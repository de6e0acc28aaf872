"""The client of every peer: numbers of trials, rungs, continuations, failures, replaced configurations, pickles."""

import gc
import math
import pickle
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from lcbench.query import Origin, Result, Status
from lcbench.space import key, lcbench_space, sample
from optimizers.adapters import peer as client
from optimizers.adapters.errors import PeerError, UnsupportedError
from optimizers.adapters.peer import Peer
from optimizers.adapters.process import process_of
from optimizers.rungs import Ladder
from tests.fakes import FakeBenchmark

BENCHMARK = FakeBenchmark()


@dataclass(eq=False, kw_only=True)
class Fake(Peer):
    """The library of conftest.py."""

    script: Any = None
    at: Any = None
    log: Any = None
    refuses: bool = False

    peer: ClassVar[str] = "colorsys"
    method: ClassVar[str] = "any"


@pytest.fixture
def build(library):
    def built(plan=None, **settings):
        script = None if plan is None else [{"key": name, "budget": budget} for name, budget in plan]
        return Fake(lcbench_space(), Ladder((6, 12, 25, 50), 2), np.random.default_rng(0), trial_seed=9, script=script, **settings)

    return built


def answered(optimizer, n):
    """Ask and tell, n times."""
    asked = []
    for _ in range(n):
        asked.append(optimizer.ask())
        optimizer.tell(BENCHMARK.evaluate(asked[-1]))
    return asked


def said(queries):
    return [(q.trial, q.epoch, str(q.origin), key(q.configuration)) for q in queries]


def test_fractional_budgets_go_to_the_nearest_rung(build):
    asked = answered(build([("a", 6.25), ("b", 12.5), ("c", 24.9), ("d", 50.0), ("e", 1.0)]), 5)
    assert [q.epoch for q in asked] == [6, 12, 25, 50, 6]
    assert [q.trial for q in asked] == [0, 1, 2, 3, 4]
    assert {q.seed for q in asked} == {9}


def test_a_known_key_continues_its_trial_with_its_configuration(build):
    first, _, third = answered(build([("a", 6), ("b", 6), ("a", 12)]), 3)
    assert (third.trial, third.epoch, third.origin) == (0, 12, Origin.PROMOTION)
    assert third.configuration == first.configuration


@pytest.mark.parametrize("again", [6, 12])
def test_what_a_library_repeats_is_a_new_trial(build, again):
    asked = answered(build([("a", 12), ("a", again), ("a", 25)]), 3)
    assert [(q.trial, str(q.origin)) for q in asked] == [(0, "model"), (1, "model"), (1, "promotion")]


def test_a_trial_that_is_open_is_not_continued(build):
    optimizer = build([("a", 6), ("a", 12)])
    assert [optimizer.ask().trial, optimizer.ask().trial] == [0, 1]


def test_a_failure_is_told_without_a_loss(build, tmp_path):
    optimizer = build(log=str(tmp_path / "log"))
    optimizer.tell(Result.failure(optimizer.ask(), Status.MEMOUT, "too big"))
    result = BENCHMARK.evaluate(optimizer.ask())
    optimizer.tell(result)
    assert (tmp_path / "log").read_text().splitlines() == ["1 None None", f"2 {result.loss} None"]


def test_a_replaced_configuration_is_told_and_carried_on(build, tmp_path):
    optimizer = build([("a", 6), ("a", 12)], log=str(tmp_path / "log"))
    instead = sample(lcbench_space(), np.random.default_rng(3))
    asked = replace(optimizer.ask(), configuration=instead)
    optimizer.tell(BENCHMARK.evaluate(asked))
    continued = optimizer.ask()
    assert continued.configuration == instead
    optimizer.tell(BENCHMARK.evaluate(continued))
    loss = BENCHMARK.evaluate(asked).loss
    assert (tmp_path / "log").read_text().splitlines()[0] == f"1 {loss} {instead['num_layers']}"
    assert (tmp_path / "log").read_text().splitlines()[1].endswith("None")  # the library knows it by now


def test_results_are_told_once_and_only_if_asked(build):
    optimizer = build()
    result = BENCHMARK.evaluate(optimizer.ask())
    with pytest.raises(KeyError, match="trial 4"):
        optimizer.tell(replace(result, query=replace(result.query, trial=4)))
    with pytest.raises(KeyError, match="epoch 6"):
        optimizer.tell(replace(result, query=replace(result.query, epoch=6)))
    optimizer.tell(result)
    with pytest.raises(KeyError, match="tell every ask once"):
        optimizer.tell(result)


def test_a_refused_space_is_refused_when_it_is_built(build):
    with pytest.raises(UnsupportedError, match="colorsys knows no such space"):
        build(refuses=True)


def test_a_pickle_is_the_conversation_told_again(build):
    optimizer = build()
    answered(optimizer, 3)
    waiting = optimizer.ask()
    twin = pickle.loads(pickle.dumps(optimizer))
    for either in (optimizer, twin):
        either.tell(BENCHMARK.evaluate(waiting))
    assert said(answered(optimizer, 3)) == said(answered(twin, 3))


def test_a_fork_tells_its_own_process_everything(build, monkeypatch):
    optimizer, straight = build(), build()
    answered(optimizer, 3)
    answered(straight, 3)
    with monkeypatch.context() as forked_here:
        forked_here.setattr(client.os, "getpid", lambda: -1)
        forked = answered(optimizer, 2)
    assert said(forked) == said(answered(straight, 2))


def test_a_library_that_does_not_repeat_itself_is_found_out(build):
    optimizer = build(at={"1": ["random.seed(time.time_ns())"]})
    answered(optimizer, 2)
    twin = pickle.loads(pickle.dumps(optimizer))
    with pytest.raises(PeerError, match="colorsys did not repeat itself"):
        twin.ask()


def test_optimizers_that_are_gone_are_dropped(build):
    optimizer, kept, process = build(), build(), process_of("colorsys")
    del optimizer
    gc.collect()
    assert len(process._dropped) == 1
    kept.ask()
    assert not process._dropped


def test_losses_travel_exactly(build, tmp_path):
    optimizer, loss = build(log=str(tmp_path / "log")), math.nextafter(0.1, 1)
    optimizer.tell(replace(BENCHMARK.evaluate(optimizer.ask()), loss=loss))
    assert float((tmp_path / "log").read_text().split()[1]) == loss
