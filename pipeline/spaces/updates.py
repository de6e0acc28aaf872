"""Changing a search space from the command line: other ranges, fewer choices, constants.

``space.updates={batch_size: [32, 128], optimizer: [adam], shaped_mlp.max_units: 256}``
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ConfigSpace import ConfigurationSpace
from ConfigSpace.exceptions import ForbiddenValueError

from lcbench.errors import UserError
from pipeline.spaces.search_space import SearchSpace

SHARES = (
    "dropout",
    "probability",
    "reduction",
    "max_features",
    "keep_variance",
    "q_min",
    "q_max",
    "beta1",
    "beta2",
    "select_rates.alpha",
    "moving_average.decay",
)
"""A hyperparameter with one of these in its name is a share: no range of it reaches beyond 1."""


def updated(search_space: SearchSpace, updates: Mapping[str, Any]) -> SearchSpace:
    """The space with other ranges ([low, high]), fewer choices ([a, b]) or constants (a) for the hyperparameters that are named.

    What hangs on a choice that is no longer offered is removed with it. A range may be wider than it was, unless other hyperparameters
    hang on the number, or it would be one that there cannot be: a negative rate, a dropout above 1.

    Raises:
        UserError: if a hyperparameter is unknown, or what is wanted is no range or choice of it, or the defaults then are forbidden.
    """
    if not isinstance(updates, Mapping):
        raise UserError(f"`space.updates` is {updates!r}, but must be {{hyperparameter: [low, high], a list of choices, or a constant}}")
    plain = search_space.space.to_serialized_dict()
    nodes = {node["name"]: node for node in plain["hyperparameters"]}
    parents = _parents(plain["conditions"])
    for name, wish in updates.items():
        if name not in nodes:
            near = difflib.get_close_matches(name, nodes, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"`space.updates` names {name!r}, but the space {search_space.name!r} has {', '.join(sorted(nodes))}{hint}")
        wanted = _wish(nodes[name], wish, decisive=name in parents)
        kept = {"name": name, "meta": None} if wanted.get("type") == "constant" else dict(nodes[name])
        nodes[name].clear()
        nodes[name].update(kept | wanted)
    _prune(plain, {name: node["choices"] for name, node in nodes.items() if "choices" in node})
    try:
        return replace(search_space, space=ConfigurationSpace.from_serialized_dict(plain))
    except ForbiddenValueError as error:
        why = f"`space.updates` leaves defaults that the space forbids together ({error})"
        raise UserError(f"{why}: offer other choices, or name first what goes together") from None


def _parents(conditions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of the hyperparameters that others hang on."""
    parts = [part for condition in conditions for part in condition.get("conditions", [condition])]
    return {part["parent"] for part in parts}


def _wish(node: Mapping[str, Any], wish: Any, *, decisive: bool) -> dict[str, Any]:
    """What changes in the description of a hyperparameter; others hang on a decisive one."""
    values = list(wish) if isinstance(wish, Sequence) and not isinstance(wish, str) else [wish]
    if "choices" in node:
        return _choices(node, values)
    if not all(map(_is_number, values)) or len(values) > 2 or not values:
        raise _refusal(node, wish, "a number, or a range [low, high]")
    low, high = values[0], values[-1]
    if node["type"] == "uniform_int" and not all(float(value).is_integer() for value in values):
        raise _refusal(node, wish, "whole numbers")
    if node["type"] == "uniform_int":
        low, high = int(low), int(high)
    if low > high or (node.get("log") and low <= 0):
        raise _refusal(
            node, wish, "a range [low, high] with low at most high" + (", above 0 because its scale is logarithmic" if low <= high else "")
        )
    _check_bounds(node, wish, (low, high), decisive=decisive)
    if low == high:
        return {"type": "constant", "value": low}
    middle = (low * high) ** 0.5 if node.get("log") else (low + high) / 2
    middle = round(middle) if node["type"] == "uniform_int" else middle
    return {"lower": low, "upper": high, "default_value": node["default_value"] if low <= node["default_value"] <= high else middle}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_bounds(node: Mapping[str, Any], wish: Any, bounds: tuple[float, float], *, decisive: bool) -> None:
    """Refuse a range with numbers that mean nothing."""
    if decisive and not node["lower"] <= bounds[0] <= bounds[1] <= node["upper"]:
        raise _refusal(node, wish, f"within {node['lower']}..{node['upper']}, because other hyperparameters hang on it")
    least = min(1, node["lower"]) if node["type"] == "uniform_int" else 0
    if node["lower"] >= 0 and bounds[0] < least:
        raise _refusal(node, wish, f"{least} or more")
    if bounds[1] > 1 and any(share in node["name"] for share in SHARES):
        raise _refusal(node, wish, "at most 1")


