"""Search spaces: the LCBench space, and the one place where configurations are sampled, encoded and named.

Notation: n configurations, d hyperparameters of the space in its own order. The unit cube is [0, 1]^d on the scale of
each hyperparameter (log where it is declared log); a category k of c sits at (k + 1/2) / c; NaN marks an inactive entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.exceptions import ForbiddenValueError
from ConfigSpace.util import deactivate_inactive_hyperparameters
from numpy.typing import NDArray


def lcbench_space() -> ConfigurationSpace:
    """The seven hyperparameters of LCBench, "search space 1" of the Auto-PyTorch Tabular paper.

    Ranges and scales are those of LCBench's README and generator; momentum and weight decay are linear.
    """
    return ConfigurationSpace(
        name="lcbench",
        space=[
            UniformIntegerHyperparameter("batch_size", 16, 512, log=True),
            UniformFloatHyperparameter("learning_rate", 1e-4, 1e-1, log=True),
            UniformFloatHyperparameter("momentum", 0.1, 0.99),
            UniformFloatHyperparameter("weight_decay", 1e-5, 1e-1),
            UniformIntegerHyperparameter("num_layers", 1, 5),
            UniformIntegerHyperparameter("max_units", 64, 1024, log=True),
            UniformFloatHyperparameter("max_dropout", 0.0, 1.0),
        ],
    )


def cardinalities(space: ConfigurationSpace) -> NDArray[np.int64]:
    """Number of choices of every unordered hyperparameter, 0 for numbers and ordinals; shape (d,)."""
    return np.array([_n_choices(hp) for hp in space.values()], np.int64)


def _n_choices(hyperparameter: Any) -> int:
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return len(hyperparameter.choices)
    return 1 if isinstance(hyperparameter, Constant) else 0


def _n_levels(space: ConfigurationSpace) -> NDArray[np.int64]:
    """Like `cardinalities`, with ordinals counted too: every entry that ConfigSpace holds as an index."""
    ordinals = [len(hp.sequence) if isinstance(hp, OrdinalHyperparameter) else 0 for hp in space.values()]
    return np.maximum(cardinalities(space), ordinals)


def sample(space: ConfigurationSpace, rng: np.random.Generator) -> Configuration:
    """Draw one legal configuration from the space's own distributions, with randomness only from `rng`."""
    space.seed(int(rng.integers(2**31)))  # ConfigSpace keeps a generator of its own: it is set before every use
    return space.sample_configuration()


def encode(configurations: Sequence[Configuration], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d)
    """Place configurations in the unit cube, NaN where a hyperparameter is inactive."""
    vectors = np.array([c.get_array() for c in configurations], np.float64).reshape(len(configurations), len(space))
    levels = _n_levels(space)
    discrete = levels > 0
    vectors[:, discrete] = (vectors[:, discrete] + 0.5) / levels[discrete]
    return vectors


def decode(points: NDArray[np.float64], space: ConfigurationSpace) -> list[Configuration]:  # (n, d)
    """Turn points of the unit cube into the nearest configurations; inactive hyperparameters are dropped.

    Raises:
        ValueError: if a point lies outside the cube.
        ForbiddenValueError: if a point hits a forbidden clause of the space.
    """
    points = np.array(points, np.float64).reshape(-1, len(space))
    if np.any((points < 0) | (points > 1)):
        raise ValueError("every point to decode must lie in [0, 1]^d, with NaN where a hyperparameter is inactive")
    levels = _n_levels(space)
    discrete = levels > 0
    indices = np.floor(points[:, discrete] * levels[discrete])
    points[:, discrete] = np.minimum(indices, levels[discrete] - 1)
    return [_legal(row, space) for row in points]


def _legal(vector: NDArray[np.float64], space: ConfigurationSpace) -> Configuration:
    if not space.conditions:
        values = {name: space[name].to_value(v) for name, v in zip(space, vector, strict=True)}
        return Configuration(space, values=values)
    filled = np.where(np.isnan(vector), [_any_vector(hp) for hp in space.values()], vector)
    values = {name: space[name].to_value(v) for name, v in zip(space, filled, strict=True)}
    return deactivate_inactive_hyperparameters(values, space)


def _any_vector(hyperparameter: Any) -> float:
    """A legal vector entry for a hyperparameter whose value does not matter because it may be inactive."""
    return float(hyperparameter.to_vector(hyperparameter.default_value))


def is_legal(point: NDArray[np.float64], space: ConfigurationSpace) -> bool:
    """False if the point hits a forbidden clause of the space."""
    try:
        decode(point, space)
    except ForbiddenValueError:
        return False
    return True


def plain(configuration: Configuration) -> dict[str, Any]:
    """The active values as plain Python numbers, strings and booleans, in the space's order."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in configuration.items()}


def key(configuration: Configuration) -> str:
    """Short name of a configuration: a hash of the canonical JSON of its active values, equal on every machine."""
    canonical = json.dumps(plain(configuration), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
