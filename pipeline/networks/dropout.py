"""Dropout from a stream, and its rates along the layers of a shaped network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.kernels.dropout import Key, fill_mask, limit_and_scale
from pipeline.networks.stochastic import Stochastic
from pipeline.shapes import widths
from pipeline.streams import Purpose

DROPOUT_SCALE = 1000
"""The dropout rates follow the width rule with this many "units", divided by it again (Auto-PyTorch, shapedmlpnet.py)."""


class Dropout(Stochastic):
    """Inverted dropout: each number is kept with probability 1 - rate and divided by it.

    Which numbers are kept is drawn by `pipeline.kernels.dropout`, so that the compiled training drops the same ones.

    Shape: (batch, units) -> (batch, units). At evaluation it is the identity.
    """

    purpose = Purpose.DROPOUT

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._seen = 0

    def extra_repr(self) -> str:
        """The rate, for the printed network."""
        return f"rate={self.rate:g}"

    def start(self, generator: torch.Generator) -> None:
        """Take the stream of an epoch, in which no number has been seen yet."""
        super().start(generator)
        self._seen = 0

    def forward(self, x: Tensor) -> Tensor:  # (batch, units)
        """Drop and rescale in training, pass through at evaluation."""
        if not self.training or self.rate == 0:
            return x
        if self.rate >= 1:
            return x * 0
        if self._seen == 0:
            self._key = key_of(self.generator)
        mask = np.empty(x.numel(), np.float32)
        fill_mask(mask, self._seen, self._key, *limit_and_scale(self.rate))
        self._seen += x.numel()
        return x * torch.from_numpy(mask).view_as(x)


def key_of(generator: torch.Generator) -> Key:
    """The key of an epoch and a layer, the first two numbers of its stream: an offset and an odd multiplier."""
    offset, multiplier = torch.randint(2**32, (2,), generator=generator).tolist()
    return np.uint32(offset), np.uint32(multiplier | 1)


def dropout_rates(shape: str, max_dropout: float, n_layers: int) -> list[float]:
    """The rate of each of `n_layers` layers: the width rule from 0 inputs to 0 outputs, at most `max_dropout` (Auto-PyTorch full_cs).

    >>> dropout_rates("funnel", 0.5, 3)
    [0.5, 0.25, 0.0]
    """
    return [rate / DROPOUT_SCALE * max_dropout for rate in widths(shape, 0, 0, DROPOUT_SCALE, n_layers)[:n_layers]]
