"""All metrics of one split from one forward pass, and the published definition of one of them.

Notation: n rows, C classes; `outputs` are logits (n, C), or standardised predictions (n, 1) for regression.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


class ClassificationScores:
    """Weighted loss, accuracy, balanced accuracy and cross-entropy of logits against class codes."""

    def __init__(self, weights: Tensor) -> None:  # (C,)
        self.weights = weights

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, C), (n,) -> ()
        """The loss that is minimised: class-weighted cross-entropy, a weighted mean over the rows."""
        return functional.cross_entropy(outputs, y, self.weights)

    def __call__(self, outputs: Tensor, y: Tensor) -> dict[str, float]:  # (n, C), (n,)
        """Score one split; balanced accuracy is the mean recall over the classes that occur in it."""
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


class RegressionScores:
    """Squared loss on the standardised target; RMSE and MAE in the target's unit, R2 as a fraction."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, 1), (n,) -> ()
        """The loss that is minimised: mean squared deviation of the standardised target."""
        return functional.mse_loss(outputs[:, 0], y)

    def __call__(self, outputs: Tensor, y: Tensor) -> dict[str, float]:  # (n, 1), (n,)
        """Score one split; R2 compares with the mean of the same split."""
        error = (outputs[:, 0] - y).double()
        squared = float(error.square().mean())
        spread = float(y.double().var(correction=0))
        return {
            "loss": squared,
            "rmse": squared**0.5 * self.scale,
            "mae": float(error.abs().mean()) * self.scale,
            "r2": 1 - squared / spread if spread else float("nan"),
        }


Scores = ClassificationScores | RegressionScores


def double_softmax_cross_entropy(outputs: Tensor, y: Tensor) -> float:  # (n, C), (n,)
    """LCBench's published `Train/test_cross_entropy`: probabilities were fed to a loss that expects logits."""
    return float(functional.cross_entropy(functional.softmax(outputs, 1), y))
