"""Random streams of one training: each (seed, epoch, purpose) has its own, so nothing depends on grouping, workers or resume."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a stream is drawn for.

    A purpose with layers adds the index of the layer to its number, so it owns every number up to the next purpose: dropout
    those from 2 up to 65,535, each later one 65,536. The numbers are part of every recorded curve and never change.
    """

    WEIGHTS = 0
    BATCHES = 1
    DROPOUT = 2
    SHAKE_SHAKE = 1 << 16
    SHAKE_DROP = 2 << 16
    EMBEDDINGS = 3 << 16
    MIXUP = 4 << 16


def stream(seed: int, epoch: int, purpose: Purpose, layer: int = 0) -> torch.Generator:
    """The generator for one purpose in one epoch of the training with this seed (and of one layer, where layers draw)."""
    state = np.random.SeedSequence([seed, epoch, purpose + layer]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))
