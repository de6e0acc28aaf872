"""One hyperparameter of many configurations as one column, and back again without loss.

A column has a kind. ``integer`` and ``float`` are float64 with NaN where the hyperparameter is inactive; ``text`` is the
category as it is; ``json`` is the JSON text of whatever else a value can be (a boolean, a category that is sometimes a
number); both texts are empty where inactive. The kind follows from the values, so that each comes back with its type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from ConfigSpace.hyperparameters import FloatHyperparameter, Hyperparameter, IntegerHyperparameter
from numpy.typing import NDArray

Kind = Literal["integer", "float", "text", "json"]
INACTIVE: Any = object()
"""Stands for the value of an inactive hyperparameter; None would not do, because it can be a category."""

_EXACT_INTEGERS = 2**53  # up to here every integer is a float64


class Column(NamedTuple):
    """The values of one hyperparameter, a row each."""

    kind: Kind
    """How the values are held."""
    values: NDArray[Any]  # (n,)
    """float64, or texts as Python objects."""

    def take(self, rows: NDArray[np.int64]) -> Column:
        """The column of some rows, in their order."""
        return Column(self.kind, self.values[rows])


def encode_column(hyperparameter: Hyperparameter, configurations: Sequence[dict[str, Any]]) -> Column:
    """Pick one hyperparameter out of plain configurations; it is inactive where they lack it."""
    name = hyperparameter.name
    active = [configuration[name] for configuration in configurations if name in configuration]
    kind = _kind(active) if active else _kind_of_nothing(hyperparameter)
    if kind in ("integer", "float"):
        return Column(kind, np.array([configuration.get(name, math.nan) for configuration in configurations], np.float64))
    write = json.dumps if kind == "json" else str
    texts = [write(configuration[name]) if name in configuration else "" for configuration in configurations]
    return Column(kind, np.array(texts, object))


def decode_column(column: Column) -> list[Any]:  # n values
    """The inverse of `encode_column`, with `INACTIVE` where the hyperparameter is inactive.

    Raises:
        ValueError: if the kind is unknown or a text is not JSON: the file is damaged.
    """
    values = column.values.tolist()
    match column.kind:
        case "float":
            return [INACTIVE if math.isnan(value) else value for value in values]
        case "integer":
            return [INACTIVE if math.isnan(value) else int(value) for value in values]
        case "text":
            return [value or INACTIVE for value in values]
        case "json":
            return [json.loads(value) if value else INACTIVE for value in values]
    raise ValueError(f"`kind` of a column is {column.kind!r}, but must be integer, float, text or json")


def _kind(values: Sequence[Any]) -> Kind:
    if all(type(value) is int and abs(value) <= _EXACT_INTEGERS for value in values):
        return "integer"
    if all(type(value) is float and not math.isnan(value) for value in values):
        return "float"
    return "text" if all(_is_plain_text(value) for value in values) else "json"


def _kind_of_nothing(hyperparameter: Hyperparameter) -> Kind:
    if isinstance(hyperparameter, IntegerHyperparameter):
        return "integer"
    return "float" if isinstance(hyperparameter, FloatHyperparameter) else "text"


def _is_plain_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
