"""Hyperband: successive halving from several starting rungs in turn, against a ladder whose low rungs mislead."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Query, Result
from optimizers.rungs import Ladder, Table, hyperband_bracket
from optimizers.successive_halving import Brackets, uniform


@dataclass(eq=False)
class Hyperband:
    """Brackets s = M - 1, …, 0 in turn, bracket s on the last s + 1 of M rungs (Li et al., JMLR 2018, Alg. 1)."""

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Epochs of the rungs, and eta."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    table: Table = "hpbandster"
    """Sizes of the first rungs, see `rungs.first_rung_size`."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        plan = partial(hyperband_bracket, ladder=self.ladder, table=self.table)
        plan(0)  # an unknown table is refused now and not in the middle of a run
        self._brackets = Brackets(plan, partial(uniform, self.space, self.rng), self.trial_seed)

    def ask(self) -> Query:
        """The next job, a promotion or a new trial."""
        return self._brackets.ask()

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask."""
        self._brackets.tell(result)
