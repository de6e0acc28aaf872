"""All metrics of one split from one forward pass, and the published definition of one of them.

Notation: n rows, C classes; `outputs` are logits (n, C), or standardised predictions (n, 1) for regression.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lcbench.metric import Metric
from pipeline.metrics import score


class ClassificationScores:
    """Weighted loss, accuracy, balanced accuracy and cross-entropy of logits against class codes, and one more metric if asked."""

    def __init__(self, weights: Tensor, extra: Metric | None = None) -> None:  # (C,)
        self.weights = weights
        self.extra = extra
        self.unweighted = False
        """Whether `predictions` take the class weights out again, see there."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, C), (n,) -> ()
        """The loss that is minimised: class-weighted cross-entropy, a weighted mean over the rows."""
        return functional.cross_entropy(outputs, y, self.weights)

    def __call__(self, outputs: Tensor, y: Tensor) -> dict[str, float]:  # (n, C), (n,)
        """Score one split; balanced accuracy is the mean recall over the classes that occur in it."""
        values = self._usual(outputs, y)
        if self.extra and self.extra.name not in values:
            values[self.extra.name] = score(self.extra, y.cpu().numpy(), self.predictions(outputs))
        return values

    def _usual(self, outputs: Tensor, y: Tensor) -> dict[str, float]:  # (n, C), (n,)
        hit = (outputs.argmax(1) == y).double()
        n_classes = len(self.weights)
        support = torch.bincount(y, minlength=n_classes)
        recall = torch.bincount(y, hit, minlength=n_classes)[support > 0] / support[support > 0]
        return {
            "loss": float(self.loss(outputs, y)),
            "accuracy": float(hit.mean()),
            "balanced_accuracy": float(recall.mean()),
            "cross_entropy": float(functional.cross_entropy(outputs, y)),
        }

    def predictions(self, outputs: Tensor) -> NDArray[np.float32]:  # (n, C) -> (n, C)
        """Class probabilities: the softmax of the logits.

        What minimises a weighted loss is proportional to w_c P(c | x); with `unweighted` this is divided by w_c, so that the shares of the
        classes are those of the rows again (Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities", 2002).
        """
        logits = outputs.detach() - torch.log(self.weights) if self.unweighted else outputs.detach()
        return functional.softmax(logits, 1).float().cpu().numpy()


class RegressionScores:
    """Squared or absolute loss on the standardised target; errors in the target's unit, R2 as a fraction, one more metric if asked."""

    def __init__(self, scale: float, mean: float = 0.0, extra: Metric | None = None, *, absolute: bool = False) -> None:
        """A standardised target y is ``scale * y + mean`` in its own unit; `predictions` and `extra` need both."""
        self._loss = functional.l1_loss if absolute else functional.mse_loss
        self.scale = scale
        self.mean = mean
        self.extra = extra

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, 1), (n,) -> ()
        """The loss that is minimised: mean squared, or absolute, deviation of the standardised target."""
        return self._loss(outputs[:, 0], y)

    def __call__(self, outputs: Tensor, y: Tensor) -> dict[str, float]:  # (n, 1), (n,)
        """Score one split; R2 compares with the mean of the same split."""
        error = (outputs[:, 0] - y).double()
        squared = float(error.square().mean())
        spread = float(y.double().var(correction=0))
        values = {
            "loss": float(self.loss(outputs, y)),
            "rmse": squared**0.5 * self.scale,
            "mae": float(error.abs().mean()) * self.scale,
            "r2": 1 - squared / spread if spread else float("nan"),
        }
        if self.extra and self.extra.name not in values:
            target = y.double().cpu().numpy() * self.scale + self.mean
            values[self.extra.name] = score(self.extra, target, self.predictions(outputs))
        return values

    def predictions(self, outputs: Tensor) -> NDArray[np.float32]:  # (n, 1) -> (n, 1)
        """Predictions in the target's unit."""
        return (outputs.detach().double() * self.scale + self.mean).float().cpu().numpy()


Scores = ClassificationScores | RegressionScores


def double_softmax_cross_entropy(outputs: Tensor, y: Tensor) -> float:  # (n, C), (n,)
    """LCBench's published `Train/test_cross_entropy`: probabilities were fed to a loss that expects logits."""
    return float(functional.cross_entropy(functional.softmax(outputs, 1), y))
