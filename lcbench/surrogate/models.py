"""Serving: a fitted surrogate, from a configuration to its whole learning curve, with NumPy and nothing else.

Notation: n configurations, d hyperparameters, p inputs of a model, T entries of a curve, K coefficients.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lcbench.surrogate.basis import Bounds, Floats, LevelCodec, TimeCodec, codec_from_arrays
from lcbench.surrogate.kernels import KINDS, KernelModel
from lcbench.surrogate.networks import NetworkModel
from lcbench.surrogate.noise import Noise
from lcbench.surrogate.trees import TreeModel

FORMAT_VERSION = 2
SHARED = "points"
"""The one array that kernels fitted to the same configurations have in common; it is stored once."""


class Model(Protocol):
    """From inputs to coefficients."""

    def predict(self, X: Floats) -> Floats:  # (n, p) -> (n, K)
        """Coefficients of many configurations."""

    def predict_one(self, x: Floats) -> Floats:  # (p,) -> (K,)
        """Coefficients of one configuration."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a file."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a model sees of a configuration: no NaN, and one more input for every hyperparameter that can be inactive."""

    can_be_inactive: NDArray[np.bool_]  # (d,)

    @classmethod
    def of(cls, X: Floats) -> Inputs:  # (n, d)
        """Learn which hyperparameters can be inactive."""
        return cls(np.asarray(np.isnan(X).any(axis=0)))

    @cached_property
    def _never_inactive(self) -> bool:
        return not self.can_be_inactive.any()

    def __call__(self, X: Floats) -> Floats:  # (..., d) -> (..., p)
        """Put the middle of the cube where a hyperparameter is inactive, and say so in the input added for it."""
        missing = np.isnan(X)
        if not self._never_inactive:
            return np.concatenate([np.where(missing, 0.5, X), missing[..., self.can_be_inactive].astype(np.float64)], axis=-1)
        return np.where(missing, 0.5, X)


@dataclass(frozen=True, eq=False)
class Blend:
    """The mean of one or more models."""

    parts: tuple[Model, ...]

    def predict(self, X: Floats) -> Floats:  # (n, p) -> (n, K)
        """Coefficients of many configurations."""
        return np.mean([part.predict(X) for part in self.parts], axis=0, dtype=np.float64)

    def predict_one(self, x: Floats) -> Floats:  # (p,) -> (K,)
        """Coefficients of one configuration."""
        found = self.parts[0].predict_one(x).astype(np.float64)
        for part in self.parts[1:]:
            found += part.predict_one(x)
        return found / len(self.parts)


@dataclass(frozen=True, eq=False)
class Surrogate:
    """One metric of one task, learned: any configuration has a curve.

    A prediction is a pure function of the configuration. The curve up to epoch e is the beginning of the whole curve:
    there is no other way to ask.
    """

    inputs: Inputs
    model: Blend
    codec: LevelCodec | TimeCodec
    noise: Noise
    bounds: Bounds
    report: dict[str, Any]
    """How good it is, on configurations that it had not seen; see `quality`."""

    def predict(self, X: Floats) -> Floats:  # (n, d) -> (n, T)
        """Expected curves."""
        return self._clip(self.codec.means(self._scores(X)))

    def predict_one(self, x: Floats) -> Floats:  # (d,) -> (T,)
        """The expected curve of one configuration: `predict` of one row up to rounding, several times as fast."""
        coefficients = self.model.predict_one(self.inputs(np.asarray(x, np.float64)))
        return self._clip(self.codec.means(self.codec.expand(coefficients)))

    def sample(self, X: Floats, rng: np.random.Generator) -> Floats:  # (n, d) -> (n, T)
        """A possible curve of every configuration, with the noise of one training and its measurement."""
        return self._clip(self.codec.values(self.noise.sample(self._scores(X), rng)))

    def interval(self, X: Floats, level: float) -> tuple[Floats, Floats]:  # (n, d) -> (n, T), (n, T)
        """Values between which a recorded curve lies at every epoch with probability `level`."""
        low, high = self.noise.interval(self._scores(X), level)
        return self._clip(self.codec.values(low)), self._clip(self.codec.values(high))

    def _scores(self, X: Floats) -> Floats:
        X = np.asarray(X, np.float64).reshape(-1, len(self.inputs.can_be_inactive))
        return self.codec.expand(self.model.predict(self.inputs(X)))

    def _clip(self, Y: Floats) -> Floats:
        return np.minimum(np.maximum(Y, self.bounds[0]), self.bounds[1])

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays, and what is no array as JSON types; `from_arrays` of both is the same surrogate, bit for bit."""
        arrays: dict[str, NDArray[Any]] = {"inputs/can_be_inactive": self.inputs.can_be_inactive}
        arrays |= _under("codec", self.codec.arrays()) | _under("noise", self.noise.arrays())
        for i, part in enumerate(self.model.parts):
            own = part.arrays()
            if i and SHARED in own and np.array_equal(own[SHARED], arrays.get(f"model/0/{SHARED}", np.empty(0))):
                del own[SHARED]
            arrays |= _under(f"model/{i}", own)
        meta = {
            "format": FORMAT_VERSION,
            "parts": [_kind_of(part) for part in self.model.parts],
            "codec": "time" if isinstance(self.codec, TimeCodec) else "level",
            "bounds": [repr(float(bound)) for bound in self.bounds],  # strict JSON has no infinity
            "report": json.loads(json.dumps(self.report, allow_nan=False)),
        }
        return arrays, meta

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Surrogate:
        """Rebuild what `to_arrays` took apart.

        Raises:
            ValueError: if the arrays were written in another format.
        """
        if meta["format"] != FORMAT_VERSION:
            raise ValueError(f"`format` of the stored surrogate is {meta['format']}, but this code reads {FORMAT_VERSION}; fit it again")
        parts = []
        for i, kind in enumerate(meta["parts"]):
            own = _beneath(f"model/{i}", arrays)
            if kind in KINDS and SHARED not in own:
                own[SHARED] = np.asarray(arrays[f"model/0/{SHARED}"])
            parts.append(_model(kind, own))
        return cls(
            inputs=Inputs(np.asarray(arrays["inputs/can_be_inactive"], bool)),
            model=Blend(tuple(parts)),
            codec=codec_from_arrays(meta["codec"], _beneath("codec", arrays)),
            noise=Noise.from_arrays(_beneath("noise", arrays)),
            bounds=(float(meta["bounds"][0]), float(meta["bounds"][1])),
            report=dict(meta["report"]),
        )

    @property
    def n_bytes(self) -> int:
        """Size of all stored arrays, before compression."""
        return sum(array.nbytes for array in self.to_arrays()[0].values())


def _kind_of(part: Model) -> str:
    if isinstance(part, KernelModel):
        return part.kind
    return "trees" if isinstance(part, TreeModel) else "networks"


def _model(kind: str, arrays: dict[str, NDArray[Any]]) -> Model:
    if kind == "networks":
        return NetworkModel(**arrays)
    return TreeModel(**arrays) if kind == "trees" else KernelModel(kind=kind, **arrays)


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _beneath(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(f"{prefix}/"): np.asarray(array) for name, array in arrays.items() if name.startswith(f"{prefix}/")}
