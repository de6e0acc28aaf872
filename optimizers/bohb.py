"""BOHB: Hyperband whose new configurations come from a model of what was good and what was bad.

Notation:
    n, d            observations at the epoch that is modelled, hyperparameters of the space
    l(x), g(x)      density of the good and of the bad observations (kde.py); the smallest g / l is proposed
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Origin, Query, Result
from lcbench.space import cardinalities, decode, encode, is_legal, sample
from optimizers.kde import FLOOR, KDE, Floats, StatsmodelsKDE, impute
from optimizers.rungs import Ladder, Table, hyperband_bracket
from optimizers.successive_halving import Brackets, Proposal


@dataclass(eq=False)
class BOHB:
    """Falkner, Klein and Hutter (ICML 2018), Alg. 2, with the rules of their implementation HpBandSter 0.7.4.

    A model is made at the largest epoch that has enough results, and asked for every new trial, whatever its epoch.
    Like HpBandSter it does not know which asks are open, and may propose what was tried before. Three things differ:
    categories have legal bandwidths (kde.py), an illegal candidate gives way to the next best and not to a random draw,
    and an ordinal hyperparameter is a number between 0 and 1 where HpBandSter refuses it.

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    with_portfolio: ClassVar[bool] = True

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Epochs of the rungs, and eta."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    table: Table = "hpbandster"
    """Sizes of the first rungs, see `rungs.first_rung_size`."""
    top_n_percent: int = 15
    """Share of the observations that counts as good."""
    n_candidates: int = 64
    """Draws from the good density, of which the best is proposed; `num_samples` in HpBandSter."""
    random_fraction: float = 1 / 3
    """Share of new trials that are drawn at random although there is a model; rho in the paper."""
    bandwidth_factor: float = 3.0
    """Candidates are drawn this much wider than the density is; b_w in the paper."""
    min_bandwidth: float = 1e-3
    """No kernel is narrower, so that equal good values leave some room."""
    min_points_in_model: int = 0
    """Least number of good observations, raised to d + 1 if lower; of bad ones a model wants d + 1 in any case, as in HpBandSter."""
    hpbandster_exact: bool = False
    """Use the illegal bandwidths of categories that HpBandSter has, to compare with it."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        self._check()
        plan = partial(hyperband_bracket, ladder=self.ladder, table=self.table)
        plan(0)  # an unknown table is refused now and not in the middle of a run
        self._brackets = Brackets(plan, self._propose, self.trial_seed)
        self._cardinalities = cardinalities(self.space)
        self._observed: dict[int, tuple[Floats, Floats]] = {}  # epoch -> vectors (n, d), losses (n,)
        self._model_epoch = 0  # largest epoch with enough observations, 0 if there is none
        self._model: tuple[KDE, KDE] | None = None  # good and bad; None if it has to be fitted again
        self._log_prior: Callable[[Floats], Floats] | None = None
        self._beta = 0.0
        self._n_told = 0

    def weigh(self, log_prior: Callable[[Floats], Floats], beta: float) -> None:
        """Divide the score g / l by prior^(beta / n), n results being told (πBO; prior.py)."""
        self._log_prior, self._beta = log_prior, beta

    def ask(self) -> Query:
        """The next job, a promotion or a new trial."""
        return self._brackets.ask()

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask.

        A failure counts as infinitely bad. A result below the epoch of the model is not modelled any more.
        """
        self._brackets.tell(result)
        self._n_told += 1
        epoch = result.query.epoch
        if epoch < self._model_epoch:
            return
        vectors, losses = self._observed.get(epoch, (np.empty((0, len(self.space))), np.empty(0)))
        vectors = np.vstack([vectors, encode([result.query.configuration], self.space)])
        self._observed[epoch] = vectors, np.append(losses, result.loss)
        if self._split(len(losses) + 1)[1] > len(self.space):
            self._model_epoch, self._model = epoch, None

    def _propose(self) -> Proposal:
        if not self._model_epoch:
            return sample(self.space, self.rng), Origin.INITIAL
        if self.rng.random() < self.random_fraction:
            return sample(self.space, self.rng), Origin.RANDOM
        if self._model is None:
            self._model = self._fit()
        good, bad = self._model
        candidates = good.sample(self.n_candidates, self.rng, self.bandwidth_factor)
        score = _floored(bad.log_density(candidates)) - _floored(good.log_density(candidates))  # log g / l
        if self._log_prior:
            score -= self._beta / self._n_told * self._log_prior(candidates)
        for point in candidates[np.argsort(score, kind="stable")]:
            if not self.space.forbidden_clauses or is_legal(point, self.space):
                return decode(point, self.space)[0], Origin.MODEL
        return sample(self.space, self.rng), Origin.RANDOM  # every candidate was forbidden

    def _split(self, n: int) -> tuple[int, int]:
        """How many of n observations, sorted by loss, are good, and how many of the next ones are bad."""
        least = max(self.min_points_in_model, len(self.space) + 1)
        n_good = max(least, self.top_n_percent * n // 100)
        n_bad = max(least, (100 - self.top_n_percent) * n // 100)
        return n_good, min(n_bad, n - n_good)

    def _fit(self) -> tuple[KDE, KDE]:
        """Densities of the good and of the bad observations at the epoch of the model."""
        vectors, losses = self._observed[self._model_epoch]
        n_good, n_bad = self._split(len(losses))
        order = np.argsort(losses, kind="stable")
        density = StatsmodelsKDE if self.hpbandster_exact else KDE
        good, bad = (
            density.fit(impute(vectors[rows], self._cardinalities, self.rng), self._cardinalities, self.min_bandwidth)
            for rows in (order[:n_good], order[n_good : n_good + n_bad])
        )
        return good, bad

    def _check(self) -> None:
        laws = (
            ("top_n_percent", self.top_n_percent, 1 <= self.top_n_percent <= 99, "lie in 1..99"),
            ("n_candidates", self.n_candidates, self.n_candidates >= 1, "be at least 1"),
            ("random_fraction", self.random_fraction, 0 <= self.random_fraction <= 1, "lie in 0..1"),
            ("bandwidth_factor", self.bandwidth_factor, self.bandwidth_factor > 0, "be above 0"),
            ("min_bandwidth", self.min_bandwidth, 1e-5 <= self.min_bandwidth < 0.5, "lie in 1e-5..0.5"),
        )
        for name, value, holds, law in laws:
            if not holds:
                raise ValueError(f"`{name}` is {value}, but must {law}")


def _floored(log_density: Floats) -> Floats:
    return np.maximum(log_density, math.log(FLOOR))
