"""Every score of a classification from one sweep over the logits, where torch takes a dozen calls."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.blas import compiled


@compiled
def class_scores(outputs: NDArray, y: NDArray, weights: NDArray) -> tuple[float, ...]:  # (n, C), (n,), (C,)
    """Weighted mean cross-entropy, accuracy, balanced accuracy over the classes that occur, and mean cross-entropy of logits.

    All are NaN where a logit is: what has diverged predicts no class.
    """
    n, n_classes = outputs.shape
    support, recalled = np.zeros(n_classes), np.zeros(n_classes)
    weighted, plain, weight = 0.0, 0.0, 0.0
    for i in range(n):
        best, top = 0, outputs[i, 0]
        for c in range(1, n_classes):
            if outputs[i, c] > top:
                best, top = c, outputs[i, c]
        whole = np.float32(0)
        for c in range(n_classes):
            whole += math.exp(outputs[i, c] - top)
        loss = np.float64(top - outputs[i, y[i]]) + math.log(np.float64(whole))
        weighted += weights[y[i]] * loss
        weight += weights[y[i]]
        plain += loss
        support[y[i]] += 1
        recalled[y[i]] += best == y[i]
    if math.isnan(plain):
        return plain, plain, plain, plain
    recall, hits, n_present = 0.0, 0.0, 0
    for c in range(n_classes):
        hits += recalled[c]
        if support[c] > 0:
            recall += recalled[c] / support[c]
            n_present += 1
    return weighted / weight, hits / n, recall / n_present, plain / n
