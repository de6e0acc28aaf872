"""The program of a network for the compiled training: its layers as operations on buffers, see `pipeline.kernels.program`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.kernels.program import ADDS, IN, LINEAR, MIXTURE, NORM, OUT, Program
from pipeline.networks.dropout import Dropout
from pipeline.networks.layers import BatchNorm
from pipeline.networks.mlp import MLP
from pipeline.networks.network import Network
from pipeline.networks.residual import ResidualBlock
from pipeline.networks.resnet import ResNet

Floats = NDArray[np.float32]


class Writer:
    """Writes operations one after the other; every method returns the buffer that its operation makes."""

    def __init__(self, network: Network, n_features: int) -> None:
        self.operations: list[list[int]] = []
        self.widths = [n_features]
        self.blocks: list[ResidualBlock] = []
        """Those with a mixture, by its number."""
        sizes = [parameter.numel() for parameter in network.parameters()]
        starts = np.cumsum([0, *sizes])[:-1].tolist()
        self._places = dict(zip(map(id, network.parameters()), starts, strict=True))
        norms = norms_of(network)
        self._running = dict(zip(map(id, norms), np.cumsum([0, *(2 * norm.num_features for norm in norms)]).tolist(), strict=False))
        self._dropouts = {id(layer): number for number, layer in enumerate(dropouts_of(network))}

    def write(self, body: nn.Module) -> Program:
        """The program of a multi-layer perceptron or a residual network."""
        if isinstance(body, MLP):
            self._perceptron(body)
        elif isinstance(body, ResNet):
            self._residual(body)
        else:
            raise TypeError(f"this is a bug: there is no program for a {type(body).__name__}")
        operations = np.array(self.operations, np.int64)
        slots = _slots(operations, self.widths)
        places = np.cumsum([0, *self.widths])[:-1]
        return Program(operations, np.array(self.widths, np.int64), places.astype(np.int64), slots)

    def _perceptron(self, body: Any) -> None:
        *hidden, last = body.linears
        at = 0
        for linear, norm, dropout in zip(hidden, body.norms, body.dropouts, strict=True):
            if isinstance(norm, BatchNorm):
                at = self._norm(self._linear(at, linear), norm, dropout)
            else:
                at = self._linear(at, linear, relu=True, dropout=dropout)
        self._linear(at, last)

    def _residual(self, body: Any) -> None:
        at = self._linear(0, body.first)
        for block in body.blocks:
            at = self._block(at, block)
        norm, _, linear = body.last
        self._linear(self._norm(at, norm), linear)

    def _block(self, at: int, block: Any) -> int:
        if isinstance(block.before, nn.Sequential):
            at = self._norm(at, block.before[0])
        kept = -1 if block.shortcut is None else at
        if isinstance(block.shortcut, nn.Linear):
            kept = self._linear(at, block.shortcut)
        made = []
        for branch in block.branches:
            *start, first, norm, _, dropout, second = branch
            inside = self._norm(at, start[0]) if start else at
            inside = self._norm(self._linear(inside, first), norm, dropout)
            made.append(self._linear(inside, second))
        if kept < 0 and len(made) == 1 and block.shake_drop is None:
            return made[0]
        self.blocks.append(block)
        return self._operation(MIXTURE, [kept, *made], self.widths[made[0]], len(self.blocks) - 1)

    def _linear(self, source: int, layer: nn.Linear, *, relu: bool = False, dropout: Dropout | None = None) -> int:
        return self._operation(LINEAR, [source], layer.out_features, self._places[id(layer.weight)], (int(relu), self._number(dropout), -1))

    def _norm(self, source: int, layer: Any, dropout: Any = None) -> int:
        then = (1, self._number(dropout), self._running[id(layer)])
        return self._operation(NORM, [source], layer.num_features, self._places[id(layer.weight)], then)

    def _number(self, dropout: Dropout | None) -> int:
        return self._dropouts[id(dropout)] if dropout is not None and dropout.rate > 0 else -1

    def _operation(self, kind: int, sources: list[int], width: int, place: int, then: tuple[int, int, int] = (0, -1, -1)) -> int:
        """Write one; `then` are ReLU, dropout and the place of statistics."""
        self.widths.append(width)
        buffer = len(self.widths) - 1
        self.operations.append([kind, buffer, *[*sources, -1, -1][:3], place, *then, 0, 0, 0])
        return buffer


def _slots(operations: NDArray[np.int64], widths: Sequence[int]) -> NDArray[np.int64]:
    """Where the gradient of every buffer lies while it is needed, going backwards; notes which operations add to one that is there."""
    slots = np.zeros(len(widths), np.int64)
    taken: dict[int, int] = {}  # buffer -> slot

    def place(buffer: int) -> None:
        spans = sorted((slot, slot + widths[other]) for other, slot in taken.items())
        at = 0
        for start, end in spans:
            if at + widths[buffer] <= start:
                break
            at = max(at, end)
        taken[buffer] = slots[buffer] = at

    place(len(widths) - 1)
    for operation in operations[::-1]:
        for k in range(3):
            source = int(operation[IN + k])
            if source > 0:
                operation[ADDS + k] = source in taken
                if source not in taken:
                    place(source)
        del taken[int(operation[OUT])]
    return slots


def norms_of(network: nn.Module) -> list[BatchNorm]:
    """Every normalisation, in the order in which their statistics lie."""
    return [layer for layer in network.modules() if isinstance(layer, BatchNorm)]


def dropouts_of(network: nn.Module) -> list[Dropout]:
    """Every dropout, by its number."""
    return [layer for layer in network.modules() if isinstance(layer, Dropout)]


def drawn_shares(blocks: Sequence[ResidualBlock], n_steps: int) -> Floats:  # (n_steps, number of blocks, 2, 3)
    """Shares of the mixtures of a whole epoch, forwards and backwards: of what is kept, of the first branch and of the second."""
    shares = np.zeros((n_steps, len(blocks), 2, 3), np.float32)
    for k, block in enumerate(blocks):
        shares[:, k, :, 0] = 0 if block.shortcut is None else 1
        shares[:, k, :, 1] = 1
        if block.shake_shake is not None:
            of_first = _draws(block.shake_shake.generator, 2, n_steps)  # alpha, beta
            shares[:, k, :, 1], shares[:, k, :, 2] = of_first, 1 - of_first
        if block.shake_drop is not None:
            *both, chance = _draws(block.shake_drop.generator, 3, n_steps).T
            survives = (chance < np.float32(block.shake_drop.survival)).astype(np.float32)
            shares[:, k, :, 1:] *= (survives + (1 - survives) * np.stack(both)).T[:, :, None]
    return shares


def expected_shares(blocks: Sequence[ResidualBlock]) -> Floats:  # (1, number of blocks, 2, 3)
    """What the shares are at evaluation."""
    shares = np.zeros((1, len(blocks), 2, 3), np.float32)
    for k, block in enumerate(blocks):
        survival = 1.0 if block.shake_drop is None else block.shake_drop.survival
        branch = (survival + (1 - survival) * 0.5) * (1.0 if block.shake_shake is None else 0.5)
        shares[:, k] = (0 if block.shortcut is None else 1, branch, 0 if block.shake_shake is None else branch)
    return shares


def _draws(generator: torch.Generator, n: int, n_steps: int) -> Floats:  # (n_steps, n)
    """Of every step in turn, as the layers themselves draw."""
    return torch.stack([torch.rand(n, generator=generator) for _ in range(n_steps)]).numpy()