def _choices(node: Mapping[str, Any], values: list[Any]) -> dict[str, Any]:
    unknown = [value for value in values if value not in node["choices"]]
    if unknown or not values or len(set(values)) < len(values):
        raise _refusal(node, values, f"some of {', '.join(map(str, node['choices']))}, each at most once")
    default = node["default_value"] if node["default_value"] in values else values[0]
    return {"choices": values, "weights": None, "default_value": default}


def _refusal(node: Mapping[str, Any], wish: Any, allowed: str) -> UserError:
    return UserError(f"`space.updates` wants {node['name']} = {wish}, but it must be {allowed}")


def _prune(plain: dict[str, Any], choices: Mapping[str, Sequence[Any]]) -> None:
    """Remove what depends on a value that is gone, what depends on that, and so on; conditions on what is certain now go, too."""
    while True:
        nodes = {node["name"]: node for node in plain["hyperparameters"]}
        left = [(condition["child"], _left_of(condition, nodes)) for condition in plain["conditions"]]
        dead = {child for child, condition in left if condition is False}
        plain["hyperparameters"] = [node for name, node in nodes.items() if name not in dead]
        plain["conditions"] = [condition for child, condition in left if isinstance(condition, dict) and child not in dead]
        if not dead:
            break
    names = {node["name"] for node in plain["hyperparameters"]}
    kept = [forbidden for forbidden in plain["forbiddens"] if _can_happen(forbidden, names, choices)]
    plain["forbiddens"] = [_narrowed(forbidden, choices) for forbidden in kept]


def _left_of(condition: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | bool:
    """What is left to ask of a condition: itself, some of its parts, or a truth value where its parents leave no choice."""
    if "conditions" in condition:  # all of them: the spaces know no other conjunction
        parts = [_left_of(part, nodes) for part in condition["conditions"]]
        asked = [part for part in parts if isinstance(part, dict)]
        if False in parts or not asked:
            return False not in parts
        return asked[0] if len(asked) == 1 else {**condition, "conditions": asked}
    parent = nodes.get(condition["parent"])
    if parent is None:
        return False
    if condition["type"] in ("EQ", "IN"):
        wanted = condition.get("values", [condition.get("value")])
        offered = parent.get("choices", [parent["value"]] if parent["type"] == "constant" else wanted)
        return dict(condition) if any(value in wanted for value in offered) else False
    low, high = (parent.get(bound, parent.get("value")) for bound in ("lower", "upper"))  # all others ask for more than a value
    return low > condition["value"] or (high > condition["value"] and dict(condition))


def _can_happen(forbidden: Mapping[str, Any], names: set[str], choices: Mapping[str, Sequence[Any]]) -> bool:
    if "clauses" in forbidden:
        return all(_can_happen(clause, names, choices) for clause in forbidden["clauses"])
    wanted = forbidden.get("values", [forbidden.get("value")])
    name = forbidden["name"]
    return name in names and (name not in choices or any(value in choices[name] for value in wanted))


def _narrowed(forbidden: Mapping[str, Any], choices: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """A clause without the values that are no longer offered."""
    if "clauses" in forbidden:
        return {**forbidden, "clauses": [_narrowed(clause, choices) for clause in forbidden["clauses"]]}
    if "values" in forbidden and forbidden["name"] in choices:
        return {**forbidden, "values": [value for value in forbidden["values"] if value in choices[forbidden["name"]]]}
    return dict(forbidden)
