"""One training: a pipeline's network, one epoch at a time, measured after every epoch and continued from a checkpoint.

Notation: e the epoch (0 is the untrained network), T the annealing horizon in epochs, n the training rows.
Source: section 2 of the Auto-PyTorch Tabular paper and the generator branch of LCBench, whose recipe is one of the settings.
"""

from __future__ import annotations

import copy
import math
import pickle
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch._dynamo  # the first optimizer of a process loads it (1 s): the fork server does so once for every child
from numpy.typing import NDArray
from torch import Tensor

from lcbench.files import replacing
from lcbench.metric import Metric
from pipeline.augmentation import Mixup
from pipeline.gradients import gradient_statistics
from pipeline.networks.network import Network, build_network
from pipeline.preprocessing.prepared import Prepared, class_weights
from pipeline.preprocessing.raw import SPLITS, SplitName
from pipeline.schedules.schedule import learning_rate
from pipeline.scores import ClassificationScores, RegressionScores, Scores, double_softmax_cross_entropy
from pipeline.settings import under
from pipeline.streams import Purpose, stream

EVALUATION_ROWS = 8192
"""Rows per forward pass at evaluation; changes nothing but memory."""

JUDGED: tuple[SplitName, ...] = ("val", "test")
"""Parts that a network is evaluated on after every epoch."""


class Entry(NamedTuple):
    """One row of a learning curve."""

    epoch: int
    """Epochs trained."""
    seconds: float
    """Cumulative seconds of training and evaluation."""
    values: dict[str, float]
    """Every recorded column."""


@dataclass(frozen=True)
class Recipe:
    """Everything that fixes a training besides its data."""

    settings: Mapping[str, Any]
    """Complete settings of the pipeline (`pipeline.spaces.search_space`)."""
    seed: int
    """Seed of weights, batches, dropout and all other noise."""
    horizon: int
    """T: epochs of a full training, at which an annealed learning rate is at its floor."""
    published_defects: bool = False
    """Reproduce the test cross-entropy of the published curves (docs/decisions/0003)."""
    patience: int | None = None
    """Epochs without a better validation loss after which the training stops at its best epoch; None: never."""


