"""A network whose numbers lie side by side: parameters, momenta, squares and gradient are one vector each.

What trains such a network is `pipeline.compiled` on a processor and `pipeline.resident` on another device. Notation: B rows of a batch, P
parameters, in the order of the network's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lcbench.metric import Metric
from pipeline.kernels.descent import Rule
from pipeline.kernels.program import Batches
from pipeline.learner import Learner, Recipe
from pipeline.networks.dropout import key_of
from pipeline.preprocessing.prepared import Prepared
from pipeline.programs import dropouts_of
from pipeline.settings import under

NETWORKS = ("mlp", "shaped_mlp", "resnet", "shaped_resnet")
OPTIMIZERS = ("sgd", "adam", "adamw")


def is_known(settings: Mapping[str, Any], *, embeds: bool) -> bool:
    """Whether compiled code can train these settings.

    It knows `NETWORKS` with ReLU and without embedded columns, SGD, Adam and AdamW, and no averaged weights.
    """
    relu = settings["network"] in NETWORKS and settings[f"{settings['network']}.activation"] == "relu"
    return relu and settings["optimizer"] in OPTIMIZERS and settings["weight_averaging"] == "none" and not embeds


def is_dense(settings: Mapping[str, Any], *, embeds: bool) -> bool:
    """Whether they are one of those with nothing but linear layers and dropout."""
    name = settings["network"]
    return is_known(settings, embeds=embeds) and name in ("mlp", "shaped_mlp") and not settings[f"{name}.batch_norm"]


class FlatLearner(Learner):
    """A learner whose torch network looks at the very numbers that are trained."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None, device: torch.device | None = None) -> None:
        """Build the network, and lay its parameters side by side on the device, the processor unless given."""
        super().__init__(data, recipe, metric)
        self.size = min(int(recipe.settings["batch_size"]), len(self.y["train"]))
        parameters = list(self.network.parameters())
        self.parameters = torch.cat([parameter.detach().flatten() for parameter in parameters]).to(device)
        self.momenta, self.gradient = torch.zeros_like(self.parameters), torch.zeros_like(self.parameters)
        self.squares = torch.zeros_like(self.parameters) if self.adaptive else torch.zeros(0)
        self.dropouts = dropouts_of(self.network)
        for parameter, part in zip(parameters, self._parts(self.parameters), strict=True):
            parameter.data = part
        self.weights, self.changes = self._layers(self.parameters), self._layers(self.gradient)
        self.network.eval()

    @property
    def adaptive(self) -> bool:
        """Whether every number has a step of its own."""
        return self.recipe.settings["optimizer"] != "sgd"

    def _parts(self, flat: Tensor) -> list[Tensor]:  # (P,)
        """A view for every parameter, or for what belongs to it."""
        parameters = list(self.network.parameters())
        parts = flat.split([parameter.numel() for parameter in parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]

    def _layers(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:  # (P,)
        """Weights (b, a) and bias (b,) of every linear layer, or what belongs to them."""
        parts = dict(zip(map(id, self.network.parameters()), self._parts(flat), strict=True))
        return [(parts[id(linear.weight)], parts[id(linear.bias)]) for linear in self.network.linears]

    def epoch_batches(self, epoch: int) -> Batches:
        """The rows of an epoch, with what mixup draws for them."""
        rows, mixup = self._batches(epoch), self._mixup(epoch)
        order, shares = torch.cat(rows).numpy(), np.ones(len(rows), np.float32)
        if mixup is None:
            return Batches(self.size, order, order, shares)
        partners = []
        for step, batch in enumerate(rows):
            share, permutation = mixup.draw(len(batch))
            shares[step] = share
            partners.append(batch[permutation])
        return Batches(self.size, order, torch.cat(partners).numpy(), shares)

    def first_batch(self) -> Batches:
        """The batch that the gradient before the first step is of."""
        rows = self._batches(0)[0].numpy()
        return Batches(self.size, rows, rows, np.ones(1, np.float32))

    def rule(self, epoch: int, rate: float, n_steps: int) -> Rule:
        """The optimizer in one epoch of so many steps."""
        name = self.recipe.settings["optimizer"]
        about = {key: float(value) for key, value in under(self.recipe.settings, name).items()}
        momentum, beta2 = (about["beta1"], about["beta2"]) if self.adaptive else (about["momentum"], 0.0)
        return Rule(self.adaptive, name == "adamw", rate, about["weight_decay"], momentum, beta2, (epoch - 1) * n_steps)

    def keys(self) -> NDArray[np.uint32]:  # (number of dropouts, 2)
        """Of every dropout in the present epoch."""
        keys = [key_of(layer.generator) if 0 < layer.rate < 1 else (0, 1) for layer in self.dropouts]
        return np.array(keys, np.uint32).reshape(-1, 2)

    def _gradients(self) -> list[list[NDArray[np.float32]]]:
        return [[part.cpu().numpy() for part in layer] for layer in self.changes]

    def state(self) -> dict[str, Any]:
        """All that changes in training."""
        return {"network": self.network.state_dict(), "momenta": self.momenta, "squares": self.squares}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.momenta.copy_(state["momenta"])
        self.squares.copy_(state["squares"])
