"""Expected improvement, and the search for its maximum."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from ConfigSpace import ConfigurationSpace
from scipy.special import erfcx, log_ndtr

from optimizers.candidates import Floats, neighbours, uniform

FAR = 1000.0
"""Standard deviations from which a series is more exact than the difference that it stands for."""
ROUNDS = ((0.2, 8), (0.05, 4), (0.02, 2))
"""Step and number of centres of every round of neighbours."""


def log_expected_improvement(mean: Floats, std: Floats, best: float) -> Floats:  # (m,), (m,) -> (m,)
    """Logarithm of E[max(best - y, 0)] for y ~ N(mean, std²), stable where the improvement is hopeless.

    With z = (best - mean) / std it is log std + log h(z), h(z) = phi(z) + z Phi(z) (Jones et al., 1998, Eq. 15). For z below -1 h is a
    difference of nearly equal numbers; there log h(z) = log phi(z) + log(1 - |z| r(z)), r Mills' ratio (Ament et al., NeurIPS 2023, Eq. 9).
    """
    z = (best - mean) / std
    log_phi = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    near = np.maximum(z, -1.0)
    log_near = np.log(np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) + near * np.exp(log_ndtr(near)))
    far = np.clip(z, -FAR, -1.0)
    ratio = math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))  # Phi(z) / phi(z)
    log_far = log_phi + np.log1p(far * ratio)
    beyond = np.minimum(z, -FAR)
    log_beyond = log_phi - 2 * np.log(-beyond) + np.log1p(-3 / (beyond * beyond))  # 1 - |z| r(z) = 1 / z² - 3 / z⁴ + …
    return np.log(std) + np.where(z > -1, log_near, np.where(z > -FAR, log_far, log_beyond))


def maximise(
    score: Callable[[Floats], Floats],
    space: ConfigurationSpace,
    rng: np.random.Generator,
    centres: Floats,
    *,
    n_random: int,
    n_near: int,
) -> Floats:  # (k, d)
    """Legal points in falling order of their score: uniform draws, neighbours of `centres`, then of the best of them with smaller steps.

    `score` is called four times with hundreds of points; nothing else takes long.
    """
    parts = [uniform(n_random, space, rng)]
    if len(centres):
        parts.append(neighbours(n_near, centres, ROUNDS[0][0], space, rng))
    points = np.vstack(parts)
    scores = score(points)
    for step, n_centres in ROUNDS:
        best = points[np.argsort(-scores, kind="stable")[:n_centres]]
        near = neighbours(n_near, best, step, space, rng)
        if len(near):
            points, scores = np.vstack([points, near]), np.concatenate([scores, score(near)])
    return points[np.argsort(-scores, kind="stable")]
