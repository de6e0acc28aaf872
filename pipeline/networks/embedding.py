"""Entity embeddings: categorical columns as short vectors that are learned with the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.networks.layers import Linear


def embedding_width(n_codes: int, reduction: float) -> int:
    """Numbers that stand for one column of `n_codes` categories: clip(int(reduction * n_codes), 1, n_codes - 1), as in Auto-PyTorch.

    >>> [embedding_width(10, reduction) for reduction in (0.0, 0.55, 1.0)], embedding_width(1, 1.0)
    ([1, 5, 9], 1)
    """
    return max(1, min(int(reduction * n_codes), n_codes - 1))


class Embedding(nn.Module):
    """The first columns as they are, then a learned linear map of the indicators of each column of codes.

    Shape: (batch, n_features + number of cardinalities) -> (batch, width), the codes being whole numbers 0..n - 1 held as
    floats. Number of parameters: the sum of n * embedding_width(n, reduction) over the cardinalities n.

    >>> Embedding(2, [3, 10], 0.5).width
    8
    """

    def __init__(self, n_features: int, cardinalities: Sequence[int], reduction: float) -> None:
        super().__init__()
        self.n_features = n_features
        widths = [embedding_width(n, reduction) for n in cardinalities]
        self.width = n_features + sum(widths)
        """Columns after the embedding."""
        self.maps = nn.ModuleList(Linear(n, width, bias=False) for n, width in zip(cardinalities, widths, strict=True))

    @torch.no_grad()
    def forget_unknown(self) -> None:
        """Make the vectors of code 0, a missing or unknown category, zero.

        So they stay where no training row is missing; drawn at random, they would let later unknown categories say anything.
        """
        for weight in self.maps.parameters():
            weight[:, 0] = 0.0

    def forward(self, x: Tensor) -> Tensor:  # (batch, n_features + number of cardinalities)
        """Look the vectors up instead of multiplying indicators."""
        codes = x[:, self.n_features :].long()
        vectors = [nn.functional.embedding(codes[:, i], weight.T) for i, weight in enumerate(self.maps.parameters())]
        return torch.cat([x[:, : self.n_features], *vectors], dim=1)  # (batch, width)
