"""The ensemble of a run: fed with every model as it is trained, and followed over time."""

from __future__ import annotations

import csv
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from experiments.cost import Clock
from experiments.loop import Asked, Observer, Told
from lcbench.query import Result
from pipeline.constant import Constant
from pipeline.ensemble import Ensemble, EnsembleBuilder, combine
from pipeline.live import LiveBenchmark, member_name
from pipeline.members import Kept, drop, drop_preprocessors, read_kept
from pipeline.metrics import score, scores
from pipeline.predictor import assemble
from pipeline.preprocessing.raw import RawTable

COLUMNS = ("seconds", "models", "members", "val_score", "test_score", "best_single", "best_single_val_score", "best_single_test_score")
"""Of ``ensemble.csv``: after so many seconds, the ensemble of the models so far, beside the best of them alone."""
FOLLOWING_SECONDS, FOLLOWING_SHARE = 2.0, 0.02
"""No round of a selection in the middle of a run begins after these seconds, or this share of the run's, whichever is more."""
REST = 10
"""Between two ensembles there is this many times the time that one takes, so that choosing costs little of the run."""


class Ensembling(Observer):
    """Collects the predictions of networks and traditional models; observes the loop, and hears of other models from any thread."""

    def __init__(self, live: LiveBenchmark, clock: Clock, options: dict[str, Any], seed: int) -> None:
        """Begin with no model.

        Args:
            live: the benchmark whose directory holds the table and the members.
            clock: seconds of the run.
            options: `size`, `n_best` and `max_latency` of `EnsembleBuilder`.
            seed: for ties.
        """
        self.directory, self.task, self.metric = live.directory, live.task, live.metric
        raw = RawTable.load(live.prepared / "raw", live.task)
        self.y = {split: raw.target(split) for split in ("val", "test")}
        self.builder = EnsembleBuilder(self.y["val"], live.metric, seed=seed, **options)
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._constant: Kept | None = None
        self._lock = threading.Lock()
        self._due = 0.0
        self._last: tuple[Any, ...] = ()

    def told(self, result: Result) -> None:
        """A network was trained."""
        if result.ok:
            self.add(member_name(result.query))

    def replay(self, history: Iterable[Asked | Told]) -> None:
        """Take up the networks of earlier sessions."""
        for event in history:
            if isinstance(event, Told) and event.result.ok:
                self.add(member_name(event.result.query), follow=False)

    def add(self, name: str, *, follow: bool = True) -> None:
        """Offer a stored model to the ensemble; one that it will never need is removed from the disk."""
        with self._lock:
            kept = read_kept(self.directory, name)
            if kept is None or name in self._kept:
                return
            if name == Constant.name:  # a member where there is no other
                self._constant = kept
                return
            self._offer(kept)
            if follow and time.monotonic() >= self._due and self._kept:
                start = time.monotonic()
                limit = self._clock.limit or math.inf
                allowed = min(max(FOLLOWING_SECONDS, FOLLOWING_SHARE * limit), limit - self._clock.elapsed)
                self._follow(self.builder.ensemble(start + allowed))
                self._due = time.monotonic() + REST * (time.monotonic() - start)

    def _offer(self, kept: Kept) -> None:
        self._kept[kept.name] = kept
        for dropped in self.builder.add(kept.name, kept.val, kept.ms, always=not kept.arrays):  # there is one of each traditional model
            drop(self.directory, dropped)
            del self._kept[dropped]

    def _follow(self, ensemble: Ensemble) -> None:
        """Add a line to the curve of the ensemble, if anything has changed."""
        line = (len(self.builder.names), len(ensemble.members), *self._both(ensemble), ensemble.best_single)
        if line == self._last:
            return
        self._last = line
        best = self._kept[ensemble.best_single]
        alone = (self.metric.value(ensemble.best_single_loss), self._score("test", best.test))
        path = self.directory / "ensemble.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS] * new + [(round(self._clock.elapsed, 3), *line, *alone)])

    def _both(self, ensemble: Ensemble) -> tuple[float, float]:
        test = combine(ensemble.weights, [self._kept[name].test for name in ensemble.members])
        return self.metric.value(ensemble.loss), self._score("test", test)

    def _score(self, split: str, predictions: NDArray[Any]) -> float:
        """NaN where the task has no such rows."""
        return score(self.metric, self.y[split], predictions) if len(self.y[split]) else math.nan

    def finish(self, deadline: float = math.inf) -> dict[str, Any]:
        """Choose the last ensemble, save it as the predictor of the run, and return what the summary says of it.

        Args:
            deadline: `time.monotonic()` after which no further round of the selection begins, but for those of a second.
        """
        with self._lock:
            if self._constant and not self._kept:
                self._offer(replace(self._constant, ms=0.0))  # a model that answers, whatever the cap on milliseconds
            ensemble = self.builder.ensemble(max(deadline, time.monotonic() + 1.0))
            self._follow(ensemble)
            members = dict(zip(ensemble.members, ensemble.weights, strict=True))
            assemble(self.directory, ensemble.members, ensemble.weights, self.task.name)
            drop_preprocessors(self.directory, self._kept.values())
            return {
                "words": ensemble.words,
                "better_than_its_best": ensemble.better,
                "scores": self._scores(ensemble),
                "members": members,
                "best_single": ensemble.best_single,
                "models": [self._describe(kept, members.get(name, 0.0)) for name, kept in sorted(self._kept.items())],
            }

    def _scores(self, ensemble: Ensemble) -> dict[str, float]:
        found: dict[str, float] = {}
        for split in (split for split in self.y if len(self.y[split])):
            parts = [getattr(self._kept[name], split) for name in ensemble.members]
            values = scores(self.task, self.y[split], combine(ensemble.weights, parts), self.metric)
            found |= {f"{split}_{name}": value for name, value in values.items()}
        return found

    def _describe(self, kept: Kept, weight: float) -> dict[str, Any]:
        return {
            "name": kept.name,
            "validation_score": self._score("val", kept.val),
            "test_score": self._score("test", kept.test) if len(kept.test) else None,
            "fit_seconds": kept.seconds,
            "predict_seconds_per_1000": kept.ms / 1000,
            "weight": weight,
        }
