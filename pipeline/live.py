"""The live benchmark: answers a query by training the network for real and writing every epoch to a journal.

Importing this module is cheap: torch and the training are loaded by the process that trains.
"""

from __future__ import annotations

import math
import multiprocessing
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ConfigSpace import ConfigurationSpace

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.journal import Journal
from lcbench.metric import Metric
from lcbench.query import Query, Result, Status
from lcbench.recording import epoch_record, training_record
from lcbench.space import key, plain
from lcbench.task import TaskInfo
from pipeline.tasks import Task

if TYPE_CHECKING:
    from pipeline.preprocessing import Prepared
    from pipeline.training import Recipe, Training

CHECKPOINT_SECONDS = 30.0
"""A long training is saved this often inside a rung, so that a killed run repeats half a minute at most."""


@dataclass(frozen=True)
class LiveBenchmark:
    """Trains configurations of the LCBench space on one prepared task; picklable, so that a child can do it.

    The directory holds ``prepared/`` (the arrays), ``journals/`` (one file per worker) and ``checkpoints/``.
    """

    task: TaskInfo
    """The task that is trained on."""
    space: ConfigurationSpace
    """The configurations that can be trained."""
    epochs: int
    """The largest epoch that can be asked for."""
    metric: Metric
    """The metric whose validation loss is returned."""
    directory: Path
    """The run directory."""
    continue_trials: bool = True
    """Promoted trials continue from their checkpoint; False trains every rung from scratch, as HpBandSter does."""
    anneal: Literal["full", "rung"] = "full"
    """Learning rates fall to zero at full training, or at the epoch of the query (LCBench's runs with budget 6, 12, 25)."""
    published_defects: bool = False
    """Reproduce what is known to be wrong in the published curves (docs/decisions/0003), one epoch more included."""

    def __post_init__(self) -> None:
        if self.anneal not in ("full", "rung"):
            raise UserError(f"`benchmark.anneal` is {self.anneal!r}, but must be 'full' or 'rung'")
        if self.anneal == "rung" and self.continue_trials:
            raise UserError("`benchmark.anneal` is 'rung', so every rung is a training of its own: set `benchmark.continue_trials=false`")

    def set_up(self, task: Task) -> int:
        """Preprocess the task once and make the folders that `evaluate` works in; returns a checksum of the arrays."""
        from pipeline.preprocessing import prepare

        for folder in ("journals", "checkpoints"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        data = prepare(task)
        data.save(self.directory / "prepared")
        return data.checksum()

    def tear_down(self) -> None:
        """Remove the arrays and checkpoints of a finished run; both can be made again, checkpoints by training again."""
        for folder in ("prepared", "checkpoints"):
            shutil.rmtree(self.directory / folder, ignore_errors=True)

    def evaluate(self, query: Query) -> Result:
        """Train `query.trial` up to `query.epoch`, from its checkpoint where there is one."""
        import torch

        from pipeline.training import Training

        torch.set_num_threads(1)  # parallelism is over trials; two threads per small network were 18 times slower
        training = Training(self._data(), self._recipe(query))
        checkpoint = self._checkpoint(query)
        if self.continue_trials and checkpoint.exists() and not training.restore(checkpoint):
            training = Training(self._data(), self._recipe(query))  # the checkpoint is damaged: train again
        spent = training.entries[-1].seconds if training.entries else 0.0
        target = query.epoch + self.extra_epochs
        diverged = self._train(training, target, query)
        curve = LearningCurve.from_entries(training.entries).prefix(target)
        seconds = max(float(curve.seconds[-1]) - spent, 0.0)
        if diverged:
            return Result.failure(query, Status.DIVERGED, diverged, curve=curve, seconds=seconds)
        if self.continue_trials:
            training.save(checkpoint)
        return Result.measured(query, curve, self.metric.loss(curve.at(target)[self.metric.on("val")]), seconds)

    @property
    def extra_epochs(self) -> int:
        """Epochs that every training goes beyond its query: the original's loop ran one too many."""
        return 1 if self.published_defects else 0

    def _train(self, training: Training, target: int, query: Query) -> str:
        """Advance to `target`, every epoch to the journal; returns why the training diverged, or nothing."""
        name: dict[str, Any] = {"trial": query.trial, "horizon": self.horizon(query)}
        saved = training.entries[-1].seconds if training.entries else 0.0
        with Journal(self.directory / "journals" / f"{multiprocessing.current_process().name}.journal") as journal:
            if not training.entries:
                journal.append(training_record(**name, **self._describe(query, training.network.n_parameters)))
            while training.epoch < target:
                epoch, seconds, values = training.advance()
                journal.append(epoch_record(**name, epoch=epoch, seconds=seconds, values=values))
                bad = [column for column in ("train_loss", self.metric.on("val")) if not math.isfinite(values[column])]
                if bad:
                    return f"{bad[0]} is {values[bad[0]]} after epoch {epoch}"
                if self.continue_trials and seconds - saved > CHECKPOINT_SECONDS:
                    training.save(self._checkpoint(query))
                    saved = seconds
        return ""

    @staticmethod
    def _describe(query: Query, n_parameters: int) -> dict[str, Any]:
        configuration = plain(query.configuration)
        return {"seed": query.seed, "configuration": configuration, "origin": str(query.origin), "n_parameters": n_parameters}

    def _data(self) -> Prepared:
        from pipeline.preprocessing import Prepared

        return Prepared.load(self.directory / "prepared", self.task)

    def _recipe(self, query: Query) -> Recipe:
        from pipeline.training import Recipe

        return Recipe(plain(query.configuration), query.seed, self.horizon(query), self.published_defects)

    def horizon(self, query: Query) -> int:
        """Epochs after which the learning rate of this query's training is at its floor."""
        return self.epochs if self.anneal == "full" else query.epoch

    def _checkpoint(self, query: Query) -> Path:
        return self.directory / "checkpoints" / f"{query.trial:05d}-{key(query.configuration)}.pt"
