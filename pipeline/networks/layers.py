"""Layers with weights: torch's own, except that making them draws nothing and that one row can be normalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """A linear layer whose numbers are undefined until `pipeline.networks.initialisation.initialise` draws them from a stream.

    Shape: (..., a) -> (..., b). Number of parameters: a * b + b, or a * b without bias.
    """

    def reset_parameters(self) -> None:
        """Draw nothing: torch would take the numbers from its global generator."""


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that, in training, treats a batch of one row as evaluation does: with the running statistics, left as they are.

    The variance of one row does not exist, so torch refuses such a batch; ``batch_size=1`` makes them, and a table with one row.

    Shape: (batch, width) -> (batch, width). Number of parameters: 2 * width.
    """

    def forward(self, x: Tensor) -> Tensor:  # (batch, width)
        """Normalise every column of the batch, then scale and shift it."""
        if not self.training or len(x) > 1:
            return super().forward(x)
        return torch.nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
