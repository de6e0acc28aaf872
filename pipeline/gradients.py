"""Statistics of the gradients of the last batch of an epoch: over the whole network and over every linear layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.kernels.statistics import moments_and_quantiles

MOST_LAYERS = 6
"""Layer-wise columns exist for networks of at most so many linear layers: a deep residual network would have a thousand."""
LAYER = "_layer_"
"""Stands in the names of these, before the number of the layer."""
MOMENTS = ("max", "mean", "std")
QUANTILES = {"q10": 0.10, "q25": 0.25, "median": 0.50, "q75": 0.75, "q90": 0.90}
_SHARES = np.array(list(QUANTILES.values()))


def gradients_of(linears: Sequence[nn.Linear]) -> list[list[NDArray[np.float32]]]:
    """What the last backward pass left, per layer the gradient of its weights and of its bias.

    Raises:
        ValueError: if there was no backward pass.
    """
    gradients = [[p.grad for p in layer.parameters()] for layer in linears]
    if any(gradient is None for layer in gradients for gradient in layer):
        raise ValueError("gradient statistics need a backward pass: a parameter has no gradient")
    return [[g.detach().numpy() for g in layer if g is not None] for layer in gradients]


def gradient_statistics(gradients: Sequence[Sequence[NDArray[np.float32]]]) -> dict[str, float]:
    """Max, mean, standard deviation and quantiles of all scalar gradients, and the mean L2 norm over parameter tensors.

    Columns ``gradient_<statistic>`` are over the whole network, ``gradient_<statistic>_layer_<i>`` over the weights and
    bias of linear layer i (see `MOST_LAYERS`); LCBench has no layer-wise norm, so there is none here. All are NaN if a gradient is.
    """
    layers = [np.concatenate([g.ravel() for g in layer]) for layer in gradients]
    columns = _columns(np.concatenate(layers), "")
    columns["gradient_norm"] = float(np.mean([_norm(g.ravel()) for layer in gradients for g in layer]))
    for i, layer in enumerate(layers if len(layers) <= MOST_LAYERS else []):
        columns |= _columns(layer, f"{LAYER}{i}")
    return columns


def statistic_names(n_layers: int) -> list[str]:
    """The columns of `gradient_statistics` for so many linear layers, in its order."""
    suffixes = ["", *(f"{LAYER}{i}" for i in range(n_layers if n_layers <= MOST_LAYERS else 0))]
    first, *rest = ([f"gradient_{name}{suffix}" for name in (*MOMENTS, *QUANTILES)] for suffix in suffixes)
    return [*first, "gradient_norm", *(name for layer in rest for name in layer)]


def statistics_on_device(gradients: Sequence[Sequence[Tensor]]) -> Tensor:  # (number of names,)
    """The same as `gradient_statistics` in float64, as `statistic_names` has it, where the gradients lie and without waiting for them."""
    layers = [torch.cat([g.flatten() for g in layer]) for layer in gradients]
    norm = torch.stack([g.double().square().sum().sqrt() for layer in gradients for g in layer]).mean()
    parts = [_moments_and_quantiles(torch.cat(layers)), norm[None]]
    return torch.cat(parts + [_moments_and_quantiles(layer) for layer in (layers if len(layers) <= MOST_LAYERS else [])])


def _moments_and_quantiles(values: Tensor) -> Tensor:  # (n,) -> (8,)
    ordered, mean, last = values.sort().values, values.double().mean(), len(values) - 1
    found = [ordered[-1].double(), mean, (values.double() - mean).square().mean().sqrt()]
    for share in QUANTILES.values():
        rank = int(share * last)  # a number of this machine: the device is told, and not asked
        found.append(torch.lerp(ordered[rank].double(), ordered[min(rank + 1, last)].double(), share * last - rank))
    return torch.where(values.isnan().any(), math.nan, torch.stack(found))


def _columns(values: NDArray[np.float32], suffix: str) -> dict[str, float]:  # (number of scalars,)
    named = zip((*MOMENTS, *QUANTILES), moments_and_quantiles(values, _SHARES).tolist(), strict=True)
    return {f"gradient_{name}{suffix}": value for name, value in named}


def _norm(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(values.astype(np.float64) @ values.astype(np.float64)))
