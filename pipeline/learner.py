"""One network on one fold: trained and measured an epoch at a time.

Notation: n rows of a split, C classes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch._dynamo  # the first optimizer of a process loads it (1 s): the fork server does so once for every child
from numpy.typing import NDArray
from torch import Tensor

from lcbench.metric import Metric
from pipeline.augmentation import Mixup
from pipeline.gradients import gradient_statistics, gradients_of
from pipeline.networks.network import Network, build_network
from pipeline.preprocessing.prepared import Prepared, class_weights
from pipeline.preprocessing.raw import SPLITS, SplitName
from pipeline.scores import ClassificationScores, RegressionScores, Scores, double_softmax_cross_entropy
from pipeline.settings import under
from pipeline.streams import Purpose, stream
from pipeline.turns import Work

EVALUATION_ROWS = 8192
"""Rows per forward pass at evaluation; changes nothing but memory."""
JUDGED: tuple[SplitName, ...] = ("val", "test")
"""Parts that a network is evaluated on after every epoch, where they have rows."""


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


class Learner:
    """A network with its optimizer and its data."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None) -> None:
        """Build the network; `metric` is scored too if it is not one of those that always are."""
        self.data, self.recipe, settings = data, recipe, recipe.settings
        self.X = {split: torch.from_numpy(data.X[split]) for split in SPLITS}
        self.y = {split: torch.from_numpy(data.y[split]) for split in SPLITS}
        self.judged_on = tuple(split for split in JUDGED if len(self.y[split]))
        self.scores = _scores(data, str(settings["loss"]), metric)
        self.n_features = self.X["train"].shape[1] - len(data.cardinalities)
        self.network = build_network(settings, self.n_features, data.info.n_outputs, cardinalities=data.cardinalities, seed=recipe.seed)
        rule = settings["optimizer"]
        self.optimizer = import_module(f"pipeline.descent.{rule}").build(self.network.parameters(), under(settings, rule))
        self.averaged = _averaged(self.network, settings)
        self.outputs: dict[SplitName, Tensor] = {}

    @property
    def judged(self) -> Network:
        """The network that is evaluated: the trained one, or the average of its weights."""
        return self.averaged.module if self.averaged else self.network

    def advance(self, epoch: int, rate: float) -> dict[str, float]:
        """Train one epoch at a learning rate (none in epoch 0), and measure; every column of the entry but the rate."""
        self.network.start_epoch(epoch)
        if epoch:
            values = self._train(epoch, rate)
        else:
            values = {f"train_{name}": value for name, value in self._score("train").items()}
            self._look()
        return values | self.judge() | gradient_statistics(self._gradients())

    def advancing(self, epoch: int, rate: float) -> Work[dict[str, float]]:
        """`advance`, which gives way to others wherever it has set a device to work; on a processor nowhere."""
        yield from ()
        return self.advance(epoch, rate)

    def judge(self) -> dict[str, float]:
        """Scores of the judged network on the validation and test rows."""
        return {f"{split}_{name}": value for split in self.judged_on for name, value in self._score(split).items()}

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

    def _look(self) -> None:
        """Find the gradients of one batch, with no step taken."""
        state = copy.deepcopy(self.network.state_dict())
        self.network.train()
        rows = self._batches(0)[0]
        self.scores.loss(self.network(self.X["train"][rows]), self.y["train"][rows]).backward()
        self.network.load_state_dict(state)  # a training pass moves the statistics of batch normalisation

    def _gradients(self) -> list[list[NDArray[np.float32]]]:
        return gradients_of(self.network.linears)

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Shuffled row numbers; the last incomplete batch is dropped unless it is the only one."""
        n, size = len(self.y["train"]), int(self.recipe.settings["batch_size"])
        order = torch.randperm(n, generator=stream(self.recipe.seed, epoch, Purpose.BATCHES))
        return order[: n - n % size].split(size) if size < n else (order,)

    @torch.inference_mode()
    def _outputs(self, split: SplitName) -> Tensor:  # (n, n_outputs)
        network = self.judged.eval()
        return torch.cat([network(rows) for rows in self.X[split].split(EVALUATION_ROWS)])

    @torch.inference_mode()
    def _score(self, split: SplitName) -> dict[str, float]:
        outputs = self._outputs(split)
        values = self.scores(outputs, self.y[split])
        if self.recipe.published_defects and split == "test" and "cross_entropy" in values:
            values["cross_entropy"] = double_softmax_cross_entropy(outputs, self.y[split])
        self.outputs[split] = outputs
        return values

    def predictions(self, split: SplitName) -> NDArray[np.float32]:
        """Class probabilities (n, C), or predictions (n, 1) in the target's unit, of the network as it was last judged."""
        outputs = self.outputs.get(split, torch.zeros(0, self.data.info.n_outputs))
        return self.scores.predictions(outputs)

    @property
    def divisors(self) -> list[float]:
        """What predictions of the classes are divided by, empty where they are not."""
        return self.scores.divisors.tolist() if isinstance(self.scores, ClassificationScores) and self.scores.unweighted else []

    def state(self) -> dict[str, Any]:
        """All that changes in training; because streams belong to epochs, no generator state is needed."""
        averaged = self.averaged.state_dict() if self.averaged else None
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "averaged": averaged}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged:
            self.averaged.load_state_dict(state["averaged"])


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
    divisors = weights * np.array(data.balanced or 1.0, np.float32)
    return ClassificationScores(torch.from_numpy(weights), metric, torch.from_numpy(divisors))