class Training:
    """A network, its optimizer and its curve so far."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None) -> None:
        """Build the network; `metric` is scored too if it is not one of those that always are."""
        self.data, self.recipe, settings = data, recipe, recipe.settings
        self.X = {split: torch.from_numpy(data.X[split]) for split in SPLITS}
        self.y = {split: torch.from_numpy(data.y[split]) for split in SPLITS}
        self.scores = _scores(data, str(settings["loss"]), metric)
        n_features = self.X["train"].shape[1] - len(data.cardinalities)
        self.network = build_network(settings, n_features, data.info.n_outputs, cardinalities=data.cardinalities, seed=recipe.seed)
        rule = settings["optimizer"]
        self.optimizer = import_module(f"pipeline.descent.{rule}").build(self.network.parameters(), under(settings, rule))
        self.averaged = _averaged(self.network, settings)
        self.entries: list[Entry] = []
        self.outputs: dict[SplitName, Tensor] = {}
        self._best: dict[str, Any] = {}

    @property
    def epoch(self) -> int:
        """Epochs trained and measured, -1 before the untrained network was measured."""
        return self.entries[-1].epoch if self.entries else -1

    @property
    def judged(self) -> Network:
        """The network that is evaluated: the trained one, or the average of its weights."""
        return self.averaged.module if self.averaged else self.network

    @property
    def stopped(self) -> bool:
        """True once the validation loss has not improved for `recipe.patience` epochs."""
        return self.recipe.patience is not None and bool(self._best) and self.epoch - self._best["epoch"] >= self.recipe.patience

    def advance(self) -> Entry:
        """Train one more epoch (none for entry 0), measure, and return the new entry of the curve."""
        start, epoch = time.perf_counter(), self.epoch + 1
        losses = [entry.values["val_loss"] for entry in self.entries[1:]]
        rate = learning_rate(self.recipe.settings, epoch, self.recipe.horizon, losses)
        self.network.start_epoch(epoch)
        values = self._train(epoch, rate) if epoch else self._look()
        for split in JUDGED:
            values |= {f"{split}_{name}": value for name, value in self._score(split).items()}
        values |= gradient_statistics(list(self.network.linears))
        values["learning_rate"] = rate
        before = self.entries[-1].seconds if self.entries else 0.0
        self.entries.append(Entry(epoch, before + time.perf_counter() - start, values))
        self._note_best()
        return self.entries[-1]

    def _note_best(self) -> None:
        """Keep a copy of the best network, if the training may stop early."""
        loss = self.entries[-1].values["val_loss"]
        if self.recipe.patience is not None and not loss >= self._best.get("loss", math.inf) and not math.isnan(loss):
            self._best = {"epoch": self.epoch, "loss": loss, "state": copy.deepcopy(self.judged.state_dict())}

    def judge(self) -> int:
        """Make what is judged the network of the best epoch, if the training has stopped early; returns the epoch that is judged."""
        if self.stopped:
            self.judged.load_state_dict(self._best["state"])
        if self.stopped or not self.outputs:
            for split in JUDGED:
                self._score(split)
        return int(self._best["epoch"]) if self.stopped else self.epoch

    def _train(self, epoch: int, rate: float) -> dict[str, float]:
        """One pass over the training rows; its scores come from these very forward passes, dropout, mixup and all."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        X, y = self.X["train"], self.y["train"]
        mixup = self._mixup(epoch)
        outputs, seen = [], []
        for rows in self._batches(epoch):
            batch_y = y[rows]
            self.optimizer.zero_grad()
            output, loss = self._forward(X[rows], batch_y, mixup)
            loss.backward()
            self.optimizer.step()
            if self.averaged:
                self.averaged.update_parameters(self.network)
            outputs.append(output.detach())
            seen.append(batch_y)
        return {f"train_{name}": value for name, value in self.scores(torch.cat(outputs), torch.cat(seen)).items()}

    def _forward(self, x: Tensor, y: Tensor, mixup: Mixup | None) -> tuple[Tensor, Tensor]:
        """Output (batch, n_outputs) and loss () of one batch; codes of categories are mixed as their embeddings."""
        if mixup is None:
            output = self.network(x)
            return output, self.scores.loss(output, y)
        share, order = mixup.draw(len(y))
        embedded = self.network.embed(x)
        output = self.network.body(share * embedded + (1 - share) * embedded[order])
        return output, share * self.scores.loss(output, y) + (1 - share) * self.scores.loss(output, y[order])

    def _mixup(self, epoch: int) -> Mixup | None:
        settings = self.recipe.settings
        if settings["augmentation"] != "mixup":
            return None
        return Mixup.of_epoch(float(settings["mixup.alpha"]), self.recipe.seed, epoch)

    def _look(self) -> dict[str, float]:
        """Scores of the untrained network, and the gradients of one batch, with no step taken."""
        values = {f"train_{name}": value for name, value in self._score("train").items()}
        state = copy.deepcopy(self.network.state_dict())
        self.network.train()
        rows = self._batches(0)[0]
        self.scores.loss(self.network(self.X["train"][rows]), self.y["train"][rows]).backward()
        self.network.load_state_dict(state)  # a training pass moves the statistics of batch normalisation
        return values

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Shuffled row numbers; the last incomplete batch is dropped unless it is the only one."""
        n, size = len(self.y["train"]), int(self.recipe.settings["batch_size"])
        order = torch.randperm(n, generator=stream(self.recipe.seed, epoch, Purpose.BATCHES))
        return order[: n - n % size].split(size) if size < n else (order,)

    @torch.inference_mode()
    def _score(self, split: SplitName) -> dict[str, float]:
        network = self.judged.eval()
        outputs = torch.cat([network(rows) for rows in self.X[split].split(EVALUATION_ROWS)])
        values = self.scores(outputs, self.y[split])
        if self.recipe.published_defects and split == "test" and "cross_entropy" in values:
            values["cross_entropy"] = double_softmax_cross_entropy(outputs, self.y[split])
        self.outputs[split] = outputs
        return values

    def predictions(self, split: SplitName) -> NDArray[np.float32]:
        """Class probabilities (n, C), or predictions (n, 1) in the target's unit, of the network as it was last judged."""
        return self.scores.predictions(self.outputs[split])

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically; because streams belong to epochs, no generator state is needed."""
        state: dict[str, Any] = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "best": self._best}
        state |= {"averaged": self.averaged.state_dict() if self.averaged else None, "recipe": _plain(self.recipe)}
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
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged:
            self.averaged.load_state_dict(state["averaged"])
        self._best = state["best"]
        self.entries = [Entry(*entry) for entry in state["entries"]]
        return True


def _plain(recipe: Recipe) -> dict[str, Any]:
    return asdict(recipe) | {"settings": dict(recipe.settings)}


def _averaged(network: Network, settings: Mapping[str, Any]) -> Any:
    """The moving average of the weights, and of the statistics of batch normalisation, if the settings want one."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    if settings["weight_averaging"] != "moving_average":
        return None
    decay = float(settings["moving_average.decay"])
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _scores(data: Prepared, loss: str, metric: Metric | None) -> Scores:
    if data.info.kind == "regression":
        return RegressionScores(data.y_scale, data.y_mean, metric, absolute=loss == "absolute")
    weighted = loss == "cross_entropy_weighted"
    weights = class_weights(data.y["train"], data.info.n_classes) if weighted else np.ones(data.info.n_classes, np.float32)
    return ClassificationScores(torch.from_numpy(weights), metric)
