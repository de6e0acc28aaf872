"""Spaces and configurations as JSON, for a peer that has another ConfigSpace; what comes back is made legal again.

A constant says nothing to an optimizer and breaks some of them, so it stays at home unless a condition or a forbidden
clause reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ConfigSpace import Configuration, ConfigurationSpace
from ConfigSpace.hyperparameters import Hyperparameter, IntegerHyperparameter, NumericalHyperparameter

from lcbench.space import is_active, plain

_NAMES = ("parent", "name", "left", "right")
"""Keys under which a serialized condition or clause names the hyperparameter that it reads."""


def space_to_wire(space: ConfigurationSpace) -> dict[str, Any]:
    """The space in ConfigSpace's own serialized form, without idle constants."""
    wire = space.to_serialized_dict()
    read = {name for node in (*wire["conditions"], *wire["forbiddens"]) for name in _read_by(node)}
    idle = {hp["name"] for hp in wire["hyperparameters"] if hp["type"] == "constant" and hp["name"] not in read}
    wire["hyperparameters"] = [hp for hp in wire["hyperparameters"] if hp["name"] not in idle]
    wire["conditions"] = [condition for condition in wire["conditions"] if condition["child"] not in idle]
    return wire


def _read_by(node: Mapping[str, Any]) -> Iterator[str]:
    for key, value in node.items():
        if key in _NAMES and isinstance(value, str):
            yield value
        for part in value if isinstance(value, list) else []:
            if isinstance(part, Mapping):
                yield from _read_by(part)


def configuration_to_wire(configuration: Configuration, wire: Mapping[str, Any]) -> dict[str, Any]:
    """The active values of the hyperparameters that the serialized space has."""
    travels = {hyperparameter["name"] for hyperparameter in wire["hyperparameters"]}
    return {name: value for name, value in plain(configuration).items() if name in travels}


def configuration_from_wire(values: Mapping[str, Any], space: ConfigurationSpace) -> Configuration:
    """The configuration with these values: clipped to its bounds, without what is inactive, with the constants.

    Raises:
        ForbiddenValueError: if the values hit a forbidden clause.
    """
    active: dict[str, Any] = {}
    for name, hyperparameter in space.items():  # parents come before their children
        if is_active(name, active, space):
            active[name] = _legal(values.get(name, hyperparameter.default_value), hyperparameter)
    vector = Configuration(space, values=active).get_array()
    return Configuration(space, vector=vector)  # values as the vector gives them back, as a copy and a record will have them


def _legal(value: Any, hyperparameter: Hyperparameter) -> Any:
    if isinstance(hyperparameter, NumericalHyperparameter):
        clipped = min(max(value, hyperparameter.lower), hyperparameter.upper)
        return round(clipped) if isinstance(hyperparameter, IntegerHyperparameter) else float(clipped)
    return value
