"""The activations a network may have between its layers."""

from __future__ import annotations

from torch import nn

from lcbench.errors import UserError

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
"""Every activation of the search spaces by name (Auto-PyTorch full_cs); the first is the default."""


def activation(name: str) -> nn.Module:
    """The layer of this name; the same layer may stand at several places of a network, for it has no parameters.

    Raises:
        UserError: if there is no such activation, with those there are.
    """
    if name not in ACTIVATIONS:
        raise UserError(f"`activation` is {name!r}, but must be one of {', '.join(ACTIVATIONS)}: choose one of these")
    return ACTIVATIONS[name]()
