"""Importing this module makes every kernel ready, compiled or read from disk; a fork server does so once for all its children."""

from __future__ import annotations

import numpy as np

from pipeline.kernels.dense import Batches, Dense, Noise, new_memory, new_plan, predict, train
from pipeline.kernels.descent import Rule, State
from pipeline.kernels.dropout import fill_mask, limit_and_scale
from pipeline.kernels.losses import Loss
from pipeline.kernels.scores import class_scores
from pipeline.kernels.statistics import moments_and_quantiles


def _try() -> None:
    """Train a network of one hidden unit on one row."""
    X, y, rows, share = np.ones((1, 1), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64), np.ones(1, np.float32)
    noise = Noise(np.ones((1, 2), np.uint32), np.zeros(1, np.uint32), share)
    state = State(*(np.ones(4, np.float32) for _ in range(4)))
    dense = Dense(new_plan([1, 1, 1]), noise, state, new_memory([1, 1, 1], 1))
    train(X, y, Batches(1, rows, rows, share), dense, Loss(share, False), Rule(False, False, 0.1, 0.0, 0.0, 0.0, 0))
    predict(X, dense)


_try()
fill_mask(np.ones(1, np.float32), 0, (np.uint32(1), np.uint32(1)), *limit_and_scale(0.5))
class_scores(np.ones((1, 1), np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))
moments_and_quantiles(np.ones(1, np.float32), np.ones(1))
