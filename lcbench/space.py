"""Search spaces: the LCBench space, and the one place where configurations are sampled, encoded and named.

Notation: n configurations, d hyperparameters of the space in its own order. The unit cube is [0, 1]^d on the scale of
each hyperparameter (log where it is declared log); a category k of c sits at (k + 1/2) / c; NaN marks an inactive entry.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace, UniformFloatHyperparameter, UniformIntegerHyperparameter
from ConfigSpace.exceptions import ForbiddenValueError
from ConfigSpace.hyperparameters import Hyperparameter, NumericalHyperparameter
from ConfigSpace.hyperparameters.hp_components import ROUND_PLACES
from numpy.typing import NDArray

from lcbench.columns import INACTIVE, Column, decode_column
from lcbench.cube import cube
from lcbench.errors import UserError


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
    return cube(space).cardinalities


def sample(space: ConfigurationSpace, rng: np.random.Generator) -> Configuration:
    """Draw one legal configuration from the space's own distributions, with randomness only from `rng`.

    Where nothing is conditional or forbidden, n draws are the n rows of ``cube(space).fair(rng.random((n, d)))``.
    """
    if not cube(space).uniform:
        space.seed(int(rng.integers(2**31)))  # ConfigSpace keeps a generator of its own: it is set before every use
        return space.sample_configuration()
    while True:
        try:
            return decode(cube(space).fair(rng.random((1, len(space)))), space)[0]
        except ForbiddenValueError:
            continue


def encode(configurations: Sequence[Configuration], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d)
    """Place configurations in the unit cube, NaN where a hyperparameter is inactive."""
    vectors = np.array([c.get_array() for c in configurations], np.float64).reshape(len(configurations), len(space))
    return cube(space).points(vectors)


def encode_columns(columns: Mapping[str, Column], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d)
    """Place configurations that are held in columns in the unit cube, as `encode` does, without making them objects."""
    return cube(space).points(np.column_stack([_vector(columns[name], space[name]) for name in space]))


def _vector(column: Column, hyperparameter: Hyperparameter) -> NDArray[np.float64]:  # (n,)
    values = decode_column(column)
    active = np.array([value is not INACTIVE for value in values], bool)
    vector = np.full(len(values), np.nan)
    if active.any():
        if column.kind in ("integer", "float"):
            vector[active] = hyperparameter.to_vector(column.values[active])
        else:
            vector[active] = [hyperparameter.to_vector(value) for value in values if value is not INACTIVE]
    return vector


def is_active(name: str, values: Mapping[str, Any], space: ConfigurationSpace) -> bool:
    """Whether a hyperparameter has a value where `values` are those of the active ones before it."""
    for condition in space.parent_conditions_of[name]:
        parents = {parent.name for parent in getattr(condition, "parents", [getattr(condition, "parent", None)])}
        if not (parents <= values.keys() and condition.satisfied_by_value({parent: values[parent] for parent in parents})):
            return False
    return True


def nearest(configuration: Configuration | Mapping[str, Any], encoded: NDArray[np.float64], space: ConfigurationSpace) -> tuple[int, float]:
    """Row of `encoded` (n, d) that is nearest to a configuration, and its distance: categories and activity are equal or 1 apart.

    Raises:
        UserError: if the configuration is not one of the space.
    """
    if not isinstance(configuration, Configuration):
        configuration = checked_configuration(configuration, space)
    point = encode([configuration], space)[0]
    difference = encoded - point
    unordered = cardinalities(space) > 0
    if cube(space).simple and not unordered.any():
        squares = np.einsum("ij,ij->i", difference, difference)
    else:
        difference[:, unordered] = difference[:, unordered] != 0
        difference[np.isnan(encoded) != np.isnan(point)] = 1.0
        difference[np.isnan(encoded) & np.isnan(point)] = 0.0
        squares = np.nansum(difference**2, axis=1)
    row = int(np.argmin(squares))
    return row, float(np.sqrt(squares[row]))


def checked_configuration(values: Mapping[str, Any], space: ConfigurationSpace) -> Configuration:
    """The configuration with these values.

    Raises:
        UserError: if a hyperparameter is unknown, with the nearest names, or the values are not legal.
    """
    if unknown := values.keys() - space.keys():
        hints = {name: difflib.get_close_matches(name, space, n=1) for name in sorted(unknown)}
        said = ", ".join(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else "") for name, near in hints.items())
        raise UserError(f"the configuration has {said}, but the hyperparameters are {', '.join(space)}")
    try:
        return Configuration(space, values=dict(values))
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{dict(values)} is not a configuration of the space {space.name!r}: {reason}") from None


def decode(points: NDArray[np.float64], space: ConfigurationSpace) -> list[Configuration]:  # (n, d)
    """Turn points of the unit cube into the nearest configurations; inactive hyperparameters are dropped.

    Raises:
        ValueError: if a point lies outside the cube.
        ForbiddenValueError: if a point hits a forbidden clause of the space.
    """
    vectors = _vectors(points, space)
    if cube(space).simple and not np.isnan(vectors).any():
        return [Configuration(space, vector=vector) for vector in vectors]
    return [_legal(vector, space) for vector in vectors]


def _vectors(points: NDArray[np.float64], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d) or (d,) -> (n, d)
    points = np.array(points, np.float64).reshape(-1, len(space))
    if np.any((points < 0) | (points > 1)):
        raise ValueError("every point to decode must lie in [0, 1]^d, with NaN where a hyperparameter is inactive")
    return cube(space).vectors(points)


def _legal(vector: NDArray[np.float64], space: ConfigurationSpace) -> Configuration:
    values, vector = {}, vector.copy()
    for i, (name, hp) in enumerate(space.items()):  # parents come before their children
        if all(condition.satisfied_by_vector(vector) for condition in space.parent_conditions_of[name]):
            values[name] = hp.default_value if np.isnan(vector[i]) else hp.to_value(vector[i])
            vector[i] = hp.to_vector(values[name])  # a whole number is rounded before a condition reads it
        else:
            vector[i] = np.nan  # before forbidden clauses are read: an inactive value must not trip one
    return Configuration(space, values=values)


def legal(points: NDArray[np.float64], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d) -> (at most n, d)
    """Where the configurations of `decode` lie, without making them; those that hit a forbidden clause are left out.

    Raises:
        ValueError: if a point lies outside the cube.
    """
    vectors = _vectors(points, space)
    if not cube(space).simple or np.isnan(vectors).any():
        vectors = _active(vectors, space)
        # Clause by clause and row by row: ConfigSpace 1.2 reads "less or equal" of whole arrays as "greater or equal".
        hits = [any(clause.is_forbidden_vector(vector) for clause in space.forbidden_clauses) for vector in vectors]
        vectors = vectors[~np.array(hits, bool)]
    return cube(space).points(vectors)


def without_inactive(points: NDArray[np.float64], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d) -> (n, d)
    """The points with NaN where a hyperparameter is inactive."""
    return np.where(np.isnan(_active(cube(space).vectors(points), space)), np.nan, points)


def _active(vectors: NDArray[np.float64], space: ConfigurationSpace) -> NDArray[np.float64]:  # (n, d) -> (n, d)
    """What `_legal` does, for many vectors at once and as exactly."""
    vectors = vectors.copy()
    for i, (name, hp) in enumerate(space.items()):  # parents come before their children
        column, active = vectors[:, i], np.ones(len(vectors), bool)
        for condition in space.parent_conditions_of[name]:
            active &= condition.satisfied_by_vector_array(vectors.T)
        column[np.isnan(column)] = hp.to_vector(hp.default_value)
        if isinstance(hp, NumericalHyperparameter):
            column[:] = hp.to_vector(np.round(hp.to_value(column), ROUND_PLACES))
        column[~active] = np.nan
    return vectors


def is_legal(point: NDArray[np.float64], space: ConfigurationSpace) -> bool:
    """False if the point hits a forbidden clause of the space."""
    return len(legal(point, space)) == 1


def plain(configuration: Configuration | Mapping[str, Any]) -> dict[str, Any]:
    """The active values as plain Python numbers, strings and booleans, in the space's order."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in configuration.items()}


def key(configuration: Configuration | Mapping[str, Any]) -> str:
    """Short name of a configuration: a hash of the canonical JSON of its active values, equal on every machine."""
    canonical = json.dumps(plain(configuration), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
