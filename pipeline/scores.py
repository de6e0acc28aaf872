"""All metrics of one split from one forward pass, and the published definition of one of them.

Notation: n rows, C classes; `outputs` are logits (n, C), or standardised predictions (n, 1) for regression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lcbench.metric import Metric
from pipeline.metrics import score


class ClassificationScores:
    """Weighted loss, accuracy, balanced accuracy and cross-entropy of logits against class codes, and one more metric if asked."""

    names = ("loss", "accuracy", "balanced_accuracy", "cross_entropy")

    def __init__(self, weights: Tensor, extra: Metric | None = None, divisors: Tensor | None = None) -> None:  # (C,), …, (C,)
        self.weights = weights
        self.extra = extra
        self.divisors = weights if divisors is None else divisors
        """How many times more each class counts in training than among the rows."""
        self.unweighted = False
        """Whether `predictions` take the divisors out again, see there."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, C), (n,) -> ()
        """The loss that is minimised: class-weighted cross-entropy, a weighted mean over the rows."""
        return functional.cross_entropy(outputs, y, self.weights)

    def __call__(self, outputs: Tensor, y: Tensor) -> dict[str, float]:  # (n, C), (n,)
        """Score one split."""
        return self.named(self.usual(outputs, y).tolist(), outputs, y)

    def named(self, usual: Sequence[float], outputs: Tensor, y: Tensor) -> dict[str, float]:  # (4,), (n, C), (n,)
        """The usual scores by name, and the one that was asked for besides."""
        values = dict(zip(self.names, usual, strict=True))
        if self.extra and self.extra.name not in values:
            values[self.extra.name] = score(self.extra, y.cpu().numpy(), self.predictions(outputs))
        return values

    def usual(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, C), (n,) -> (4,)
        """Scores as `names` has them, in float64, nothing of which a device would have to be waited for.

        Balanced accuracy is the mean recall over the classes that occur. All are NaN where a logit is: what has diverged predicts no class.
        """
        hit, none = (outputs.argmax(1) == y).double(), torch.zeros(len(self.weights), dtype=torch.float64, device=y.device)
        support, hits = none.index_add(0, y, torch.ones_like(hit)), none.index_add(0, y, hit)
        occurs = support > 0
        recall = (hits / support.clamp(min=1)).sum() / occurs.sum()
        plain = functional.cross_entropy(outputs, y).double()
        known = torch.stack([self.loss(outputs, y).double(), hit.mean(), recall, plain])
        return torch.where(plain.isnan(), math.nan, known)

    def predictions(self, outputs: Tensor) -> NDArray[np.float32]:  # (n, C) -> (n, C)
        """Class probabilities: the softmax of the logits.

        What minimises a weighted loss on balanced rows is proportional to w_c b_c P(c | x), where b_c is how many times as many rows
        balancing has made of class c; with `unweighted` this is divided by w_c b_c, so that the shares of the classes are those of the
        rows again (Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities", 2002).
        """
        logits = outputs.detach() - torch.log(self.divisors) if self.unweighted else outputs.detach()
        return functional.softmax(logits, 1).float().cpu().numpy()


class RegressionScores:
    """Squared or absolute loss on the standardised target; errors in the target's unit, R2 as a fraction, one more metric if asked."""

    names = ("loss", "rmse", "mae", "r2")

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
        """Score one split."""
        return self.named(self.usual(outputs, y).tolist(), outputs, y)

    def usual(self, outputs: Tensor, y: Tensor) -> Tensor:  # (n, 1), (n,) -> (4,)
        """Scores as `names` has them, in float64; R2 compares with the mean of the same rows, and is NaN where they are all equal."""
        error = (outputs[:, 0] - y).double()
        squared, spread = error.square().mean(), y.double().var(correction=0)
        r2 = torch.where(spread > 0, 1 - squared / spread, math.nan)
        return torch.stack([self.loss(outputs, y).double(), squared.sqrt() * self.scale, error.abs().mean() * self.scale, r2])

    def named(self, usual: Sequence[float], outputs: Tensor, y: Tensor) -> dict[str, float]:  # (4,), (n, 1), (n,)
        """The usual scores by name, and the one that was asked for besides."""
        values = dict(zip(self.names, usual, strict=True))
        if self.extra and self.extra.name not in values:
            target = y.double().cpu().numpy() * self.scale + self.mean
            if self.extra.name == "rmsle":  # rounding: what is standardised is float32
                target = np.maximum(target, 0)
            values[self.extra.name] = score(self.extra, target, self.predictions(outputs))
        return values

    def predictions(self, outputs: Tensor) -> NDArray[np.float32]:  # (n, 1) -> (n, 1)
        """Predictions in the target's unit."""
        return (outputs.detach().double() * self.scale + self.mean).float().cpu().numpy()


Scores = ClassificationScores | RegressionScores


def double_softmax_cross_entropy(outputs: Tensor, y: Tensor) -> float:  # (n, C), (n,)
    """LCBench's published `Train/test_cross_entropy`: probabilities were fed to a loss that expects logits."""
    return float(functional.cross_entropy(functional.softmax(outputs, 1), y))
