"""Shake-shake and shake-drop: residual branches that are scaled at random, and differently forwards and backwards.

Notation: alpha scales the forward pass, beta the backward pass, both uniform in [0, 1] and drawn once per forward pass; b is
1 with the probability of survival p, else 0. Sources: Gastaldi, "Shake-Shake regularization" (2017); Yamada et al.,
"ShakeDrop regularization" (2018); as in Auto-PyTorch, whose first known defect (random at evaluation) is not reproduced.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.networks.stochastic import Stochastic
from pipeline.streams import Purpose


def scaled(x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """`forward * x`, whose gradient is that of `backward * x`."""
    return backward * x + (forward - backward) * x.detach()


class ShakeShake(Stochastic):
    """Mix two branches: alpha of the first and 1 - alpha of the second, with beta for the gradients; their mean at evaluation.

    Shape: twice (batch, units) -> (batch, units).
    """

    purpose = Purpose.SHAKE_SHAKE

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # (batch, units) each
        """One mixture for the whole batch."""
        if not self.training:
            return 0.5 * (first + second)
        alpha, beta = torch.rand(2, generator=self.generator)
        return scaled(first, alpha, beta) + scaled(second, 1 - alpha, 1 - beta)


class ShakeDrop(Stochastic):
    """Multiply by b + alpha - b * alpha, that is by 1 if the branch survives, else by alpha; by its expectation at evaluation.

    The gradient has beta for alpha. Shape: (batch, units) -> (batch, units).
    """

    purpose = Purpose.SHAKE_DROP

    def __init__(self, survival: float) -> None:
        super().__init__()
        self.survival = survival

    def extra_repr(self) -> str:
        """The probability of survival, for the printed network."""
        return f"survival={self.survival:g}"

    def forward(self, x: Tensor) -> Tensor:  # (batch, units)
        """One factor for the whole batch."""
        if not self.training:
            return x * (self.survival + (1 - self.survival) * 0.5)
        alpha, beta, chance = torch.rand(3, generator=self.generator)
        b = (chance < self.survival).to(x.dtype)
        return scaled(x, b + (1 - b) * alpha, b + (1 - b) * beta)  # so written, a survivor is multiplied by 1 exactly


def survival(block: int, n_blocks: int, max_shake_drop: float) -> float:
    """Probability that block number `block` of 0..n_blocks - 1 survives: it falls linearly to 1 - max_shake_drop at the last.

    >>> [survival(block, 4, 0.5) for block in range(4)]
    [0.875, 0.75, 0.625, 0.5]
    """
    return 1 - (block + 1) / n_blocks * max_shake_drop
