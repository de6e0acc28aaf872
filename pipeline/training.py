"""One training: a pipeline's networks, one epoch at a time, measured after every epoch and continued from a checkpoint.

One network where validation rows are held out; under cross-validation one per fold, all of which take the same epoch before any takes
the next, so that there is one curve, the mean over the folds.

Notation: e the epoch (0 is the untrained network), T the annealing horizon in epochs, K folds.
Source: section 2 of the Auto-PyTorch Tabular paper and the generator branch of LCBench, whose recipe is one of the settings.
"""

from __future__ import annotations

import copy
import math
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lcbench.files import replacing
from lcbench.metric import METRICS, Metric
from pipeline.compiled import CompiledLearner
from pipeline.ensemble import mean
from pipeline.flat import is_dense, is_known
from pipeline.gradients import LAYER
from pipeline.learner import Learner, Recipe
from pipeline.metrics import score
from pipeline.preprocessing.prepared import Prepared
from pipeline.resident import ResidentLearner
from pipeline.schedules.schedule import learning_rate
from pipeline.scores import ClassificationScores
from pipeline.turns import Work, finished

RESOLUTION = 2.0**-20
"""The seconds of a curve are kept in such steps, about a microsecond: what lies below is noise, and was half of their weight in a file."""


class Entry(NamedTuple):
    """One row of a learning curve."""

    epoch: int
    """Epochs trained."""
    seconds: float
    """Cumulative seconds of training and evaluation."""
    values: dict[str, float]
    """Every recorded column."""


def learner_of(data: Prepared, recipe: Recipe, metric: Metric | None = None, device: str = "cpu") -> Learner:
    """The learner of a recipe: a dense network on the device that is named, compiled code, or torch's layers for everything else.

    Every curve says which, `Training.trainer`.
    """
    embeds = bool(data.cardinalities)
    if device != "cpu" and is_dense(recipe.settings, embeds=embeds) and not recipe.published_defects:
        return ResidentLearner(data, recipe, metric, torch.device(device))
    return (CompiledLearner if is_known(recipe.settings, embeds=embeds) else Learner)(data, recipe, metric)


