"""Mixup: every batch becomes a convex combination of itself and of its rows in another order (Zhang et al., ICLR 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lcbench.task import TaskInfo
from pipeline.streams import Purpose, stream

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Both parameters of the beta distribution of the share; 0 mixes nothing."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(Float("alpha", (0.0, 1.0), default=0.2))
    return part


@dataclass(frozen=True)
class Mixup:
    """Draws one share and one order per batch, from the streams of an epoch."""

    alpha: float
    """Parameter of the beta distribution; 0 leaves every batch as it is."""
    shares: np.random.Generator
    """Where the shares come from."""
    orders: torch.Generator
    """Where the orders come from."""

    @classmethod
    def of_epoch(cls, alpha: float, seed: int, epoch: int) -> Mixup:
        """The draws of one epoch of the training with this seed."""
        orders = stream(seed, epoch, Purpose.MIXUP)
        return cls(alpha, np.random.default_rng([seed, epoch, Purpose.MIXUP]), orders)

    def draw(self, n: int) -> tuple[float, Tensor]:  # (n,)
        """Share of the batch itself, and the order of the rows that make up the rest."""
        share = float(self.shares.beta(self.alpha, self.alpha)) if self.alpha > 0 else 1.0
        return share, torch.randperm(n, generator=self.orders)
