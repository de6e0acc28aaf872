"""Statistics of the gradients of the last batch of an epoch: over the whole network and over every linear layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

MOST_LAYERS = 6
"""Layer-wise columns exist for networks of at most so many linear layers: a deep residual network would have a thousand."""
QUANTILES = {"q10": 0.10, "q25": 0.25, "median": 0.50, "q75": 0.75, "q90": 0.90}


def gradient_statistics(linears: Sequence[nn.Linear]) -> dict[str, float]:
    """Max, mean, standard deviation and quantiles of all scalar gradients, and the mean L2 norm over parameter tensors.

    Columns ``gradient_<statistic>`` are over the whole network, ``gradient_<statistic>_layer_<i>`` over the weights and
    bias of linear layer i (see `MOST_LAYERS`); LCBench has no layer-wise norm, so there is none here.

    Raises:
        ValueError: if there was no backward pass.
    """
    tensors = [[p.grad for p in layer.parameters()] for layer in linears]
    if any(gradient is None for layer in tensors for gradient in layer):
        raise ValueError("gradient statistics need a backward pass: a parameter has no gradient")
    layers = [np.concatenate([g.detach().numpy().ravel() for g in layer if g is not None]) for layer in tensors]
    columns = {f"gradient_{name}": value for name, value in _statistics(np.concatenate(layers)).items()}
    columns["gradient_norm"] = float(np.mean([float(g.norm()) for layer in tensors for g in layer if g is not None]))
    for i, layer in enumerate(layers if len(layers) <= MOST_LAYERS else []):
        columns |= {f"gradient_{name}_layer_{i}": value for name, value in _statistics(layer).items()}
    return columns


def _statistics(gradients: NDArray[np.float32]) -> dict[str, float]:  # (number of scalars,)
    with np.errstate(all="ignore"):  # a diverging training has infinite gradients; its curve says so
        return _moments_and_quantiles(gradients)


def _moments_and_quantiles(gradients: NDArray[np.float32]) -> dict[str, float]:
    moments = {"max": gradients.max(), "mean": gradients.mean(), "std": gradients.std(dtype=np.float64)}
    quantiles = zip(QUANTILES, np.quantile(gradients, list(QUANTILES.values())), strict=True)
    return {name: float(value) for name, value in (*moments.items(), *quantiles)}
