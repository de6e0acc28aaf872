"""Random streams of one training: each (seed, epoch, purpose) has its own, so nothing depends on grouping, workers or resume."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a stream is drawn for; dropout adds the index of its layer, so it comes last."""

    WEIGHTS = 0
    BATCHES = 1
    DROPOUT = 2


def stream(seed: int, epoch: int, purpose: Purpose, layer: int = 0) -> torch.Generator:
    """The generator for one purpose in one epoch of the training with this seed (and of one layer, for dropout)."""
    state = np.random.SeedSequence([seed, epoch, purpose + layer]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))
