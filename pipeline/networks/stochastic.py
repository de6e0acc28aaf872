"""What draws random numbers in training: layers that own a stream, given to them anew in every epoch."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import torch
from torch import nn

from pipeline.streams import Purpose, stream


class Stochastic(nn.Module):
    """A layer that draws in training, from its own stream and never from torch's global one."""

    purpose: ClassVar[Purpose]
    """What the layer draws for; the k-th layer of a purpose has stream k of it."""

    def __init__(self) -> None:
        super().__init__()
        self._generator: torch.Generator | None = None

    @property
    def generator(self) -> torch.Generator:
        """The stream of the present epoch.

        Raises:
            RuntimeError: if no epoch was started.
        """
        if self._generator is None:
            raise RuntimeError("this is a bug: the network trains, but `start_epoch` was not called, so its layers have no random streams")
        return self._generator

    def start(self, generator: torch.Generator) -> None:
        """Take the stream of an epoch."""
        self._generator = generator

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_generator": None}  # a stream belongs to an epoch, not to the network that is stored or copied


def start_epoch(network: nn.Module, seed: int, epoch: int) -> None:
    """Give every stochastic layer of the network its stream for one epoch of the training with this seed."""
    layers: Counter[Purpose] = Counter()
    for layer in network.modules():
        if isinstance(layer, Stochastic):
            layer.start(stream(seed, epoch, layer.purpose, layers[layer.purpose]))
            layers[layer.purpose] += 1
