"""How the weights and biases of the linear layers are drawn at first, all from one stream."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lcbench.errors import UserError

SPARSITY = 0.9
"""Share of a unit's outgoing weights that `sparse` sets to zero, rounded up (Auto-PyTorch full_cs)."""
SPARSE_STD = 0.01
"""Standard deviation of the others (Martens, "Deep learning via Hessian-free optimization", 2010)."""


@torch.no_grad()
def initialise(network: nn.Module, weights: str, bias: str, generator: torch.Generator) -> None:
    """Draw every linear layer of the network in the order of the forward pass, its weights before its bias.

    With ("default", "default") the numbers are those that torch itself would draw from a generator in this state.

    Raises:
        UserError: if there is no such method, with those there are.
    """
    for name, value, choices in (("initialisation", weights, WEIGHTS), ("initialisation.bias", bias, BIASES)):
        if value not in choices:
            raise UserError(f"`{name}` is {value!r}, but must be one of {', '.join(choices)}: choose one of these")
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            WEIGHTS[weights](layer.weight, generator)
            if layer.bias is not None:
                BIASES[bias](layer.bias, layer.in_features, generator)


def _default(weight: Tensor, generator: torch.Generator) -> None:  # (b, a)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)  # torch's way to write: uniform within 1 / sqrt(a)


def _xavier(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.xavier_normal_(weight, generator=generator)


def _kaiming(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.orthogonal_(weight, generator=generator)


def _sparse(weight: Tensor, generator: torch.Generator) -> None:
    """Normal, with zeros at random; not torch's own, which places the zeros by its global generator."""
    n_zeros = math.ceil(SPARSITY * weight.shape[0])
    zeros = torch.rand(weight.shape, generator=generator).argsort(dim=0)[:n_zeros]  # row numbers per column
    weight.normal_(0, SPARSE_STD, generator=generator).scatter_(0, zeros, 0.0)


def _default_bias(bias: Tensor, n_inputs: int, generator: torch.Generator) -> None:  # (b,)
    bound = 1 / math.sqrt(n_inputs)
    bias.uniform_(-bound, bound, generator=generator)


def _zero_bias(bias: Tensor, n_inputs: int, generator: torch.Generator) -> None:
    bias.zero_()


def _normal_bias(bias: Tensor, n_inputs: int, generator: torch.Generator) -> None:
    bias.normal_(generator=generator)


WEIGHTS: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "default": _default,
    "xavier": _xavier,
    "kaiming": _kaiming,
    "orthogonal": _orthogonal,
    "sparse": _sparse,
}
"""Every method by name: draw(weight (b, a), generator) in place; xavier and kaiming are the normal ones (Auto-PyTorch 0.2.1)."""
BIASES: dict[str, Callable[[Tensor, int, torch.Generator], None]] = {
    "default": _default_bias,
    "zero": _zero_bias,
    "normal": _normal_bias,
}
"""Every method by name: draw(bias (b,), a, generator) in place; `default` is torch's uniform one, `normal` the standard normal."""
