"""The shaped multi-layer perceptron: every LCBench curve is a training of this network in funnel shape."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from pipeline.shapes import widths
from pipeline.streams import Purpose, stream

DROPOUT_OFF_AT = 0.05
"""Dropout layers exist only if max_dropout is above this (Auto-PyTorch, shapedmlpnet.py)."""
DROPOUT_SCALE = 1000
"""The dropout rates follow the width rule with this many "units", divided by it again (same file)."""


class StreamDropout(nn.Module):
    """Inverted dropout that draws from its own random stream instead of torch's global one.

    Shape: (batch, units) -> (batch, units). At evaluation it is the identity.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:  # (batch, units)
        """Drop and rescale in training, pass through at evaluation."""
        if not self.training or self.rate == 0:
            return x
        if self.rate >= 1:
            return x * 0
        keep = 1 - self.rate
        return x * torch.empty_like(x).bernoulli_(keep, generator=self.generator).div_(keep)


class ShapedMLP(nn.Module):
    """Linear layers whose widths follow a shape, with ReLU and shaped dropout between them.

    Shape: (batch, n_features) -> (batch, n_outputs), raw logits (or one standardised number for regression).

    `num_layers` counts *linear layers*, so 1 is a linear model, and the first width is at least `n_features`, both as in
    the original. Number of parameters: the sum of a * b + b over consecutive widths a, b.

    >>> network = ShapedMLP(18, 4, num_layers=3, max_units=256, max_dropout=0.2)
    >>> [layer.out_features for layer in network.linears], network.n_parameters
    ([256, 130, 4], 38798)
    """

    def __init__(
        self, n_features: int, n_outputs: int, *, num_layers: int, max_units: int, max_dropout: float, shape: str = "funnel", seed: int = 0
    ) -> None:
        super().__init__()
        sizes = [n_features, *widths(shape, n_features, n_outputs, max_units, num_layers)]
        rates = widths(shape, 0, 0, DROPOUT_SCALE, num_layers)
        with torch.random.fork_rng(devices=[]):  # torch's default initialisation knows only the global stream
            torch.manual_seed(stream(seed, 0, Purpose.WEIGHTS).initial_seed())
            self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        use_dropout = max_dropout > DROPOUT_OFF_AT
        self.dropouts = nn.ModuleList(
            StreamDropout(rate / DROPOUT_SCALE * max_dropout if use_dropout else 0.0) for rate in rates[: num_layers - 1]
        )
        self.seed = seed

    @property
    def n_parameters(self) -> int:
        """Number of scalars that are trained."""
        return sum(p.numel() for p in self.parameters())

    def start_epoch(self, epoch: int) -> None:
        """Give every dropout layer its stream for one epoch."""
        for i, dropout in enumerate(self.dropouts):
            assert isinstance(dropout, StreamDropout)
            dropout.generator = stream(self.seed, epoch, Purpose.DROPOUT, i)

    def forward(self, x: Tensor) -> Tensor:  # (batch, n_features)
        """Logits, or one standardised number, per row."""
        *hidden, last = self.linears
        for linear, dropout in zip(hidden, self.dropouts, strict=True):
            x = dropout(torch.relu(linear(x)))
        return last(x)  # (batch, n_outputs)
