"""The network of a configuration: embeddings, then one of the networks of this package, drawn from the streams of one seed."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

import pipeline.networks
from lcbench.errors import UserError
from pipeline.networks.embedding import Embedding
from pipeline.networks.initialisation import initialise
from pipeline.networks.stochastic import start_epoch
from pipeline.settings import under
from pipeline.streams import Purpose, stream

EMBEDDINGS = ("none", "learned")
"""Choices of `embedding`: no column is a code, or the last ones are."""


class Network(nn.Module):
    """A network with its embedding (or none) and the seed of everything it draws in training.

    Shape: (batch, n_features + number of codes) -> (batch, n_outputs), raw logits or one number.
    """

    def __init__(self, embedding: Embedding | None, body: nn.Module, seed: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.body = body
        self.seed = seed

    @property
    def n_parameters(self) -> int:
        """Number of scalars that are trained."""
        return sum(p.numel() for p in self.parameters())

    @property
    def linears(self) -> list[nn.Linear]:
        """Every linear layer in the order of the forward pass, the maps of the embedding first."""
        return [layer for layer in self.modules() if isinstance(layer, nn.Linear)]

    def start_epoch(self, epoch: int) -> None:
        """Give every layer that draws its stream for one epoch, so that a resumed training draws what an uninterrupted one would."""
        start_epoch(self, self.seed, epoch)

    def forward(self, x: Tensor) -> Tensor:  # (batch, n_features + number of codes)
        """Logits, or one number, per row."""
        return self.body(self.embed(x))

    def embed(self, x: Tensor) -> Tensor:  # (batch, n_features + number of codes) -> (batch, inputs of the body)
        """The numbers that the body starts from: codes of categories replaced by their vectors."""
        return x if self.embedding is None else self.embedding(x)


def networks() -> list[str]:
    """Every network there is: the modules of this package with a `build`."""
    names = [module.name for module in pkgutil.iter_modules(pipeline.networks.__path__)]
    return [name for name in names if hasattr(import_module(f"pipeline.networks.{name}"), "build")]


def build_network(settings: Mapping[str, Any], n_features: int, n_outputs: int, *, cardinalities: Sequence[int] = (), seed: int) -> Network:
    """The network of these settings for `n_features` numbers and one code per cardinality, with its first weights.

    Settings: ``network`` and ``<network>.<hyperparameter>`` for all active hyperparameters of its `space`;
    ``initialisation`` and ``initialisation.bias``; ``embedding``, and ``learned.dimension_reduction`` if that is learned.

    >>> settings = {"network": "shaped_mlp", "initialisation": "default", "initialisation.bias": "default", "embedding": "none"}
    >>> shaped_mlp = {"num_layers": 3, "max_units": 256, "shape": "funnel", "activation": "relu", "batch_norm": False}
    >>> settings |= {f"shaped_mlp.{name}": value for name, value in (shaped_mlp | {"use_dropout": False}).items()}
    >>> build_network(settings, 18, 4, seed=1).n_parameters
    38798

    Raises:
        UserError: if there is no such network, initialisation or embedding, with those there are; if there is no column.
    """
    name = settings["network"]
    place = f"{pipeline.networks.__name__}.{name}"
    build = getattr(import_module(place), "build", None) if find_spec(place) else None
    if build is None:
        raise UserError(f"`network` is {name!r}, but must be one of {', '.join(networks())}: choose one of these")
    embedding = _embedding(settings, n_features, cardinalities)
    width = n_features if embedding is None else embedding.width
    if width == 0:
        raise UserError("the table has 0 columns after preprocessing, but a network needs at least 1: keep a column")
    body = build(under(settings, name), width, n_outputs, seed=seed)
    method = (settings["initialisation"], settings["initialisation.bias"])
    if method != ("default", "default"):  # which `build` has drawn
        initialise(body, *method, stream(seed, 0, Purpose.WEIGHTS))
    if embedding is not None:
        initialise(embedding, *method, stream(seed, 0, Purpose.EMBEDDINGS))
        embedding.forget_unknown()
    return Network(embedding, body, seed)


def _embedding(settings: Mapping[str, Any], n_features: int, cardinalities: Sequence[int]) -> Embedding | None:
    choice = settings["embedding"]
    if choice not in EMBEDDINGS:
        raise UserError(f"`embedding` is {choice!r}, but must be one of {', '.join(EMBEDDINGS)}: choose one of these")
    if not cardinalities:
        return None
    if choice == "none":
        raise ValueError(f"this is a bug: `embedding` is 'none', but {len(cardinalities)} columns are codes")
    return Embedding(n_features, cardinalities, float(settings["learned.dimension_reduction"]))