class Training:
    """The networks of one recipe, one per fold, and their curve so far."""

    def __init__(
        self,
        folds: Sequence[Prepared],
        recipe: Recipe,
        metric: Metric | None = None,
        *,
        device: str = "cpu",
        clock: Callable[[], float] = time.perf_counter,
        rates: Sequence[float] = (),
    ) -> None:
        """Build the networks.

        Args:
            folds: the data of each network.
            recipe: everything that fixes a training besides its data.
            metric: is scored too, if it is not one of those that always are.
            device: where dense networks are trained, as torch names it.
            clock: what the seconds of an entry are read from.
            rates: learning rate of every entry, of a training that is repeated; empty: the schedule tells them.
        """
        self.recipe = recipe
        self.learners = tuple(learner_of(data, recipe, metric, device) for data in folds)
        self._clock = clock
        self._rates = rates
        self.entries: list[Entry] = []
        self._best: dict[str, Any] = {}
        self._rung = (0, 0.0)

    @property
    def epoch(self) -> int:
        """Epochs trained and measured, -1 before the untrained networks were measured."""
        return self.entries[-1].epoch if self.entries else -1

    @property
    def n_parameters(self) -> int:
        """Weights of one network."""
        return self.learners[0].network.n_parameters

    @property
    def trainer(self) -> str:
        """Who trains the networks: ``compiled`` code, torch's ``layers`` (all or some), or ``resident`` ones on a device."""
        kinds = {CompiledLearner: "compiled", ResidentLearner: "resident", Learner: "layers"}
        found = {kinds[type(learner)] for learner in self.learners}  # a fold may embed a column that is too short in another
        return found.pop() if len(found) == 1 else "layers"

    def spent_before(self, epoch: int) -> float:
        """Seconds that had been spent when it was first asked to go to `epoch`, also if that was interrupted since."""
        if self._rung[0] != epoch:
            self._rung = (epoch, self.entries[-1].seconds if self.entries else 0.0)
        return self._rung[1]

    @property
    def stopped(self) -> bool:
        """True once the validation loss has not improved for `recipe.patience` epochs."""
        return self.recipe.patience is not None and bool(self._best) and self.epoch - self._best["epoch"] >= self.recipe.patience

    def advance(self) -> Entry:
        """Train one more epoch (none for entry 0), measure, and return the new entry of the curve."""
        return finished(self.advancing())

    def advancing(self) -> Work[Entry]:
        """`advance`, which gives way to other trainings wherever it has set a device to work."""
        start, epoch = self._clock(), self.epoch + 1
        rate = self._rates[epoch] if self._rates else self._scheduled(epoch)
        measured = []
        for learner in self.learners:
            measured.append((yield from learner.advancing(epoch, rate)))
        values = _mean(measured) | {"learning_rate": rate}
        before = self.entries[-1].seconds if self.entries else 0.0
        self.entries.append(Entry(epoch, before + _in_steps(self._clock() - start), values))
        self._note_best()
        return self.entries[-1]

    def _scheduled(self, epoch: int) -> float:
        losses = [entry.values.get("val_loss", entry.values["train_loss"]) for entry in self.entries[1:]]
        return learning_rate(self.recipe.settings, epoch, self.recipe.horizon, losses)

    def _note_best(self) -> None:
        """Keep a copy of the best networks, if the training may stop early."""
        loss = self.entries[-1].values.get("val_loss", math.nan)
        if self.recipe.patience is not None and not loss >= self._best.get("loss", math.inf) and not math.isnan(loss):
            states = [copy.deepcopy(learner.judged.state_dict()) for learner in self.learners]
            self._best = {"epoch": self.epoch, "loss": loss, "states": states}

    def judge(self) -> int:
        """Make what is judged the networks of the best epoch, if the training has stopped early; returns the epoch that is judged."""
        for i, learner in enumerate(self.learners):
            if self.stopped:
                learner.judged.load_state_dict(self._best["states"][i])
            if self.stopped or not learner.outputs:
                learner.judge()
        return int(self._best["epoch"]) if self.stopped else self.epoch

    def choose_shares(self, metric: Metric) -> None:
        """Let predictions take the class weights of the loss out again, or leave them in: whatever is better on the validation rows.

        Of equals the one with the smaller cross-entropy. Accuracy and log loss gain where classes are unbalanced, balanced accuracy loses.
        """
        if not all(isinstance(learner.scores, ClassificationScores) for learner in self.learners):
            return
        y = np.concatenate([learner.data.y["val"] for learner in self.learners])
        found = {}
        for unweighted in (True, False):
            self.set_shares(unweighted=unweighted)
            predictions = self.validation_predictions()
            found[unweighted] = (metric.loss(score(metric, y, predictions)), score(METRICS["cross_entropy"], y, predictions))
        self.set_shares(unweighted=found[True] < found[False])

    def set_shares(self, *, unweighted: bool) -> None:
        """Let predictions take the class weights of the loss out again, or leave them in."""
        for learner in self.learners:
            if isinstance(learner.scores, ClassificationScores):
                learner.scores.unweighted = unweighted

    def validation_predictions(self) -> NDArray[np.float32]:  # (n_val, C)
        """Class probabilities, or predictions in the target's unit, of every validation row by the network of its fold."""
        return np.concatenate([learner.predictions("val") for learner in self.learners])

    def test_predictions(self) -> NDArray[np.float32]:  # (n_test, C)
        """The same of the test rows: the mean over the folds."""
        return mean([learner.predictions("test") for learner in self.learners])

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically."""
        states = [learner.state() for learner in self.learners]
        state = {"learners": states, "best": self._best, "recipe": _plain(self.recipe), "rung": self._rung}
        with replacing(path) as temporary:
            torch.save(state | {"entries": [tuple(entry) for entry in self.entries]}, temporary)

    def restore(self, path: Path) -> bool:
        """Continue from a checkpoint; False if it cannot be read.

        Raises:
            ValueError: if the checkpoint belongs to another training.
        """
        try:
            state = torch.load(path, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
            return False
        if state["recipe"] != _plain(self.recipe):
            raise ValueError(f"checkpoint {path.name} holds {state['recipe']}, but the training is {_plain(self.recipe)}")
        try:
            for learner, one in zip(self.learners, state["learners"], strict=True):
                learner.restore(one)
            self._rung = state["rung"]
        except KeyError:  # left by another trainer
            return False
        self._best = state["best"]
        self.entries = [Entry(*entry) for entry in state["entries"]]
        return True


def _in_steps(seconds: float) -> float:
    return round(seconds / RESOLUTION) * RESOLUTION


def _plain(recipe: Recipe) -> dict[str, Any]:
    return asdict(recipe) | {"settings": dict(recipe.settings)}


def _mean(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every column over the folds; none of single layers where folds have not as many, because a column is embedded in some."""
    if len(folds) == 1:
        return dict(folds[0])
    alike = all(fold.keys() == folds[0].keys() for fold in folds)
    return {name: _mean_of(name, folds) for name in folds[0] if alike or LAYER not in name}


def _mean_of(name: str, folds: Sequence[Mapping[str, float]]) -> float:
    """Of a score that is undefined on the few rows of a fold, the mean over the others; but what has diverged is not left out."""
    loss = f"{name.partition('_')[0]}_loss"
    defined = [fold[name] for fold in folds if not math.isnan(fold[name]) or not math.isfinite(fold.get(loss, math.nan))]
    return float(np.mean(defined)) if defined else math.nan
