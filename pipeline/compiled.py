"""The compiled training of dense networks: the curve of `pipeline.learner` from the same random streams, several times as fast.

It knows networks of linear layers with ReLU and dropout, trained by SGD, Adam or AdamW, with mixup or without: all of LCBench's space and
the multi-layer perceptrons of the paper's; everything else is trained by torch. Both give the same curve but for the last bits of sums,
which are taken in another order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lcbench.metric import Metric
from pipeline.flat import FlatLearner
from pipeline.kernels.dense import Batches, Dense, new_memory, new_plan, predict, train
from pipeline.kernels.descent import State
from pipeline.kernels.losses import Loss
from pipeline.kernels.scores import class_scores
from pipeline.learner import Recipe
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SplitName
from pipeline.scores import ClassificationScores

EVALUATION_ROWS = 256
"""Rows per forward pass at evaluation: few enough for what they activate to stay close to the processor."""


class CompiledLearner(FlatLearner):
    """A learner whose epochs, evaluations and scores are compiled."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None) -> None:
        """Build the network, and the memory that it is trained in."""
        super().__init__(data, recipe, metric)
        if isinstance(self.scores, ClassificationScores):
            self.scores = CompiledScores(self.scores.weights, self.scores.extra)
        self.loss = _loss(self.scores, str(recipe.settings["loss"]))
        self.target = self.y["train"].float().numpy()
        state = State(*(values.numpy() for values in (self.parameters, self.momenta, self.squares, self.gradient)))
        self.dense = Dense(new_plan(self.widths), self.noise(silent=True), state, new_memory(self.widths, self.size))
        self.evaluated = self.dense._replace(memory=new_memory(self.widths, EVALUATION_ROWS))

    def _train(self, epoch: int, rate: float) -> dict[str, float]:
        batches, dense = self.epoch_batches(epoch), self.dense._replace(noise=self.noise())
        rule = self.rule(epoch, rate, len(batches.shares))
        outputs = train(self.X["train"].numpy(), self.target, batches, dense, self.loss, rule)
        seen = self.y["train"][torch.from_numpy(batches.rows)]
        return {f"train_{name}": value for name, value in self.scores(torch.from_numpy(outputs), seen).items()}

    def _look(self) -> None:
        """Train one batch on a copy of everything but the gradient."""
        rows, size = self._batches(0)[0].numpy(), self.size
        state = self.dense.state
        copied = State(state.parameters.copy(), state.momenta.copy(), state.squares.copy(), state.gradient)
        dense, one = self.dense._replace(noise=self.noise(), state=copied), Batches(size, rows, rows, np.ones(1, np.float32))
        train(self.X["train"].numpy(), self.target, one, dense, self.loss, self.rule(1, 0.0, 1))

    def _outputs(self, split: SplitName) -> Tensor:
        return torch.from_numpy(predict(self.X[split].numpy(), self.evaluated))

    def predictions(self, split: SplitName) -> NDArray[np.float32]:
        """As torch's own layers have them, which is what will predict with these weights: equal to the last bit."""
        if split in self.outputs:
            self.outputs[split] = super()._outputs(split)
        return super().predictions(split)


class CompiledScores(ClassificationScores):
    """The same scores from one sweep."""

    def usual(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, C), (n,) -> (4,)
        """Scores as `names` has them."""
        return torch.tensor(class_scores(outputs.numpy(), y.numpy(), self.weights.numpy()), dtype=torch.float64)


def _loss(scores: Any, name: str) -> Loss:
    return Loss(scores.weights.numpy() if isinstance(scores, ClassificationScores) else np.zeros(0, np.float32), name == "absolute")
