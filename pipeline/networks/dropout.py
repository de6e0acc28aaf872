"""Dropout from a stream, and its rates along the layers of a shaped network."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.networks.stochastic import Stochastic
from pipeline.shapes import widths
from pipeline.streams import Purpose

DROPOUT_SCALE = 1000
"""The dropout rates follow the width rule with this many "units", divided by it again (Auto-PyTorch, shapedmlpnet.py)."""


class Dropout(Stochastic):
    """Inverted dropout: each number is kept with probability 1 - rate and divided by it.

    Shape: (batch, units) -> (batch, units). At evaluation it is the identity.
    """

    purpose = Purpose.DROPOUT

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def extra_repr(self) -> str:
        """The rate, for the printed network."""
        return f"rate={self.rate:g}"

    def forward(self, x: Tensor) -> Tensor:  # (batch, units)
        """Drop and rescale in training, pass through at evaluation."""
        if not self.training or self.rate == 0:
            return x
        if self.rate >= 1:
            return x * 0
        keep = 1 - self.rate
        return x * torch.empty_like(x).bernoulli_(keep, generator=self.generator).div_(keep)


def dropout_rates(shape: str, max_dropout: float, n_layers: int) -> list[float]:
    """The rate of each of `n_layers` layers: the width rule from 0 inputs to 0 outputs, at most `max_dropout` (Auto-PyTorch full_cs).

    >>> dropout_rates("funnel", 0.5, 3)
    [0.5, 0.25, 0.0]
    """
    return [rate / DROPOUT_SCALE * max_dropout for rate in widths(shape, 0, 0, DROPOUT_SCALE, n_layers)[:n_layers]]
