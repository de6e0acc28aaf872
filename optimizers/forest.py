"""Bayesian optimization with a random forest, as SMAC does it, on full trainings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Origin, Query, Result
from lcbench.space import sample
from optimizers.acquisition import log_expected_improvement, maximise
from optimizers.candidates import Floats
from optimizers.full_training import FullTrainings
from optimizers.observations import Observations
from optimizers.rungs import Ladder

INACTIVE = -1.0
"""What a tree reads where a hyperparameter is inactive: a value that no active one has."""
NARROWEST = 1e-3
"""No predicted standard deviation is smaller: trees that agree are not certain."""


@dataclass(eq=False)
class RandomForestSearch:
    """SMAC's idea (Hutter et al., LION 2011), every trial trained in full.

    A forest of `n_trees` bootstrapped trees on all features, split at random places, predicts the logarithm of the loss above a little
    less than the smallest; its variance is that of the trees' means. Log expected improvement is searched among random candidates and
    neighbours of the best, without those that were told or are open; a share of `random_fraction` of the asks is random, and so the
    forest cannot lock itself in. SMAC3 2.4 differs: its trees split at the best places, 20 % of its asks are random, and it looks at
    10,000 candidates. Inactive hyperparameters are -1. An ask takes O(trees · (n log n + candidates · log n)).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    rank_based: ClassVar[bool] = False
    costly: ClassVar[bool] = True

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Only its last epoch is used."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    n_initial: int = 0
    """Random draws before the first model; 0: one more than there are hyperparameters."""
    n_trees: int = 10
    """Trees of the forest."""
    random_fraction: float = 0.1
    """Share of random draws among the asks."""
    n_candidates: int = 1000
    """Random candidates for the acquisition; three rounds of half as many neighbours of the best follow."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        laws = (
            ("n_initial", self.n_initial, self.n_initial >= 0, "be at least 1, or 0 for d + 1"),
            ("n_trees", self.n_trees, self.n_trees >= 2, "be at least 2"),
            ("random_fraction", self.random_fraction, 0 <= self.random_fraction <= 1, "lie in 0..1"),
            ("n_candidates", self.n_candidates, self.n_candidates >= 2, "be at least 2"),
        )
        for name, value, holds, law in laws:
            if not holds:
                raise ValueError(f"`{name}` is {value}, but must {law}")
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._seen = Observations(self.space)
        self._log_prior: Callable[[Floats], Floats] | None = None
        self._beta = 0.0

    def weigh(self, log_prior: Callable[[Floats], Floats], beta: float) -> None:
        """Add beta / n · log prior to the log acquisition, n results being told (πBO, Eq. 6; prior.py)."""
        self._log_prior, self._beta = log_prior, beta

    def ask(self) -> Query:
        """A random draw, or the maximum of the acquisition that is new."""
        if self._trials.n < (self.n_initial or len(self.space) + 1) or not self._seen.any_success:
            return self._trials.query(sample(self.space, self.rng), Origin.INITIAL)
        if self.rng.random() < self.random_fraction:
            return self._trials.query(sample(self.space, self.rng), Origin.RANDOM)
        losses = _logarithmic(self._seen.standardised())
        predict, best = self._model(_complete(self._seen.points), losses), float(losses.min())

        def score(points: Floats) -> Floats:
            gain = log_expected_improvement(*predict(_complete(points)), best)
            return gain + self._beta / len(self._seen) * self._log_prior(points) if self._log_prior else gain

        near = self.n_candidates // 2
        found = maximise(score, self.space, self.rng, self._seen.best(10), n_random=self.n_candidates, n_near=near)
        return self._trials.query(*self._trials.first_new(found, self.space, self.rng))

    def tell(self, result: Result) -> None:
        """Note a result, a failure as the worst; raise KeyError if it answers no open ask."""
        self._trials.close(result)
        self._seen.add(result)

    def _model(self, x: Floats, y: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Mean and standard deviation over the trees at complete points."""
        from sklearn.tree import ExtraTreeRegressor

        trees = []
        for seed in self.rng.integers(2**31, size=self.n_trees):
            rows = np.random.default_rng(seed).integers(len(y), size=len(y))
            trees.append(ExtraTreeRegressor(max_features=1.0, random_state=int(seed)).fit(x[rows], y[rows]).tree_)

        def predict(points: Floats) -> tuple[Floats, Floats]:
            told = np.stack([tree.predict(points.astype(np.float32))[:, 0] for tree in trees])  # (trees, m)
            return told.mean(axis=0), np.maximum(told.std(axis=0), NARROWEST)

        return predict


def _complete(points: Floats) -> Floats:
    return np.where(np.isnan(points), INACTIVE, points)


def _logarithmic(losses: Floats) -> Floats:
    """Stretch the differences among the best: log(y - a) with a a little below the smallest loss."""
    spread = np.ptp(losses)
    return np.log((losses - losses.min()) / spread + 0.05) if spread > 0 else losses
