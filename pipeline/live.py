"""The live benchmark: answers a query by training the network for real and writing every epoch to a journal.

Importing this module is cheap: torch and the training are loaded by the process that trains.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ConfigSpace import ConfigurationSpace

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.journal import Journal
from lcbench.metric import Metric
from lcbench.query import Query, Result, Status
from lcbench.recording import end_record, epoch_record, training_record
from lcbench.space import key, plain
from lcbench.task import TaskInfo
from pipeline.spaces.search_space import SearchSpace
from pipeline.tasks import Task
from pipeline.threads import one_thread
from pipeline.turns import Work, finished

if TYPE_CHECKING:
    from pipeline.learner import Recipe
    from pipeline.training import Training

CHECKPOINT_BYTES = 4 * 2**30
"""Checkpoints of a run take no more room on the disk; a trial whose own is gone is trained again, at no charge to a budget of epochs."""
CHECKPOINT_SECONDS = 30.0
"""A long training is saved this often inside a rung, so that a killed run repeats half a minute at most."""


@dataclass(frozen=True)
class LiveBenchmark:
    """Trains configurations of a search space on one task; picklable, so that a child can do it.

    The directory holds ``prepared/`` (the arrays), ``journals/`` (one file per worker), ``checkpoints/`` and, if the trained networks
    are kept, ``members/`` (`pipeline.members`).
    """

    task: TaskInfo
    """The task that is trained on."""
    search_space: SearchSpace
    """The configurations that can be trained, and what they leave out."""
    epochs: int
    """The largest epoch that can be asked for."""
    metric: Metric
    """The metric whose validation loss is returned."""
    directory: Path
    """The run directory."""
    folds: int = 1
    """Networks per trial: one where validation rows are held out, else one per fold of the cross-validation."""
    keep: bool = True
    """Keep every network that was asked for with its predictions, for an ensemble."""
    continue_trials: bool = True
    """Promoted trials continue from their checkpoint; False trains every rung from scratch, as HpBandSter does."""
    anneal: Literal["full", "rung"] = "full"
    """Learning rates fall to zero at full training, or at the epoch of the query (LCBench's runs with budget 6, 12, 25)."""
    patience: int | None = None
    """Epochs without a better validation loss after which a training stops, and is judged at its best epoch; None: never."""
    device: str = "cpu"
    """Where dense networks are trained, as torch names it; only what is recorded and not kept may lie elsewhere than on the processor."""
    published_defects: bool = False
    """Reproduce what is known to be wrong in the published curves (docs/decisions/0003), one epoch more included."""

    def __post_init__(self) -> None:
        if self.anneal not in ("full", "rung"):
            raise UserError(f"`benchmark.anneal` is {self.anneal!r}, but must be 'full' or 'rung'")
        if self.anneal == "rung" and self.continue_trials:
            raise UserError("`benchmark.anneal` is 'rung', so every rung is a training of its own: set `benchmark.continue_trials=false`")
        if self.device != "cpu" and (self.keep or self.continue_trials):
            raise UserError(
                f"`benchmark.device` is {self.device!r}, but a search trains on cpu: only collections (experiments.collect) train elsewhere"
            )
        if self.patience is not None and self.patience < 1:
            raise UserError(f"`benchmark.patience` is {self.patience}, but must be at least 1, or null for no early stopping")

    @property
    def space(self) -> ConfigurationSpace:
        """The configurations that can be trained."""
        return self.search_space.space

    def set_up(self, task: Task) -> int:
        """Write the table once and make the folders that `evaluate` works in; returns a checksum of the table."""
        from pipeline.preprocessing.raw import RawTable

        for folder in ("journals", "checkpoints"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        raw = RawTable.of(task)
        raw.save(self.prepared / "raw")
        return raw.checksum()

    def tear_down(self) -> None:
        """Remove the arrays and checkpoints of a finished run; both can be made again, checkpoints by training again."""
        for folder in ("prepared", "checkpoints"):
            shutil.rmtree(self.directory / folder, ignore_errors=True)

    def evaluate(self, query: Query) -> Result:
        """Train `query.trial` up to `query.epoch`, from its checkpoint where there is one."""
        one_thread()
        training = self._begin(query)
        spent = training.spent_before(query.epoch)
        with Journal(self.directory / "journals" / f"{multiprocessing.current_process().name}.journal") as journal:
            status, reason = finished(self._train(training, query, journal.append))
        curve = LearningCurve.from_entries(training.entries)
        seconds = max(float(curve.seconds[-1]) - spent, 0.0)
        if status is not Status.SUCCESS:
            return Result.failure(query, status, reason, curve=curve, seconds=seconds)
        if self.continue_trials:
            training.save(self._checkpoint(query))
            self._forget_checkpoints()
        judged = training.judge()
        if self.keep:
            self._keep(training, query, judged)
        return Result.measured(query, curve, self.metric.loss(curve.at(judged)[self.metric.on("val")]), seconds)

    def record(self, query: Query) -> list[dict[str, Any]]:
        """Train a query from scratch and return what would stand in a journal, the end included; nothing is written.

        Raises:
            ValueError: if trials are continued, for then there is more to keep.
        """
        return finished(self.recording(query))

    def recording(
        self, query: Query, clock: Callable[[], float] = time.perf_counter, limit: float | None = None
    ) -> Work[list[dict[str, Any]]]:
        """`record`, which gives way to other trainings once it is set up, and wherever it has set the device to work.

        Args:
            query: what to train.
            clock: what seconds are read from.
            limit: seconds after which the training ends as a timeout with the curve that it has; None: never.
        """
        if self.continue_trials:
            raise ValueError("this is a bug: only a benchmark with continue_trials=False can record")
        one_thread()
        training, records = self._begin(query, clock), list[dict[str, Any]]()
        yield
        status, reason = yield from self._train(training, query, records.append, limit)
        end = end_record(trial=query.trial, horizon=self.horizon(query), epoch=query.epoch, status=status, error=reason)
        return [*records, end]

    def gives_way(self, query: Query) -> bool:
        """Whether `recording` leaves the processor to others while a device trains; never for what might embed columns."""
        from pipeline.flat import is_dense

        settings = self.search_space.settings(query.configuration)
        return self.device != "cpu" and not self.published_defects and is_dense(settings, embeds=settings["embedding"] != "none")

    @property
    def extra_epochs(self) -> int:
        """Epochs that every training goes beyond its query: the original's loop ran one too many."""
        return 1 if self.published_defects else 0

    @property
    def stated(self) -> dict[str, Any]:
        """What a recording has to say of itself, so that its curves are never taken for others."""
        return {"published_defects": True} if self.published_defects else {}

    @property
    def prepared(self) -> Path:
        """Where the arrays lie."""
        return self.directory / "prepared"

    def _begin(self, query: Query, clock: Callable[[], float] = time.perf_counter) -> Training:
        """The training of a query, where its checkpoint left it, or at its start."""
        from pipeline.preprocessing.cache import prepared
        from pipeline.training import Training

        recipe = self._recipe(query)
        data = [prepared(self.prepared, recipe.settings, recipe.seed, self.task, fold) for fold in range(self.folds)]
        begin = partial(Training, data, recipe, self.metric, device=self.device, clock=clock)
        training, checkpoint = begin(), self._checkpoint(query)
        if not self.continue_trials or not checkpoint.exists():
            return training
        if training.restore(checkpoint) and training.epoch <= query.epoch + self.extra_epochs:
            return training
        return begin()  # the checkpoint is damaged, or already further: train again

    def _train(
        self, training: Training, query: Query, append: Callable[[dict[str, Any]], None], limit: float | None = None
    ) -> Work[tuple[Status, str]]:
        """Advance to the epoch of the query, every epoch to `append`; returns how it ended, and why if not well."""
        name: dict[str, Any] = {"trial": query.trial, "horizon": self.horizon(query)}
        saved = training.entries[-1].seconds if training.entries else 0.0
        if not training.entries:
            append(training_record(**name, **self._describe(query, training)))
        while training.epoch < query.epoch + self.extra_epochs and not training.stopped:
            epoch, seconds, values = yield from training.advancing()
            append(epoch_record(**name, epoch=epoch, seconds=seconds, values=values))
            judged = ("train_loss", "val_loss", self.metric.on("val"))  # the last step of an epoch shows in what is evaluated after it
            bad = [column for column in judged if not math.isfinite(values.get(column, 0.0))]
            if bad:
                return Status.DIVERGED, f"{bad[0]} is {values[bad[0]]} after epoch {epoch}"
            if limit is not None and seconds > limit and epoch < query.epoch:
                return Status.TIMEOUT, f"ended after epoch {epoch}, which was beyond the time limit of {limit:g} s"
            if self.continue_trials and seconds - saved > CHECKPOINT_SECONDS:
                training.save(self._checkpoint(query))
                saved = seconds
        return Status.SUCCESS, ""

    def _keep(self, training: Training, query: Query, epoch: int) -> None:
        """Store the networks of the judged epoch with their predictions."""
        from pipeline.members import PREPROCESSORS, keep_networks
        from pipeline.preprocessing.cache import folder, prepared

        training.choose_shares(self.metric)
        of_fold = [(self.prepared, training.recipe.settings, query.seed, fold) for fold in range(self.folds)]
        arrays = [folder(*where) for where in of_fold]
        for path, (directory, settings, seed, fold) in zip(arrays, of_fold, strict=True):
            if not (self.directory / PREPROCESSORS / f"{path.name}.pkl").exists():
                prepared(directory, settings, seed, self.task, fold)  # others may have needed the room
        keep_networks(self.directory, training, member_name(query), arrays, epoch)

    @staticmethod
    def _describe(query: Query, training: Training) -> dict[str, Any]:
        """Everything about a training but its name; scalars say who trained it, see `Training.trainer`."""
        about = {"seed": query.seed, "configuration": plain(query.configuration), "origin": str(query.origin)}
        trainers = {name: float(training.trainer == name) for name in ("compiled", "resident")}
        return {**about, "n_parameters": training.n_parameters, "results": trainers}

    def _recipe(self, query: Query) -> Recipe:
        from pipeline.learner import Recipe

        settings = self.search_space.settings(query.configuration)
        return Recipe(settings, query.seed, self.horizon(query), self.published_defects, self.patience)

    def horizon(self, query: Query) -> int:
        """Epochs after which the learning rate of this query's training is at its floor."""
        return self.epochs if self.anneal == "full" else query.epoch

    def _forget_checkpoints(self) -> None:
        """Remove the oldest checkpoints beyond `CHECKPOINT_BYTES`: their brackets are over, or they are trained once more from scratch."""
        found = []
        for entry in os.scandir(self.directory / "checkpoints"):
            with suppress(FileNotFoundError):  # another process may do the same, or has just written one
                if not entry.name.startswith("."):
                    found.append((entry.stat(), entry.path))
        room = CHECKPOINT_BYTES
        for about, path in sorted(found, key=lambda one: one[0].st_mtime, reverse=True):
            room -= about.st_size
            if room < 0:
                Path(path).unlink(missing_ok=True)

    def _checkpoint(self, query: Query) -> Path:
        return self.directory / "checkpoints" / f"{query.trial:05d}-{key(query.configuration)}.pt"


def member_name(query: Query) -> str:
    """Name under which the network of a query is kept, e.g. ``00003-012``."""
    return f"{query.trial:05d}-{query.epoch:03d}"
