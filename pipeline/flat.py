"""A dense network whose numbers lie side by side: parameters, momenta, squares and gradient are one vector each.

Notation: B rows of a batch, layers l = 0..L-1 from widths[l] to widths[l + 1], P parameters; layer by layer the weights (widths[l + 1],
widths[l]) and the bias. What trains such a network is `pipeline.compiled` on a processor and `pipeline.resident` on another device.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lcbench.metric import Metric
from pipeline.kernels.dense import Batches, Noise
from pipeline.kernels.descent import Rule
from pipeline.kernels.dropout import limit_and_scale
from pipeline.learner import Learner, Recipe
from pipeline.networks.dropout import Dropout, key_of
from pipeline.preprocessing.prepared import Prepared
from pipeline.settings import under

NETWORKS = ("mlp", "shaped_mlp")
OPTIMIZERS = ("sgd", "adam", "adamw")


def is_dense(settings: Mapping[str, Any], data: Prepared) -> bool:
    """Whether these settings are a dense network with ReLU and dropout, trained by SGD, Adam or AdamW."""
    name = settings["network"]
    dense = name in NETWORKS and settings[f"{name}.activation"] == "relu" and not settings[f"{name}.batch_norm"]
    return dense and settings["optimizer"] in OPTIMIZERS and settings["weight_averaging"] == "none" and not data.cardinalities


class FlatLearner(Learner):
    """A learner whose torch network looks at the very numbers that are trained."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None, device: torch.device | None = None) -> None:
        """Build the network, and lay its parameters side by side on the device, the processor unless given."""
        super().__init__(data, recipe, metric)
        self.widths = [self.n_features, *(layer.out_features for layer in self.network.linears)]
        self.size = min(int(recipe.settings["batch_size"]), len(self.y["train"]))
        self.parameters = torch.cat([p.detach().flatten() for p in self.network.parameters()]).to(device)
        self.momenta, self.gradient = torch.zeros_like(self.parameters), torch.zeros_like(self.parameters)
        self.squares = torch.zeros_like(self.parameters) if self.adaptive else torch.zeros(0)
        self.dropouts = [layer for layer in self.network.modules() if isinstance(layer, Dropout)]
        for parameter, view in zip(self.network.parameters(), chain(*self.views(self.parameters)), strict=True):
            parameter.data = view
        self.network.eval()

    @property
    def adaptive(self) -> bool:
        """Whether every number has a step of its own."""
        return self.recipe.settings["optimizer"] != "sgd"

    def views(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:  # (P,)
        """Weights (b, a) and bias (b,) of every layer, or what belongs to them."""
        views, at = [], 0
        for a, b in pairwise(self.widths):
            views.append((flat[at : at + a * b].view(b, a), flat[at + a * b : at + a * b + b]))
            at += (a + 1) * b
        return views

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

    def rule(self, epoch: int, rate: float, n_steps: int) -> Rule:
        """The optimizer in one epoch of so many steps."""
        name = self.recipe.settings["optimizer"]
        about = {key: float(value) for key, value in under(self.recipe.settings, name).items()}
        momentum, beta2 = (about["beta1"], about["beta2"]) if self.adaptive else (about["momentum"], 0.0)
        return Rule(self.adaptive, name == "adamw", rate, about["weight_decay"], momentum, beta2, (epoch - 1) * n_steps)

    def noise(self, *, silent: bool = False) -> Noise:
        """Dropout of the present epoch, or none."""
        rates = [0.0 if silent else layer.rate for layer in self.dropouts]
        keys = [key_of(layer.generator) if 0 < rate < 1 else (0, 1) for rate, layer in zip(rates, self.dropouts, strict=True)]
        limits, scales = zip(*map(limit_and_scale, rates), strict=True) if rates else ((), ())
        return Noise(np.array(keys, np.uint32).reshape(-1, 2), np.array(limits, np.uint32), np.array(scales, np.float32))

    def _gradients(self) -> list[list[NDArray[np.float32]]]:
        return [[part.cpu().numpy() for part in layer] for layer in self.views(self.gradient)]

    def state(self) -> dict[str, Any]:
        """All that changes in training."""
        return {"network": self.network.state_dict(), "momenta": self.momenta, "squares": self.squares}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.momenta.copy_(state["momenta"])
        self.squares.copy_(state["squares"])
