"""What a user believes about good values, as a weight on any optimizer's proposals that fades with every result.

Notation: pi(x) the product of the beliefs about single hyperparameters, a density on the unit cube; n results so far; beta how many
results the beliefs are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Constant, OrdinalHyperparameter
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, is_legal, without_inactive
from optimizers.optimizer import Optimizer

Floats = NDArray[np.float64]
WITHOUT_WEIGHT = 0.01
"""A choice that a belief does not mention has this weight beside a mentioned one of 1: a belief may be wrong."""


@dataclass(frozen=True)
class _Number:
    """A normal density, truncated to the cube."""

    mean: float
    std: float

    def log_density(self, entries: Floats) -> Floats:
        mass = ndtr((1 - self.mean) / self.std) - ndtr(-self.mean / self.std)
        return -0.5 * ((entries - self.mean) / self.std) ** 2 - math.log(self.std * math.sqrt(2 * math.pi) * mass)

    def quantile(self, uniform: float) -> float:
        below, above = ndtr(-self.mean / self.std), ndtr((1 - self.mean) / self.std)
        return float(np.clip(self.mean + self.std * ndtri(below + uniform * (above - below)), 0, 1))


@dataclass(frozen=True)
class _Choice:
    """A probability for every choice."""

    shares: tuple[float, ...]

    def log_density(self, entries: Floats) -> Floats:
        c = len(self.shares)
        return np.log(c * np.array(self.shares)[np.minimum(entries * c, c - 1).astype(int)])

    def quantile(self, uniform: float) -> float:
        k = min(int(np.searchsorted(np.cumsum(self.shares), uniform, side="right")), len(self.shares) - 1)
        return (k + 0.5) / len(self.shares)


class Beliefs:
    """pi: independent beliefs about some hyperparameters of a space, nothing about the others.

    >>> from lcbench.space import lcbench_space
    >>> Beliefs(lcbench_space(), {"learning_rate": {"mean": 0.01, "std": 0.1}}).log_density(np.full((1, 7), 0.5)).shape
    (1,)
    """

    def __init__(self, space: ConfigurationSpace, beliefs: Mapping[str, Mapping[Any, float]]) -> None:
        """Read beliefs: {"mean": value, "std": width as a share of the range} for a number, {choice: weight} for a category.

        Raises:
            ValueError: if a hyperparameter or choice is unknown, or a value is not legal.
        """
        self._space = space
        self._beliefs: dict[int, _Number | _Choice] = {}
        names = list(space)
        for name, belief in beliefs.items():
            if name not in names:
                raise ValueError(f"`beliefs` has {name!r}, but the hyperparameters are {', '.join(names)}")
            if not isinstance(belief, Mapping) or not all(_is_number(value) for value in belief.values()):
                raise ValueError(f"`beliefs.{name}` is {belief}, but must be {{mean: number, std: number}}, or {{choice: weight}}")
            self._beliefs[names.index(name)] = _belief(space[name], dict(belief))
        self._any_conditional = any(space.parent_conditions_of[name] for name in beliefs)

    def log_density(self, points: Floats) -> Floats:  # (m, d) -> (m,)
        """Log pi of points of the cube; an inactive entry, NaN or a number, says nothing."""
        points = without_inactive(points, self._space) if self._any_conditional else points
        total = np.zeros(len(points))
        for j, belief in self._beliefs.items():
            active = ~np.isnan(points[:, j])
            total[active] += belief.log_density(points[active, j])
        return total

    def draw(self, rng: np.random.Generator) -> Floats:  # (d,)
        """A point from pi; entries without a belief are uniform."""
        point = cube(self._space).fair(rng.random((1, len(self._space))))[0]
        for j, belief in self._beliefs.items():
            point[j] = belief.quantile(rng.random())
        return point


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _belief(hyperparameter: Any, belief: dict[Any, float]) -> _Number | _Choice:
    name = hyperparameter.name
    if isinstance(hyperparameter, Constant):
        raise ValueError(f"`beliefs.{name}` is about a constant")
    if isinstance(hyperparameter, CategoricalHyperparameter | OrdinalHyperparameter):
        choices = list(getattr(hyperparameter, "choices", getattr(hyperparameter, "sequence", ())))
        if not belief or not set(belief) <= set(choices) or not all(weight > 0 for weight in belief.values()):
            raise ValueError(f"`beliefs.{name}` is {belief}, but must give weights above 0 to some of {choices}")
        weights = np.array([belief.get(choice, WITHOUT_WEIGHT * max(belief.values())) for choice in choices])
        return _Choice(tuple((weights / weights.sum()).tolist()))
    if belief.keys() != {"mean", "std"} or not belief["std"] > 0 or not hyperparameter.legal_value(belief["mean"]):
        low, high = hyperparameter.lower, hyperparameter.upper
        raise ValueError(f"`beliefs.{name}` is {belief}, but must be a mean in {low}..{high} and a std above 0, a share of the range")
    return _Number(float(hyperparameter.to_vector(belief["mean"])), float(belief["std"]))


class Prior:
    """πBO (Hvarfner et al., ICLR 2022, Eq. 6) around any optimizer: acquisition times pi(x)^(beta / n).

    A method with a model offers ``weigh(log_prior, beta)``: it adds beta / n · log pi(x) to its log acquisition, n being the results that
    it was told. A random draw (origin random or initial) gives way, with probability beta / (beta + n), to a draw from pi (origin prior),
    and so does every other new trial of a method that offers no such thing. So wrong beliefs cost about beta · ln(1 + N / beta) of N
    draws. An ask takes O(d) more than that of the optimizer.

    Raises:
        ValueError: if beta is not positive.
    """

    def __init__(
        self, optimizer: Optimizer, space: ConfigurationSpace, beliefs: Beliefs, rng: np.random.Generator, *, beta: float = 10.0
    ) -> None:
        """Put `beliefs` about `space` in front of `optimizer`; `rng` is for the draws from pi."""
        if not (_is_number(beta) and beta > 0):
            raise ValueError(f"`beta` is {beta}, but must be above 0")
        self._optimizer = optimizer
        self.costly = getattr(optimizer, "costly", False)
        self._space = space
        self._beliefs = beliefs
        self._rng = rng
        self._beta = beta
        self._n_told = 0
        weigh: Callable[[Callable[[Floats], Floats], float], None] | None = getattr(optimizer, "weigh", None)
        self._gives_way = {Origin.RANDOM, Origin.INITIAL} if weigh else set(Origin) - {Origin.PROMOTION}
        if weigh:
            weigh(beliefs.log_density, beta)

    def ask(self) -> Query:
        """What the optimizer asks, perhaps with a draw from pi in its place."""
        query = self._optimizer.ask()
        if query.origin not in self._gives_way or self._rng.random() >= self._beta / (self._beta + self._n_told):
            return query
        point = self._beliefs.draw(self._rng)
        if not is_legal(point, self._space):  # one more try would bend pi as well; the optimizer's own proposal stays
            return query
        return replace(query, configuration=decode(point, self._space)[0], origin=Origin.PRIOR)

    def tell(self, result: Result) -> None:
        """Hand a result on; raise KeyError if it answers no open ask."""
        self._optimizer.tell(result)
        self._n_told += 1
