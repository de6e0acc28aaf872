"""How long the trainings of a collection will take, from short trainings of some of them.

Times span two orders of magnitude, and a few large networks make the sum, so that the mean of configurations drawn uniformly mostly misses
them. Here half of the probes are drawn uniformly and half in proportion to a rough count of work, and each counts by the inverse of its
probability: without bias however rough the count is, and with at most twice the mean square of uniform draws (Hesterberg, Weighted Average
Importance Sampling and Defensive Mixture Distributions, Technometrics 1995). On the recordings of vehicle that ship the standard error is
less than 0.6 of that of uniform draws (tests/experiments/test_outlook.py).

Notation: N configurations that are missing, m_i their missing seeds, w_i their work, q_i the probability of a draw, t_i seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from pipeline.recorder import Recorded

PROBES = 64
"""Draws per task, at most."""
POOL = 1000
"""Of more configurations than this, so many are looked at."""
PER_BATCH = 2e6
"""Work of a batch that has no rows: what its parts cost beside the products of matrices."""


def work(configuration: Mapping[str, Any]) -> float:
    """A rough count of what an epoch takes per row: widths times widths by depth, and what every batch and every step costs.

    >>> work({"batch_size": 512, "max_units": 64, "num_layers": 2}) < work({"batch_size": 16, "max_units": 1024, "num_layers": 2})
    True
    """
    named = {name.rpartition(".")[2]: float(value) for name, value in configuration.items() if isinstance(value, int | float)}
    units = [value for name, value in named.items() if name.startswith(("max_units", "units_"))] or [1.0]
    depth = named.get("num_layers", 1.0) + 2 * named.get("num_groups", 0.0) * named.get("blocks_per_group", 1.0)
    width, batch = max(units), named.get("batch_size", 64.0)
    return (width * width * depth / 2 + 100 * width) * (1 + 16 / batch) + PER_BATCH / batch


@dataclass
class Probes:
    """The probes of one task: which configurations, and what they say of all that are missing."""

    draws: list[int]
    """Numbers of configurations in the order in which they were drawn, some more than once."""
    share: dict[int, float]
    """m_i / (q_i · Σ m): what a draw counts, 1 on average."""
    whole: bool
    """Whether the draws are all configurations that are missing."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Of a whole training of the configurations that were probed."""
    tried: set[int] = field(default_factory=set)
    """These, and those whose probe did not end well."""
    n_columns: int = 0
    error: str = ""
    """Why one of them did not end well."""

    @classmethod
    def drawn(cls, missing: Sequence[int], works: Mapping[int, float], rng: np.random.Generator) -> Probes:
        """Choose what to probe.

        Args:
            missing: number of the configuration of every missing training.
            works: of every configuration that may be drawn.
            rng: draws.
        """
        count = Counter(number for number in missing if number in works)
        numbers = np.array(list(count))
        if len(numbers) <= PROBES:
            order = rng.permutation(numbers).tolist()
            return cls(order, {i: count[i] * len(numbers) / count.total() for i in order}, whole=len(count) == len(set(missing)))
        m, w = np.array([count[i] for i in numbers], float), np.array([works[i] for i in numbers])
        q = (m / m.sum() + m * w / (m * w).sum()) / 2
        share = dict(zip(numbers.tolist(), m / (q * m.sum()), strict=True))
        return cls(rng.choice(numbers, PROBES, p=q).tolist(), share, whole=False)

    @property
    def order(self) -> list[int]:
        """The configurations to probe, each once."""
        return list(dict.fromkeys(self.draws))

    def add(self, recorded: Recorded, epochs: int) -> None:
        """Take over what a child has found."""
        self.error = recorded.failure.error if recorded.failure else self.error
        self.tried.update(query.trial for query in recorded.chunk.queries)
        for query, records in zip(recorded.chunk.queries, recorded.trainings, strict=False):  # of a child that died there are none
            self.error = records[-1]["error"] or self.error
            entries = [record for record in records if record["kind"] == "epoch"]
            if len(entries) > 1:  # the first is the untrained network, which is only measured
                first, *after = entries
                self.seconds[query.trial] = first["seconds"] + epochs * (after[-1]["seconds"] - first["seconds"]) / len(after)
                self.n_columns = max(self.n_columns, len(after[-1]["values"]))

    @property
    def per_training(self) -> tuple[float, float]:
        """Mean seconds of a missing training and their standard error; NaN where too little was probed."""
        reached = takewhile(self.tried.__contains__, self.draws)  # repeated ones behind are no fair sample
        values = [self.share[i] * self.seconds[i] for i in reached if i in self.seconds]
        mean = float(np.mean(values)) if values else math.nan
        if self.whole and len(values) == len(self.draws):
            return mean, 0.0
        return mean, float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def pool(missing: Sequence[int], rng: np.random.Generator) -> list[int]:
    """The configurations that are looked at, all or `POOL` of them."""
    numbers = sorted(set(missing))
    return numbers if len(numbers) <= POOL else sorted(rng.choice(numbers, POOL, replace=False).tolist())
