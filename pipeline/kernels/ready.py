"""Importing this module makes every kernel ready, compiled or read from disk; a fork server does so once for all its children."""

from __future__ import annotations

import numpy as np

from pipeline.kernels.descent import Rule, State
from pipeline.kernels.dropout import fill_mask, limit_and_scale
from pipeline.kernels.losses import Loss
from pipeline.kernels.program import LINEAR, Batches, Net, Noise, Program, new_memory, predict, train
from pipeline.kernels.scores import class_scores
from pipeline.kernels.statistics import moments_and_quantiles


def _try() -> None:
    """Train a network of two numbers on one row."""
    X, y, rows, share = np.ones((1, 1), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64), np.ones(1, np.float32)
    noise = Noise(np.ones((1, 2), np.uint32), np.zeros(1, np.uint32), share, np.ones((1, 1, 2, 3), np.float32))
    operations = np.array([[LINEAR, 1, 0, -1, -1, 0, 0, -1, -1, 0, 0, 0]])
    program = Program(operations, np.ones(2, np.int64), np.arange(2), np.arange(2))
    state = State(*(np.ones(2, np.float32) for _ in range(4)))
    net = Net(program, noise, state, np.zeros(0, np.float32), new_memory(program, 0, 1))
    train(X, y, Batches(1, rows, rows, share), net, Loss(share, False), Rule(False, False, 0.1, 0.0, 0.0, 0.0, 0))
    predict(X, net)


_try()
fill_mask(np.ones(1, np.float32), 0, (np.uint32(1), np.uint32(1)), *limit_and_scale(0.5))
class_scores(np.ones((1, 1), np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))
moments_and_quantiles(np.ones(1, np.float32), np.ones(1))
