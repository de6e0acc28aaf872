"""The compiled training of dense networks: the curve of `pipeline.learner` from the same random streams, several times as fast.

It knows networks of linear layers with ReLU and dropout, trained by SGD, Adam or AdamW, with mixup or without: all of LCBench's space and
the multi-layer perceptrons of the paper's; everything else is trained by torch. Both give the same curve but for the last bits of sums,
which are taken in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lcbench.metric import Metric
from pipeline.kernels.dense import Batches, Dense, Noise, new_memory, new_plan, predict, train
from pipeline.kernels.descent import Rule, State
from pipeline.kernels.dropout import limit_and_scale
from pipeline.kernels.losses import Loss
from pipeline.kernels.scores import class_scores
from pipeline.learner import Learner, Recipe
from pipeline.networks.dropout import Dropout, key_of
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SplitName
from pipeline.scores import ClassificationScores
from pipeline.settings import under

NETWORKS = ("mlp", "shaped_mlp")
OPTIMIZERS = ("sgd", "adam", "adamw")
EVALUATION_ROWS = 256
"""Rows per forward pass at evaluation: few enough for what they activate to stay close to the processor."""


def knows(settings: Mapping[str, Any], data: Prepared) -> bool:
    """Whether the compiled training can train these settings on these data."""
    name = settings["network"]
    dense = name in NETWORKS and settings[f"{name}.activation"] == "relu" and not settings[f"{name}.batch_norm"]
    return dense and settings["optimizer"] in OPTIMIZERS and settings["weight_averaging"] == "none" and not data.cardinalities


def learner_of(data: Prepared, recipe: Recipe, metric: Metric | None = None) -> Learner:
    """The learner of a recipe: compiled where that is possible; every curve says which (`results/compiled` of a table)."""
    return (CompiledLearner if knows(recipe.settings, data) else Learner)(data, recipe, metric)


class CompiledLearner(Learner):
    """A learner whose epochs, evaluations and scores are compiled; its torch network looks at the very numbers that are trained."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None) -> None:
        """Build the network, and lay its parameters side by side."""
        super().__init__(data, recipe, metric)
        if isinstance(self.scores, ClassificationScores):
            self.scores = CompiledScores(self.scores.weights, self.scores.extra)
        self.loss = _loss(self.scores, str(recipe.settings["loss"]))
        widths = [self.n_features, *(layer.out_features for layer in self.network.linears)]
        self.size = min(int(recipe.settings["batch_size"]), len(self.y["train"]))
        self.target = self.y["train"].float().numpy()
        flat = np.concatenate([p.detach().numpy().ravel() for p in self.network.parameters()])
        squares = np.zeros(0 if recipe.settings["optimizer"] == "sgd" else len(flat), np.float32)
        state = State(flat, np.zeros_like(flat), squares, np.zeros_like(flat))
        self.dropouts = [layer for layer in self.network.modules() if isinstance(layer, Dropout)]
        self.dense = Dense(new_plan(widths), self._noise(silent=True), state, new_memory(widths, self.size))
        self.evaluated = self.dense._replace(memory=new_memory(widths, EVALUATION_ROWS))
        for parameter, view in zip(self.network.parameters(), chain(*self._views(flat)), strict=True):
            parameter.data = torch.from_numpy(view)
        self.network.eval()

    def _views(self, flat: NDArray[np.float32]) -> list[list[NDArray[np.float32]]]:
        """Weights (b, a) and bias (b,) of every layer, as views."""
        pairs = zip(self.dense.plan.widths[:-1], self.dense.plan.widths[1:], self.dense.plan.starts, strict=True)
        return [[flat[at : at + a * b].reshape(b, a), flat[at + a * b : at + a * b + b]] for a, b, at in pairs]

    def _train(self, epoch: int, rate: float) -> dict[str, float]:
        batches, dense = self._mixed_batches(epoch), self.dense._replace(noise=self._noise())
        rule = self._rule(epoch, rate, len(batches.shares))
        outputs = train(self.X["train"].numpy(), self.target, batches, dense, self.loss, rule)
        seen = self.y["train"][torch.from_numpy(batches.rows)]
        return {f"train_{name}": value for name, value in self.scores(torch.from_numpy(outputs), seen).items()}

    def _look(self) -> None:
        """Train one batch on a copy of everything but the gradient."""
        rows, size = self._batches(0)[0].numpy(), self.size
        state = self.dense.state
        copied = State(state.parameters.copy(), state.momenta.copy(), state.squares.copy(), state.gradient)
        dense = self.dense._replace(noise=self._noise(), state=copied)
        train(
            self.X["train"].numpy(), self.target, Batches(size, rows, rows, np.ones(1, np.float32)), dense, self.loss, self._rule(1, 0.0, 1)
        )

    def _mixed_batches(self, epoch: int) -> Batches:
        """The rows of an epoch, with what mixup draws for them."""
        rows, mixup = self._batches(epoch), self._mixup(epoch)
        order, shares = torch.cat(rows).numpy(), np.ones(len(rows), np.float32)
        if mixup is None:
            return Batches(self.size, order, order, shares)
        partners = []
        for step, batch in enumerate(rows):
            share, permutation = mixup.draw(len(batch))
            shares[step] = share
            partners.append(batch[permutation])
        return Batches(self.size, order, torch.cat(partners).numpy(), shares)

    def _rule(self, epoch: int, rate: float, n_steps: int) -> Rule:
        name = self.recipe.settings["optimizer"]
        about = {key: float(value) for key, value in under(self.recipe.settings, name).items()}
        momentum, beta2 = (about["momentum"], 0.0) if name == "sgd" else (about["beta1"], about["beta2"])
        return Rule(name != "sgd", name == "adamw", rate, about["weight_decay"], momentum, beta2, (epoch - 1) * n_steps)

    def _noise(self, *, silent: bool = False) -> Noise:
        """Dropout of the present epoch, or none."""
        rates = [0.0 if silent else layer.rate for layer in self.dropouts]
        keys = [key_of(layer.generator) if 0 < rate < 1 else (0, 1) for rate, layer in zip(rates, self.dropouts, strict=True)]
        limits, scales = zip(*map(limit_and_scale, rates), strict=True) if rates else ((), ())
        return Noise(np.array(keys, np.uint32).reshape(-1, 2), np.array(limits, np.uint32), np.array(scales, np.float32))

    def _gradients(self) -> list[list[NDArray[np.float32]]]:
        return self._views(self.dense.state.gradient)

    def _outputs(self, split: SplitName) -> Tensor:
        return torch.from_numpy(predict(self.X[split].numpy(), self.evaluated))

    def predictions(self, split: SplitName) -> NDArray[np.float32]:
        """As torch's own layers have them, which is what will predict with these weights: equal to the last bit."""
        if split in self.outputs:
            self.outputs[split] = super()._outputs(split)
        return super().predictions(split)

    def state(self) -> dict[str, Any]:
        """All that changes in training."""
        moments = {name: torch.from_numpy(getattr(self.dense.state, name)) for name in ("momenta", "squares")}
        return {"network": self.network.state_dict(), **moments}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(state["network"])
        for name in ("momenta", "squares"):
            getattr(self.dense.state, name)[:] = state[name].numpy()


class CompiledScores(ClassificationScores):
    """The same scores from one sweep."""

    def _usual(self, outputs: Tensor, y: Tensor) -> dict[str, float]:
        values = class_scores(outputs.numpy(), y.numpy(), self.weights.numpy())
        return dict(zip(("loss", "accuracy", "balanced_accuracy", "cross_entropy"), values, strict=True))


def _loss(scores: Any, name: str) -> Loss:
    return Loss(scores.weights.numpy() if isinstance(scores, ClassificationScores) else np.zeros(0, np.float32), name == "absolute")
