"""Multi-objective Hyperband: a rung promotes by fronts of validation loss and training time instead of by loss alone."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Query, Result
from optimizers.pareto import rank_by_fronts
from optimizers.rungs import Ladder, Table, hyperband_bracket
from optimizers.successive_halving import Brackets, uniform


@dataclass(eq=False)
class MultiObjectiveHyperband:
    """Hyperband with non-dominated sorting (Salinas et al., 2021; Schmucker et al., 2021), of equal fronts the less crowded first.

    An ask takes O(1), the end of a rung of n results O(n²).
    """

    objectives: ClassVar[tuple[str, ...]] = ("loss", "seconds")

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
        self._brackets = Brackets(plan, partial(uniform, self.space, self.rng), self.trial_seed, rank_by_fronts)

    def ask(self) -> Query:
        """The next job, a promotion or a new trial."""
        return self._brackets.ask()

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask."""
        self._brackets.tell(result)
