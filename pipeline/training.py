"""One training: the LCBench recipe, one epoch at a time, measured after every epoch and continued from a checkpoint.

Notation: e the epoch (0 is the untrained network), T the annealing horizon in epochs, n the training rows.
Source: generator branch of LCBench and section 2 of the Auto-PyTorch Tabular paper.
"""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch._dynamo  # the first optimizer of a process loads it (1 s): the fork server does so once for every child
from torch import Tensor

from lcbench.files import replacing
from pipeline.gradients import gradient_statistics
from pipeline.networks.shaped_mlp import ShapedMLP
from pipeline.preprocessing import SPLITS, Prepared, SplitName, class_weights
from pipeline.scores import ClassificationScores, RegressionScores, Scores, double_softmax_cross_entropy
from pipeline.streams import Purpose, stream

ETA_MIN = 1e-8
"""Floor of the cosine annealing."""
EVALUATION_ROWS = 8192
"""Rows per forward pass at evaluation; changes nothing but memory."""


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

    configuration: dict[str, Any]
    """Values of the seven hyperparameters of the LCBench space."""
    seed: int
    """Seed of weights, batches and dropout."""
    horizon: int
    """T: epochs after which the cosine annealing is at its floor."""
    published_defects: bool = False
    """Reproduce the test cross-entropy of the published curves (docs/decisions/0003)."""


def learning_rate(initial: float, epoch: int, horizon: int) -> float:
    """The rate that epoch `epoch` trains with: cosine annealing without restarts, at the floor after the horizon.

    Entry 0 trains nothing, so its rate is 0, as in the published curves.
    """
    if epoch == 0:
        return 0.0
    progress = min(epoch - 1, horizon) / horizon
    return ETA_MIN + (initial - ETA_MIN) * (1 + math.cos(math.pi * progress)) / 2


class Training:
    """A network, its optimizer and its curve so far."""

    def __init__(self, data: Prepared, recipe: Recipe) -> None:
        self.recipe = recipe
        self.X = {split: torch.from_numpy(data.X[split]) for split in SPLITS}
        self.y = {split: torch.from_numpy(data.y[split]) for split in SPLITS}
        self.scores = _scores(data)
        c = recipe.configuration
        self.network = ShapedMLP(
            self.X["train"].shape[1],
            data.info.n_outputs,
            num_layers=int(c["num_layers"]),
            max_units=int(c["max_units"]),
            max_dropout=float(c["max_dropout"]),
            seed=recipe.seed,
        )
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=c["learning_rate"], momentum=c["momentum"], weight_decay=c["weight_decay"], fused=True
        )
        self.entries: list[Entry] = []

    @property
    def epoch(self) -> int:
        """Epochs trained and measured, -1 before the untrained network was measured."""
        return self.entries[-1].epoch if self.entries else -1

    def advance(self) -> Entry:
        """Train one more epoch (none for entry 0), measure, and return the new entry of the curve."""
        start, epoch = time.perf_counter(), self.epoch + 1
        rate = learning_rate(float(self.recipe.configuration["learning_rate"]), epoch, self.recipe.horizon)
        self.network.start_epoch(epoch)
        values = self._train(epoch, rate) if epoch else self._look()
        values |= {f"val_{name}": value for name, value in self._score("val").items()}
        values |= {f"test_{name}": value for name, value in self._score("test").items()}
        values |= gradient_statistics(list(self.network.linears))  # type: ignore[arg-type]
        values["learning_rate"] = rate
        before = self.entries[-1].seconds if self.entries else 0.0
        self.entries.append(Entry(epoch, before + time.perf_counter() - start, values))
        return self.entries[-1]

    def _train(self, epoch: int, rate: float) -> dict[str, float]:
        """One pass over the training rows; its scores come from these very forward passes, dropout and all."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        X, y = self.X["train"], self.y["train"]
        outputs, seen = [], []
        for rows in self._batches(epoch):
            batch_y = y[rows]
            output = self.network(X[rows])
            self.optimizer.zero_grad()
            self.scores.loss(output, batch_y).backward()
            self.optimizer.step()
            outputs.append(output.detach())
            seen.append(batch_y)
        return {f"train_{name}": value for name, value in self.scores(torch.cat(outputs), torch.cat(seen)).items()}

    def _look(self) -> dict[str, float]:
        """Scores of the untrained network, and the gradients of one batch, with no step taken."""
        values = {f"train_{name}": value for name, value in self._score("train").items()}
        self.network.train()
        rows = self._batches(0)[0]
        self.scores.loss(self.network(self.X["train"][rows]), self.y["train"][rows]).backward()
        return values

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Shuffled row numbers; the last incomplete batch is dropped unless it is the only one."""
        n, size = len(self.y["train"]), int(self.recipe.configuration["batch_size"])
        order = torch.randperm(n, generator=stream(self.recipe.seed, epoch, Purpose.BATCHES))
        return order[: n - n % size].split(size) if size < n else (order,)

    @torch.inference_mode()
    def _score(self, split: SplitName) -> dict[str, float]:
        self.network.eval()
        outputs = torch.cat([self.network(rows) for rows in self.X[split].split(EVALUATION_ROWS)])
        values = self.scores(outputs, self.y[split])
        if self.recipe.published_defects and split == "test" and "cross_entropy" in values:
            values["cross_entropy"] = double_softmax_cross_entropy(outputs, self.y[split])
        return values

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically; because streams belong to epochs, no generator state is needed."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "recipe": vars(self.recipe)}
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
        if state["recipe"] != vars(self.recipe):
            raise ValueError(f"checkpoint {path.name} holds {state['recipe']}, but the training is {vars(self.recipe)}")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.entries = [Entry(*entry) for entry in state["entries"]]
        return True


def _scores(data: Prepared) -> Scores:
    if data.info.kind == "regression":
        return RegressionScores(data.y_scale)
    return ClassificationScores(torch.from_numpy(class_weights(data.y["train"], data.info.n_classes)))
