"""Freeze-thaw search: every curve can be frozen and thawed, and a model of all curves says which to train one epoch further."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import ClassVar

import numpy as np
from ConfigSpace import ConfigurationSpace
from scipy.special import log_ndtr

from lcbench.query import Origin, Query, Result
from lcbench.space import decode, encode, sample
from optimizers.candidates import Embedding, Floats, neighbours, uniform
from optimizers.curve_process import CurveProcess, Places
from optimizers.rungs import Ladder

KEPT = frozenset(np.unique(np.round(1.45 ** np.arange(30)).astype(int)).tolist())
"""Epochs of a curve that the model reads, beside the last: 1, 2, 3, 4, 6, 9, 13, 20, 28, 41, …"""
CENTRES, STEP = 8, 0.12
"""New configurations are drawn around so many of the best trials, that far."""
WORST = 3.0
"""Losses so many interquartile ranges above the median are cut; failures stand there, or with the worst other one if that is lower."""


@dataclass
class _Trial:
    """A curve as far as it is known."""

    query: Query
    """The last query."""
    x: Floats
    """Its configuration, embedded."""
    losses: list[float] = field(default_factory=list)
    """Loss after epoch 1, 2, …"""
    running: bool = True
    """True while an ask is open."""


@dataclass(eq=False)
class FreezeThaw:
    """Swersky, Snoek and Adams (2014), with the acquisition of ifBO (Rakotoarison et al., ICML 2024, section 4: MFPI-random).

    A Gaussian process over configurations and epochs (curve_process.py) is fitted to all curves as far as they go. At every decision a
    horizon and an improvement are drawn: h uniform in 1..R epochs, and a threshold below the best loss so far by a share of its
    distance to the upper quartile, log-uniform in 1e-4..1e-1. The frozen trial or new configuration goes on whose probability to be
    below the threshold after h more epochs is largest; so it is sometimes greedy, sometimes patient. A chosen trial is granted
    `grant` times its epochs, one at a time.

    With n the observations that the model reads, at most `max_points`, and m candidates, a decision takes O(n³ + n² m).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    rank_based: ClassVar[bool] = False
    single_epochs: ClassVar[bool] = True
    costly: ClassVar[bool] = True

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Its last epoch is where every curve ends; every epoch before can be asked for."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    n_initial: int = 5
    """Random trials before the first model."""
    n_candidates: int = 64
    """New configurations that a decision considers, and as many near the best trials."""
    grant: float = 0.3
    """Epochs that a chosen trial goes on, as a share of those that it has; at least one."""
    max_points: int = 200
    """Most observations that the model reads: the last of every curve, then those of the best curves."""
    climb_every: int = 10
    """Decisions between two fits of the model's hyperparameters."""
    climb_steps: int = 8
    """Steps of a fit, four times as many in the first."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        for name in ("n_initial", "n_candidates", "max_points", "climb_every", "climb_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}, but must be at least 1")
        if not 0 <= self.grant <= 1:
            raise ValueError(f"`grant` is {self.grant}, but must lie in 0..1")
        self._trials: list[_Trial] = []
        self._embed = Embedding(self.space)
        self._model = CurveProcess(self._embed.groups, self.rng)
        self._granted: list[int] = []  # numbers of trials, one for every epoch
        self._n_decisions = 0

    def ask(self) -> Query:
        """The next epoch of a trial that was granted it, else of whatever the model chooses."""
        self._granted = [number for number in self._granted if self._goes_on(self._trials[number])]
        for place, number in enumerate(self._granted):
            if not self._trials[number].running:
                del self._granted[place]
                return self._thaw(self._trials[number])
        return self._decide()

    def tell(self, result: Result) -> None:
        """Note one more epoch; a failed trial never goes on. Raise KeyError if it answers no open ask."""
        number, epoch = result.query.trial, result.query.epoch
        trial = self._trials[number] if number < len(self._trials) else None
        if trial is None or not trial.running or epoch != len(trial.losses) + 1:
            raise KeyError(f"trial {number} was told at epoch {epoch}, but this ask is not open: tell every ask once")
        trial.running, trial.query = False, result.query
        if epoch == 1:
            trial.x = self._embed(encode([result.query.configuration], self.space))[0]
        trial.losses.append(result.loss)

    # ------------------------------------------------------------------------------------------------------- decisions

    def _goes_on(self, trial: _Trial) -> bool:
        """False once a trial has failed or has come to the end."""
        return (not trial.losses or math.isfinite(trial.losses[-1])) and len(trial.losses) < self.ladder.max

    def _is_frozen(self, trial: _Trial) -> bool:
        return not trial.running and self._goes_on(trial)

    def _thaw(self, trial: _Trial) -> Query:
        trial.running = True
        epoch = len(trial.losses) + 1
        rung = int(np.searchsorted(self.ladder.epochs, epoch))
        return replace(trial.query, epoch=epoch, rung=rung, origin=Origin.PROMOTION)

    def _begin(self, point: Floats | None) -> Query:
        """A new trial at a point of the cube, or at a random one."""
        configuration = sample(self.space, self.rng) if point is None else decode(point, self.space)[0]
        origin = Origin.INITIAL if point is None else Origin.MODEL
        query = Query(configuration, 1, len(self._trials), self.trial_seed, origin)
        self._trials.append(_Trial(query, self._embed(encode([configuration], self.space))[0]))
        return query

    def _decide(self) -> Query:
        told = [(i, trial) for i, trial in enumerate(self._trials) if any(map(math.isfinite, trial.losses))]
        if len(self._trials) < self.n_initial or not told:
            return self._begin(None)
        places, y, best, span = self._observations()
        if self._n_decisions % self.climb_every == 0:
            self._model.climb(places, y, self.climb_steps * (1 if self._n_decisions else 4))
        self._n_decisions += 1
        self._model.condition(places, y)
        frozen = [i for i, trial in told if self._is_frozen(trial)]
        points = self._new_points([trial for _, trial in told])
        x = np.vstack([np.array([self._trials[i].x for i in frozen]).reshape(-1, len(self._embed.groups)), self._embed(points)])
        t = np.array([len(self._trials[i].losses) for i in frozen] + [0] * len(points), float)
        numbers = np.array(frozen + [-1 - i for i in range(len(points))])
        horizon, improvement = self.rng.integers(1, self.ladder.max + 1), 10 ** self.rng.uniform(-4, -1)
        mean, std = self._model.predict(Places(x, np.minimum(t + horizon, self.ladder.max), numbers))
        chosen = int(np.argmax(log_ndtr((best - improvement * span - mean) / std)))
        if chosen >= len(frozen):
            return self._begin(points[chosen - len(frozen)])
        trial = self._trials[frozen[chosen]]
        self._granted.extend([frozen[chosen]] * (int(self.grant * len(trial.losses)) - 1))
        return self._thaw(trial)

    def _new_points(self, told: list[_Trial]) -> Floats:  # (m, d)
        best = sorted(told, key=lambda trial: min(trial.losses))[:CENTRES]
        centres = encode([trial.query.configuration for trial in best], self.space)
        near = neighbours(self.n_candidates, centres, STEP, self.space, self.rng)
        return np.vstack([uniform(self.n_candidates, self.space, self.rng), near])

    def _observations(self) -> tuple[Places, Floats, float, float]:
        """What the model reads: places, losses of spread 1 around 0, the best loss, and its distance to the upper quartile."""
        curves = sorted((min(trial.losses), i) for i, trial in enumerate(self._trials) if trial.losses)
        ends = [(i, len(self._trials[i].losses)) for _, i in curves]
        before = [(i, epoch) for i, last in ends for epoch in range(last - 1, 0, -1) if epoch in KEPT]
        numbers, epochs = np.array((ends + before)[: self.max_points]).T
        losses = np.array([self._trials[i].losses[epoch - 1] for i, epoch in zip(numbers, epochs, strict=True)])
        finite = losses[np.isfinite(losses)]
        low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75])
        spread = high - low or 1.0
        y = (np.minimum(losses, min(finite.max(), middle + WORST * spread)) - middle) / spread
        best = (curves[0][0] - middle) / spread
        x = np.array([self._trials[i].x for i in numbers])
        return Places(x, epochs.astype(float), numbers), y, best, max(float(np.quantile(y, 0.75)) - best, 1e-3)
