"""A Gaussian process over configurations and epochs: where unfinished learning curves are going.

Notation:
    n, m, e      observations, places to predict, entries of an embedded configuration
    x, t, i      configuration, epochs trained, number of the trial
    K_x(x, x')   Matern-5/2 with a length scale per hyperparameter
    K_t(t, t')   beta / (t + t' + beta): a mixture of exponential decays of every rate (Swersky et al., 2014, Eq. 6, alpha = 1)
    same         1 where two observations are of one trial
    k            s_a K_x + s_i same + (s_c + s_x K_x + s_t same) K_t + s_n [one observation]: the asymptote, shared and of the trial's
                 own, and the way to it, common to all, shared and the trial's own
    trend        c (beta / (t + beta) - 0.3): what every curve is expected to lose by training
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

from optimizers.candidates import Floats

Ints = NDArray[np.int64]

AMPLITUDES = (0.5, 0.1, 1.0, 0.3, 0.1, 0.01)
"""s_a, s_i, s_c, s_x, s_t, s_n at the centre of their prior, for losses of spread 1."""
BETA, LENGTH, TREND = 3.0, 0.7, 1.5
"""beta in epochs, length scales in ranges of a hyperparameter and c in spreads of the losses, at the centre of their prior."""
WIDTHS = (1.0, 0.7, 0.7, 0.7)
"""Standard deviations of the prior: of log amplitudes, log beta, log length scales and c."""
JITTER = 1e-6
STEP = 0.4
"""Steps of the climb, in standard deviations of the prior; and the share of the hyperparameters that a step changes."""


@dataclass(frozen=True)
class Places:
    """Where curves are read."""

    x: Floats  # (n, e)
    """Embedded configurations."""
    t: Floats  # (n,)
    """Epochs trained."""
    trial: Ints  # (n,)
    """Numbers of the trials; those of configurations that were not tried are their own."""


class CurveProcess:
    """Exact inference; its hyperparameters climb to higher posterior density by random steps. A fit takes O(n³), a prediction O(n² m)."""

    def __init__(self, groups: Ints, rng: np.random.Generator) -> None:
        """`groups` (e,) names the hyperparameter behind every entry of x; entries of one share a length scale."""
        self._groups, self._rng = groups, rng
        n_lengths = int(groups.max()) + 1
        self._centre = np.concatenate([np.log(AMPLITUDES), [math.log(BETA)], np.full(n_lengths, math.log(LENGTH)), [TREND]])
        self._width = np.repeat(WIDTHS, [len(AMPLITUDES), 1, n_lengths, 1])
        self.theta = self._centre.copy()
        """Log amplitudes, log beta, log length scales, c."""

    def climb(self, places: Places, y: Floats, n_steps: int) -> None:
        """Try random steps of the hyperparameters and keep those that raise the posterior density of `y` (n,)."""
        best = self._log_posterior(places, y, self.theta)
        for _ in range(n_steps):
            step = STEP * self._width * self._rng.normal(size=len(self.theta))
            proposed = self.theta + step * (self._rng.random(len(step)) < STEP)
            density = self._log_posterior(places, y, proposed)
            if density > best:
                self.theta, best = proposed, density

    def condition(self, places: Places, y: Floats) -> None:
        """Learn losses `y` (n,)."""
        self._places, self._lower = places, np.linalg.cholesky(self._covariance(places, self.theta))
        z = solve_triangular(self._lower, y - _trend(places.t, self.theta), lower=True)
        self._weights = solve_triangular(self._lower, z, lower=True, trans=1)

    def predict(self, at: Places) -> tuple[Floats, Floats]:  # (m,), (m,)
        """Mean and standard deviation of the noiseless loss."""
        cross = self._kernel(at, self._places, self.theta)  # (m, n)
        s_a, s_i, s_c, s_x, s_t, _ = np.exp(self.theta[:6])
        prior = s_a + s_i + (s_c + s_x + s_t) * _decay(2 * at.t, self.theta)
        explained = (solve_triangular(self._lower, cross.T, lower=True) ** 2).sum(axis=0)
        return cross @ self._weights + _trend(at.t, self.theta), np.sqrt(np.maximum(prior - explained, JITTER))

    def _log_posterior(self, places: Places, y: Floats, theta: Floats) -> float:
        try:
            lower = np.linalg.cholesky(self._covariance(places, theta))
        except np.linalg.LinAlgError:
            return -math.inf
        z = solve_triangular(lower, y - _trend(places.t, theta), lower=True)
        prior = (((theta - self._centre) / self._width) ** 2).sum()
        return float(-0.5 * (z @ z) - np.log(np.diag(lower)).sum() - 0.5 * prior)

    def _covariance(self, places: Places, theta: Floats) -> Floats:  # (n, n)
        covariance = self._kernel(places, places, theta)
        covariance[np.diag_indices_from(covariance)] += math.exp(theta[5]) + JITTER
        return covariance

    def _kernel(self, a: Places, b: Places, theta: Floats) -> Floats:
        s_a, s_i, s_c, s_x, s_t, _ = np.exp(theta[:6])
        lengths = np.exp(theta[7:-1])[self._groups]
        r = cdist(a.x / lengths, b.x / lengths)  # in place from here on: this is where a run spends its time
        r *= math.sqrt(5)
        k_x = r * r
        k_x *= 1 / 3
        k_x += r
        k_x += 1
        k_x *= np.exp(np.negative(r, out=r), out=r)
        k_t = _decay(a.t[:, None] + b.t, theta)
        kernel = s_x * k_t
        kernel += s_a
        kernel *= k_x
        rows, columns = np.nonzero(a.trial[:, None] == b.trial)
        kernel[rows, columns] += s_i + s_t * k_t[rows, columns]
        k_t *= s_c
        kernel += k_t
        return kernel


def _decay(t: Floats, theta: Floats) -> Floats:
    beta = math.exp(theta[6])
    return beta / (t + beta)


def _trend(t: Floats, theta: Floats) -> Floats:
    return theta[-1] * (_decay(t, theta) - 0.3)
