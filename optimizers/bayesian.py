"""Bayesian optimization with a Gaussian process, on full trainings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from ConfigSpace import ConfigurationSpace
from scipy.optimize import minimize

from lcbench.query import Origin, Query, Result
from lcbench.space import sample
from optimizers.acquisition import log_expected_improvement, maximise
from optimizers.candidates import Embedding, Floats
from optimizers.full_training import FullTrainings
from optimizers.observations import Observations, pending
from optimizers.rungs import Ladder

LENGTHS = (0.05, 20.0)
"""Bounds of the length scales, in ranges of a hyperparameter."""
GROWTH = 1.1
"""The kernel is fitted again when there are so many times more observations."""
CENTRES = 5
"""The search for the maximum begins near so many of the best."""
NARROWEST = 1e-6
"""No predicted standard deviation is smaller."""


@dataclass(eq=False)
class GaussianProcessSearch:
    """GP-BO (Jones et al., 1998; Snoek et al., 2012) with log expected improvement (Ament et al., NeurIPS 2023), trained in full.

    A Matern-5/2 kernel with a length scale per hyperparameter (per choice of a category) and noise (scikit-learn) is fitted to
    standardised losses by marginal likelihood; failures count as the worst. Improvement is that of the latent function, without the noise.
    Open asks are believed to score what the model expects (Ginsbourger et al., 2010: the kriging believer), so that parallel asks differ.
    A configuration that was told or is open is not proposed again. A fit takes O(n³), an ask O(candidates · n²).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    steps: ClassVar[int] = 20
    """Steps of L-BFGS for the marginal likelihood, from where the last fit ended."""
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
    n_candidates: int = 500
    """Random candidates for the acquisition; three rounds of half as many neighbours of the best follow."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        if self.n_initial < 0:
            raise ValueError(f"`n_initial` is {self.n_initial}, but must be at least 1, or 0 for d + 1")
        if self.n_candidates < 2:
            raise ValueError(f"`n_candidates` is {self.n_candidates}, but must be at least 2")
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._seen = Observations(self.space)
        self._embed = Embedding(self.space)
        self._theta: Floats | None = None  # of the kernel
        self._n_fitted = 0
        self._log_prior: Callable[[Floats], Floats] | None = None
        self._beta = 0.0

    def weigh(self, log_prior: Callable[[Floats], Floats], beta: float) -> None:
        """Add beta / n · log prior to the log acquisition, n results being told (πBO, Eq. 6; prior.py)."""
        self._log_prior, self._beta = log_prior, beta

    def ask(self) -> Query:
        """A random draw, or the maximum of the acquisition that is new."""
        if self._trials.n < (self.n_initial or len(self.space) + 1) or not self._seen.any_success:
            return self._trials.query(sample(self.space, self.rng), Origin.INITIAL)
        points, targets = self._seen.points, self._targets()
        predict, best = self._model(self._embed(points), targets)

        def score(points: Floats) -> Floats:
            gain = log_expected_improvement(*predict(self._embed(points)), best)
            return gain + self._beta / len(self._seen) * self._log_prior(points) if self._log_prior else gain

        near = self.n_candidates // 2
        centres = points[np.argsort(targets, kind="stable")[:CENTRES]]
        found = maximise(score, self.space, self.rng, centres, n_random=self.n_candidates, n_near=near)
        return self._trials.query(*self._trials.first_new(found, self.space, self.rng))

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask."""
        self._trials.close(result)
        self._seen.add(result)

    def _targets(self) -> Floats:  # (n,)
        """What the process is a model of."""
        return self._seen.standardised()

    def _model(self, x: Floats, y: Floats) -> tuple[Callable[[Floats], tuple[Floats, Floats]], float]:
        """Mean and standard deviation at embedded points, and the best value, given what was told and is believed of the open asks."""
        process = self._fit(x, y)
        if self._trials.open:
            believed = self._embed(pending(self._trials.open, self.space))
            y = np.concatenate([y, process.predict(believed)])
            process = self._fit(np.vstack([x, believed]), y, keep=True)

        def predict(points: Floats) -> tuple[Floats, Floats]:
            mean, std = process.predict(points, return_std=True)  # scikit-learn's has the noise in it
            return mean, np.sqrt(np.maximum(std**2 - process.kernel_.k2.noise_level, NARROWEST**2))

        return predict, float(y.min())

    def _fit(self, x: Floats, y: Floats, *, keep: bool = False) -> Any:
        """A process on these data; its kernel is that of the last fit if `keep`, or if there is little more to learn from."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        lengths = np.full(x.shape[1], 0.7)
        kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(lengths, LENGTHS, nu=2.5) + WhiteKernel(0.01, (1e-5, 1.0))
        if self._theta is not None:
            kernel.theta = self._theta
        again = not keep and len(y) >= GROWTH * self._n_fitted
        process = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=partial(_climb, steps=self.steps) if again else None)
        with warnings.catch_warnings():  # a length scale at its bound only says that a hyperparameter does not matter
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(x, y)
        if again:
            self._theta, self._n_fitted = process.kernel_.theta, len(y)
        return process


def _climb(objective: Callable[..., Any], start: Floats, bounds: Floats, *, steps: int) -> tuple[Floats, float]:
    """A few steps of L-BFGS; scikit-learn gives the negative log marginal likelihood with its gradient."""
    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": steps})
    return found.x, found.fun
