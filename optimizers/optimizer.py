"""The ask/tell protocol of every optimizer, and its laws in words.

An optimizer is built as ``Optimizer(space, ladder, rng, **hyperparameters)`` and holds no clock, no file and no loop.
The laws (tests/laws/test_optimizers.py, run over every YAML in conf/optimizer):

* every asked configuration is legal in the space, every asked epoch is on the ladder, or at least 1 and not above its last epoch for a
  method that moves trials by single epochs (`single_epochs = True` in its class);
* new trials are numbered 0, 1, 2, …; a query that names an earlier trial continues it at a higher epoch;
* a method learns from the configuration of the result: a portfolio or a prior may have put another one into the place of its own;
* the same seed and the same answers give the same asks, also in a fresh process;
* any number of asks may be open; results may come late, out of order, failed;
* ``tell`` never changes its argument; a method is unchanged by a monotone map of the losses unless it says `rank_based = False`;
* a method whose asks take milliseconds says `costly = True`: the laws ask it less often, and no plan is made by asking;
* a method that is warm-started by default, as BOHB is in the paper, says `with_portfolio = True`;
* a method that cannot learn from a configuration which it did not propose says `takes_others = False`;
* pickled in the middle, the copy has the same future.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lcbench.query import Query, Result


@runtime_checkable
class Optimizer(Protocol):
    """Proposes queries and learns from results; never knows which benchmark answers."""

    def ask(self) -> Query:
        """The next query. There always is one: where a rung waits for results, a new bracket starts."""
        ...

    def tell(self, result: Result) -> None:
        """Learn from the answer to an earlier ask.

        Raises:
            KeyError: if the result answers a query that was never asked.
        """
        ...
