"""How a member of a portfolio becomes a configuration of a space that it was not made for: as little as possible is changed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace, Constant, OrdinalHyperparameter
from ConfigSpace.hyperparameters import Hyperparameter, IntegerHyperparameter

from lcbench.errors import UserError
from lcbench.space import checked_configuration

SHOWN = 3
"""Unknown names that a refusal lists."""


@dataclass
class Adapted:
    """A legal configuration, and what had to be done for it."""

    configuration: Configuration
    """What is tried."""
    missing: list[str] = field(default_factory=list)
    """Active hyperparameters that the member does not have: they take their default."""
    unknown: list[str] = field(default_factory=list)
    """Names that are not in the space; they are dropped."""
    inactive: list[str] = field(default_factory=list)
    """Hyperparameters that are not active beside the others; they are dropped."""
    moved: list[str] = field(default_factory=list)
    """Numbers that were moved to the nearest legal one, in words."""


def adapted(values: Mapping[str, Any], space: ConfigurationSpace) -> Adapted:
    """The configuration of `space` that is nearest to a member, {hyperparameter: value}.

    Choices are never changed, numbers are clipped to their range, which may be a single number. What is mostly unknown to the space is a
    member of another one, and would leave little more than the default configuration.

    Raises:
        UserError: if a choice is not offered, a number is none, most names are unknown, or a forbidden clause is hit.
    """
    unknown = [name for name in values if name not in space]
    if 2 * len(unknown) >= len(values):
        raise UserError(_foreign(unknown, values, space))
    legal: dict[str, Any] = {}
    missing, moved = [], []
    vector = np.full(len(space), np.nan)
    for i, (name, hyperparameter) in enumerate(space.items()):  # parents come before their children
        if not all(condition.satisfied_by_vector(vector) for condition in space.parent_conditions_of[name]):
            continue
        if name in values:
            legal[name] = _nearest(hyperparameter, values[name])
            if legal[name] != values[name]:
                low, high = _bounds(hyperparameter) or (values[name],) * 2
                how = "rounded" if low <= values[name] <= high else "clipped"
                moved.append(f"{name} {values[name]} is {how} to {legal[name]}")
        else:
            legal[name] = hyperparameter.default_value
            missing.append(name)
        vector[i] = hyperparameter.to_vector(legal[name])
    inactive = [name for name in values if name in space and name not in legal]
    return Adapted(checked_configuration(legal, space), missing, unknown, inactive, moved)


def _foreign(unknown: list[str], values: Mapping[str, Any], space: ConfigurationSpace) -> str:
    if not values:
        return "it is empty"
    near = {name: difflib.get_close_matches(name, space, n=1) for name in unknown[:SHOWN]}
    said = [f"{name!r}" + (f" (did you mean {match[0]!r}?)" if match else "") for name, match in near.items()]
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    return f"{len(unknown)} of its {len(values)} hyperparameters are unknown to the space {space.name!r}: {', '.join(said)}{more}"


def _nearest(hyperparameter: Hyperparameter, value: Any) -> Any:
    """The legal value nearest to `value`, which it equals unless it is a number."""
    bounds = _bounds(hyperparameter)
    if bounds is None:
        return _offered(hyperparameter, value)
    if not _is_number(value):
        raise UserError(f"`{hyperparameter.name}` is {value!r}, but must be a number in {bounds[0]}..{bounds[1]}")
    clipped = min(max(value, bounds[0]), bounds[1])
    if isinstance(hyperparameter, Constant):
        return hyperparameter.value
    return round(clipped) if isinstance(hyperparameter, IntegerHyperparameter) else float(clipped)


def _bounds(hyperparameter: Hyperparameter) -> tuple[float, float] | None:
    """Range of a number, which may be fixed; None for a choice."""
    if isinstance(hyperparameter, Constant):
        return (hyperparameter.value, hyperparameter.value) if _is_number(hyperparameter.value) else None
    choice = isinstance(hyperparameter, CategoricalHyperparameter | OrdinalHyperparameter)
    return None if choice else (hyperparameter.lower, hyperparameter.upper)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _offered(hyperparameter: Hyperparameter, value: Any) -> Any:
    if isinstance(hyperparameter, Constant):
        offered = (hyperparameter.value,)
    else:
        offered = getattr(hyperparameter, "choices", None) or hyperparameter.sequence
    for one in offered:
        if one == value and isinstance(one, bool) == isinstance(value, bool):  # 1 equals True, but is another choice
            return one
    raise UserError(f"`{hyperparameter.name}` is {value!r}, but the space offers {', '.join(map(str, offered))}")
