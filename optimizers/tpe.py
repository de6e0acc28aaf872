"""TPE, the tree-structured Parzen estimator in its multivariate form: densities of good and bad configurations, on full trainings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import is_legal, sample
from optimizers.full_training import FullTrainings
from optimizers.kde import KDE, Floats, impute
from optimizers.observations import Observations, pending
from optimizers.rungs import Ladder

MOST_GOOD = 25
"""No more observations than these count as good (Bergstra et al., 2013)."""


@dataclass(eq=False)
class TPE:
    """Bergstra et al. (NeurIPS 2011, section 4), multivariate (Falkner et al., 2018), every trial trained in full.

    The good are the min(ceil(gamma n), 25) lowest losses, the bad the others and the open asks, so that parallel asks differ. Both
    densities are product kernels (kde.py) of one width, `width` · n^(-1 / (4 + d)), mixed with one uniform kernel, the prior. Of
    `n_candidates` draws around the good observations the one with the largest ratio good / bad is proposed that is not known yet. An
    ask takes O(n_candidates · n · d).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Only its last epoch is used."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    n_initial: int = 10
    """Random draws before the first model."""
    gamma: float = 0.15
    """Share of the observations that counts as good."""
    n_candidates: int = 64
    """Draws from the good density, of which the best is proposed."""
    width: float = 0.2
    """Bandwidth of a single kernel, as a share of a range."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        laws = (
            ("n_initial", self.n_initial, self.n_initial >= 1, "be at least 1"),
            ("gamma", self.gamma, 0 < self.gamma < 1, "lie between 0 and 1"),
            ("n_candidates", self.n_candidates, self.n_candidates >= 1, "be at least 1"),
            ("width", self.width, self.width >= 1e-3, "be at least 0.001"),
        )
        for name, value, holds, law in laws:
            if not holds:
                raise ValueError(f"`{name}` is {value}, but must {law}")
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._seen = Observations(self.space)
        self._log_prior: Callable[[Floats], Floats] | None = None
        self._beta = 0.0

    def weigh(self, log_prior: Callable[[Floats], Floats], beta: float) -> None:
        """Add beta / n · log prior to the logarithm of the ratio, n results being told (πBO; prior.py)."""
        self._log_prior, self._beta = log_prior, beta

    def ask(self) -> Query:
        """A random draw, or the best candidate of the model."""
        if self._trials.n < self.n_initial or not self._seen.any_success:
            return self._trials.query(sample(self.space, self.rng), Origin.INITIAL)
        return self._trials.query(*self._propose())

    def tell(self, result: Result) -> None:
        """Note a result, a failure as the worst; raise KeyError if it answers no open ask."""
        self._trials.close(result)
        self._seen.add(result)

    def _propose(self) -> tuple[Configuration, Origin]:
        points, n = self._seen.points, len(self._seen)
        losses = self._seen.losses
        n_good = min(math.ceil(self.gamma * n), MOST_GOOD, int(np.isfinite(losses).sum()))  # a failure is never good
        order = np.argsort(losses, kind="stable")
        good = self._density(points[order[:n_good]])
        bad = self._density(np.vstack([points[order[n_good:]], pending(self._trials.open, self.space)]))
        drawn = good.sample(self.n_candidates, self.rng)
        from_prior = self.rng.random(self.n_candidates) < 1 / (n_good + 1)
        drawn[from_prior] = cube(self.space).fair(self.rng.random((int(from_prior.sum()), len(self.space))))
        score = _with_prior(good, drawn) - _with_prior(bad, drawn)
        if self._log_prior:
            score += self._beta / n * self._log_prior(drawn)
        falling = drawn[np.argsort(-score, kind="stable")]
        legal = (point for point in falling if cube(self.space).simple or is_legal(point, self.space))
        return self._trials.first_new(legal, self.space, self.rng)

    def _density(self, points: Floats) -> KDE:
        """Kernels of one width; a category is changed at most as often as a uniform draw would."""
        choices = cube(self.space).cardinalities
        shrink = max(len(points), 1) ** (-1 / (4 + len(self.space)))
        widths = np.where(choices > 1, (1 - 1 / np.maximum(choices, 2)) * shrink, self.width * shrink)
        return KDE(impute(points, choices, self.rng), choices, widths)


def _with_prior(density: KDE, points: Floats) -> Floats:
    """log((n f(x) + u) / (n + 1)): n kernels and a uniform one, whose density on numbers is 1 and on c choices 1 / c."""
    n = len(density.data)
    log_uniform = -np.log(np.maximum(density.cardinalities, 1)).sum()
    if not n:
        return np.full(len(points), log_uniform)
    return np.logaddexp(density.log_density(points) + math.log(n), log_uniform) - math.log(n + 1)
