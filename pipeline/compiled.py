"""The compiled training: the curve of `pipeline.learner` from the same random streams, several times as fast.

It knows the networks of all spaces with ReLU, batch normalisation, dropout, shake-shake and shake-drop, trained by SGD, Adam or AdamW, with
mixup or without; embeddings, other activations, RMSprop and averaged weights are left to torch's layers. Both give the same curve but for
the last bits of sums, which are taken in another order (docs/decisions/0013 says where that matters).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lcbench.metric import Metric
from pipeline.flat import FlatLearner
from pipeline.kernels.descent import State
from pipeline.kernels.dropout import limit_and_scale
from pipeline.kernels.losses import Loss
from pipeline.kernels.program import Net, Noise, new_memory, predict, train
from pipeline.kernels.scores import class_scores
from pipeline.learner import Recipe
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SplitName
from pipeline.programs import Writer, drawn_shares, expected_shares, norms_of
from pipeline.scores import ClassificationScores

CLOSE_ROWS = 256
"""Rows per forward pass at evaluation: few enough for what they activate to stay close to the processor."""


class CompiledLearner(FlatLearner):
    """A learner whose epochs, evaluations and scores are compiled."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None) -> None:
        """Build the network, write its program, and lay out the memory that it is trained in."""
        super().__init__(data, recipe, metric)
        if isinstance(self.scores, ClassificationScores):
            self.scores = CompiledScores(self.scores.weights, self.scores.extra, self.scores.divisors)
        self._exact = set[SplitName]()  # parts whose outputs are those of torch's layers
        self.loss = _loss(self.scores, str(recipe.settings["loss"]))
        self.target = self.y["train"].float().numpy()
        self.running = self._lay_statistics()
        writer = Writer(self.network, self.n_features)
        program, self.blocks = writer.write(self.network.body), writer.blocks
        state = State(*(values.numpy() for values in (self.parameters, self.momenta, self.squares, self.gradient)))
        drops = [limit_and_scale(layer.rate) for layer in self.dropouts]
        self._limits = np.array([limit for limit, _ in drops], np.uint32), np.array([scale for _, scale in drops], np.float32)
        silent = Noise(np.zeros((len(drops), 2), np.uint32), *self._limits, expected_shares(self.blocks))
        self.net = Net(program, silent, state, self.running, new_memory(program, len(self.running), self.size))
        self.evaluation = self.net._replace(memory=new_memory(program, len(self.running), CLOSE_ROWS))

    def _lay_statistics(self) -> NDArray[np.float32]:
        """The running statistics of the normalisations side by side; the network looks at them."""
        norms = norms_of(self.network)
        pairs = [(norm.running_mean, norm.running_var) for norm in norms]
        running = torch.cat([part for pair in pairs for part in pair if part is not None] or [torch.zeros(0)])
        parts = iter(running.split([norm.num_features for norm in norms for _ in range(2)]))
        for norm in norms:
            norm.running_mean, norm.running_var = next(parts), next(parts)
        values: NDArray[np.float32] = running.numpy()
        return values

    def _noise(self, n_steps: int) -> Noise:
        """Dropout and the shares of mixtures in the present epoch."""
        return Noise(self.keys(), *self._limits, drawn_shares(self.blocks, n_steps))

    def _train(self, epoch: int, rate: float) -> dict[str, float]:
        batches = self.epoch_batches(epoch)
        n_steps = len(batches.shares)
        net = self.net._replace(noise=self._noise(n_steps))
        outputs = train(self.X["train"].numpy(), self.target, batches, net, self.loss, self.rule(epoch, rate, n_steps))
        seen = self.y["train"][torch.from_numpy(batches.rows)]
        return {f"train_{name}": value for name, value in self.scores(torch.from_numpy(outputs), seen).items()}

    def _look(self) -> None:
        """Train one batch on a copy of everything but the gradient."""
        state = self.net.state
        copied = State(state.parameters.copy(), state.momenta.copy(), state.squares.copy(), state.gradient)
        net = self.net._replace(noise=self._noise(1), state=copied, running=self.running.copy())
        train(self.X["train"].numpy(), self.target, self.first_batch(), net, self.loss, self.rule(1, 0.0, 1))

    def _outputs(self, split: SplitName) -> Tensor:
        self._exact.discard(split)
        return torch.from_numpy(predict(self.X[split].numpy(), self.evaluation))

    def predictions(self, split: SplitName) -> NDArray[np.float32]:
        """As torch's own layers have them, which is what will predict with these weights: equal to the last bit."""
        if split in self.outputs and split not in self._exact:
            self.outputs[split] = super()._outputs(split)
            self._exact.add(split)
        return super().predictions(split)


class CompiledScores(ClassificationScores):
    """The same scores from one sweep."""

    def usual(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, C), (n,) -> (4,)
        """Scores as `names` has them."""
        return torch.tensor(class_scores(outputs.numpy(), y.numpy(), self.weights.numpy()), dtype=torch.float64)


def _loss(scores: Any, name: str) -> Loss:
    return Loss(scores.weights.numpy() if isinstance(scores, ClassificationScores) else np.zeros(0, np.float32), name == "absolute")
