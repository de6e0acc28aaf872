"""How an entry of LCBench's published files is laid out, and what its values may be.

Two layouts are known, told apart by their keys:

* data_2k.json, data_2k_lw.json, six_datasets*.json, fashion_mnist.json: ``{log, results, config}``, one training;
* bench_full.json: ``{budget: {config, results: {seed: …}, log: {seed: …}}}``, one training per budget and seed.

Every function here refuses with a `UserError` what is not what LCBench's files hold: where, name, value, what is allowed,
what to do.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from ConfigSpace.hyperparameters import Hyperparameter, IntegerHyperparameter
from numpy.typing import NDArray

from lcbench.errors import UserError

DAMAGED = "the file is damaged or is not one of LCBench's: fetch it again"

_PARTS = {"log", "results", "config"}
_NUMBERS = {int, float}
_INTEGERS = {int}


@dataclass(frozen=True)
class Place:
    """Where something stands in a file, for messages."""

    source: str
    task: str
    config: str
    run: str = ""

    def refusal(self, name: str, value: Any, law: str, *, todo: str | None = None) -> UserError:
        """`name` is `value`, but must be `law`; what to do is, by default, to leave `name` out."""
        todo = todo or f"leave it out with `--ignore {name}`, or fetch the file again"
        where = f"data set {self.task!r}, configuration {self.config!r}{self.run}"
        return UserError(f"{self.source}: {where}: `{name}` is {reprlib.repr(value)}, but {law}; {todo}")


class Run(NamedTuple):
    """One training as the file has it; budget and seed where they are keys."""

    place: Place
    budget: int | None
    seed: int | None
    config: dict[str, Any]
    results: dict[str, Any]
    log: dict[str, Any]


def runs_of(place: Place, entry: Any) -> Iterator[Run]:
    """The trainings of an entry; the layout follows from its keys.

    Raises:
        UserError: if it has neither layout.
    """
    if isinstance(entry, dict) and entry.keys() == _PARTS:
        yield Run(place, None, None, *_objects(place, entry, ("config", "results", "log")))
        return
    if not isinstance(entry, dict) or not all(budget.isdecimal() for budget in entry):
        keys = sorted(entry) if isinstance(entry, dict) else entry
        raise place.refusal("entry", keys, f"must have the keys {', '.join(sorted(_PARTS))}, or budgets as keys", todo=DAMAGED)
    for budget, part in entry.items():
        if not isinstance(part, dict) or part.keys() != _PARTS:
            raise place.refusal(f"budget {budget}", part, f"must have the keys {', '.join(sorted(_PARTS))}", todo=DAMAGED)
        config, results, logs = _objects(place, part, ("config", "results", "log"))
        if results.keys() != logs.keys() or not all(seed.isdecimal() for seed in logs):
            found = {"results": [*results], "log": [*logs]}
            raise place.refusal(f"budget {budget}", found, "both must have the same seeds as keys", todo=DAMAGED)
        for seed in logs:
            at = Place(place.source, place.task, place.config, f", budget {budget}, seed {seed}")
            pair = _objects(at, {"results": results[seed], "log": logs[seed]}, ("results", "log"))
            yield Run(at, int(budget), int(seed), config, *pair)


def _objects(place: Place, parent: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    for name in names:
        if not isinstance(parent[name], dict):
            raise place.refusal(name, parent[name], "must be a JSON object", todo=DAMAGED)
    return [parent[name] for name in names]


def refuse_unknown(place: Place, found: Mapping[str, Any], known: Collection[str], whole: str) -> None:
    """Refuse a name in `found` that is not among the `known` ones; `whole` says in words what has them."""
    for name in found:
        if name not in known:  # a look-up: `known` is a dictionary or set
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did it mean {near[0]}?)" if near else ""
            raise place.refusal(name, found[name], f"{whole} must be one of {', '.join(known)}{hint}")


def agreed(place: Place, said: dict[str, Any], least: int) -> int | None:
    """The number that several places of an entry say, None if none does."""
    found = {name: whole_number(place, name, value, least) for name, value in said.items() if value is not None}
    if len(set(found.values())) > 1:
        name = list(found)[-1]
        raise place.refusal(name, found[name], f"must be equal to what the entry says elsewhere: {found}")
    return next(iter(found.values()), None)


def whole_number(place: Place, name: str, value: Any, least: int) -> int:
    """`value` as an integer of 64 bits, at least `least`; 50.0 is one, too."""
    if type(value) not in _NUMBERS or value != value // 1 or not least <= value < 2**63:
        raise place.refusal(name, value, f"must be a whole number, at least {least}")
    return int(value)


def number(place: Place, name: str, value: Any) -> float:
    """`value` as a float, NaN and infinities included."""
    if type(value) not in _NUMBERS:
        raise place.refusal(name, value, "must be a number")
    return float(value)


def value_of(place: Place, hyperparameter: Hyperparameter, value: Any) -> int | float:
    """The value of one hyperparameter, in its range; an integer or a float as the space has it."""
    name = hyperparameter.name
    if name == "num_layers" and (value is True or value == "True"):
        return 1  # LCBench's writer turned whatever equals True into it; only a 1 can
    is_integer = isinstance(hyperparameter, IntegerHyperparameter)
    if type(value) not in (_INTEGERS if is_integer else _NUMBERS) or not hyperparameter.lower <= value <= hyperparameter.upper:
        kind = "an integer" if is_integer else "a number"
        raise place.refusal(name, value, f"must be {kind} in {hyperparameter.lower}..{hyperparameter.upper}", todo=DAMAGED)
    return int(value) if is_integer else float(value)


def number_lists(place: Place, log: Mapping[str, Any], tags: Sequence[str]) -> NDArray[np.float64]:  # (number of tags, length)
    """The lists of some tags, which must be equally long and hold nothing but numbers."""
    lists = [log[tag] for tag in tags]
    for tag, values in zip(tags, lists, strict=True):
        if type(values) is not list or len(values) != len(lists[0]):
            raise place.refusal(tag, values, f"must be a list of {len(lists[0])} numbers like `{tags[0]}`", todo=DAMAGED)
    if {*map(type, chain.from_iterable(lists))} <= _NUMBERS:
        try:
            return np.array(lists, np.float64)
        except OverflowError as error:  # a whole number beyond 1e308
            raise place.refusal("log", str(error), "its values must be numbers", todo=DAMAGED) from None
    tag, value = next((tag, value) for tag, values in zip(tags, lists, strict=True) for value in values if type(value) not in _NUMBERS)
    raise place.refusal(tag, value, "its values must be numbers")
