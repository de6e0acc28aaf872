"""No wrong promotion, whatever the order of events: results late, out of order, failed, not a number, told twice.

The rule is written down here once more, without state: at the moment of an ask, from everything that was told before.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.curve import LearningCurve
from lcbench.query import Origin, Result, Status
from lcbench.space import lcbench_space
from optimizers.bohb import BOHB
from optimizers.hyperband import Hyperband
from optimizers.rungs import hyperband_bracket, ladder
from optimizers.successive_halving import SuccessiveHalving

SPACE = lcbench_space()
LADDERS = (ladder(50, 6, 2), ladder(50, 1, 3), ladder(9, 1, 3), ladder(4, 4, 2))
METHODS = {"sh": SuccessiveHalving, "hyperband": Hyperband, "bohb": BOHB}

events = st.lists(
    st.one_of(
        st.just(("ask", 0, 0.0)),
        st.just(("ask", 0, 0.0)),
        st.tuples(st.just("tell"), st.integers(0, 30), st.sampled_from([0.1, 0.2, 0.2, 0.3, 0.4, math.inf, math.nan])),
        st.tuples(st.just("again"), st.integers(0, 30), st.just(0.0)),
    ),
    min_size=40,
    max_size=150,
)


@dataclass
class Witness:
    """Everything that was asked and told, and what the rule says of it."""

    method: str
    rungs: object
    asked: list = field(default_factory=list)
    told: dict = field(default_factory=dict)  # (trial, epoch) -> (loss, how many asks were made before)

    def plan(self, number):
        return hyperband_bracket(0 if self.method == "sh" else number, self.rungs)

    def check(self, query):
        """The rule for one more ask."""
        bracket, rung = query.bracket, query.rung
        plan = self.plan(bracket)
        assert query.epoch == plan.epochs[rung]
        assert sum(q.bracket == bracket and q.rung == rung for q in self.asked) < plan.sizes[rung]
        for older in range(bracket):  # a younger bracket is only asked while every older one waits or is done
            assert not self.open_slots(older)
        if rung == 0:
            assert query.origin is not Origin.PROMOTION
            return
        below = [q for q in self.asked if q.bracket == bracket and q.rung == rung - 1]
        assert len(below) == plan.sizes[rung - 1]
        assert all((q.trial, q.epoch) in self.told for q in below)  # the rung below is closed
        losses = sorted((self.told[q.trial, q.epoch], q.trial) for q in below)
        best = [trial for loss, trial in losses if math.isfinite(loss)][: plan.sizes[rung]]
        taken = [q.trial for q in self.asked if q.bracket == bracket and q.rung == rung and q.origin is Origin.PROMOTION]
        if query.origin is Origin.PROMOTION:
            assert query.trial in best
            assert query.trial not in taken
            assert query.configuration == next(q.configuration for q in below if q.trial == query.trial)
        else:  # a new trial fills only a slot that failures left empty
            assert set(best) <= set(taken)
            assert len(best) < plan.sizes[rung]

    def open_slots(self, bracket):
        """True if the lowest rung that is not full could be asked for now."""
        plan = self.plan(bracket)
        for rung, size in enumerate(plan.sizes):
            mine = [q for q in self.asked if q.bracket == bracket and q.rung == rung]
            if len(mine) < size:
                return rung == 0 or self.closed(bracket, rung - 1, plan)
            if not self.closed(bracket, rung, plan):
                return False
        return False

    def closed(self, bracket, rung, plan):
        mine = [q for q in self.asked if q.bracket == bracket and q.rung == rung]
        return len(mine) == plan.sizes[rung] and all((q.trial, q.epoch) in self.told for q in mine)


def answer(query, loss):
    curve = LearningCurve(np.arange(query.epoch + 1), np.arange(query.epoch + 1.0))
    if loss == math.inf:
        return Result.failure(query, Status.CRASHED, "told to fail", curve=curve)
    return Result.measured(query, curve, loss, 1.0)  # not a number: diverged


@pytest.mark.parametrize("method", METHODS)
@given(events=events, which=st.integers(0, len(LADDERS) - 1), seed=st.integers(0, 3))
@settings(max_examples=300)
def test_no_order_of_events_promotes_wrongly(method, events, which, seed):
    optimizer = METHODS[method](SPACE, LADDERS[which], np.random.default_rng(seed))
    witness, waiting, done = Witness(method, LADDERS[which]), [], []
    for kind, place, loss in events:
        if kind == "ask":
            query = optimizer.ask()
            witness.check(query)
            witness.asked.append(query)
            waiting.append(query)
        elif kind == "tell" and waiting:
            result = answer(waiting.pop(place % len(waiting)), loss)
            optimizer.tell(result)
            witness.told[result.query.trial, result.query.epoch] = result.loss
            done.append(result)
        elif kind == "again" and done:
            with pytest.raises(KeyError, match="tell every ask once"):
                optimizer.tell(done[place % len(done)])


def test_the_witness_can_object():
    """A rule that cannot be broken would prove nothing."""
    optimizer = Hyperband(SPACE, LADDERS[0], np.random.default_rng(0))
    witness, queries = Witness("hyperband", LADDERS[0]), []
    while not queries or queries[-1].origin is not Origin.PROMOTION:
        queries.append(optimizer.ask())
        witness.asked.append(queries[-1])
        loss = 0.1 * len(queries)
        optimizer.tell(answer(queries[-1], loss))
        witness.told[queries[-1].trial, queries[-1].epoch] = loss
    promoted = witness.asked.pop()
    witness.check(promoted)
    worst = max((q for q in witness.asked if q.rung == 0), key=lambda q: witness.told[q.trial, q.epoch])
    with pytest.raises(AssertionError):
        witness.check(
            type(promoted)(worst.configuration, promoted.epoch, worst.trial, 0, Origin.PROMOTION, promoted.bracket, promoted.rung)
        )
