"""A portfolio in front of any optimizer: configurations that did well elsewhere are tried before it proposes its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.errors import UserError
from lcbench.query import Origin, Query, Result
from lcbench.space import plain
from optimizers.adaptation import Adapted, adapted
from optimizers.optimizer import Optimizer
from optimizers.portfolio_file import read_portfolio
from optimizers.published_portfolio import which


class Portfolio:
    """Puts the next member into the place of every new trial, as long as there is one (Zimmer et al., TPAMI 2021, section 3.3).

    As in Auto-PyTorch, the queue is popped wherever the optimizer asks for a new configuration, so that with brackets the members are
    spread over several first rungs. What they score is told to the optimizer like everything else, so a model learns from them; as long as
    they are open, it believes that its own proposals are. An ask takes O(1) more than that of the optimizer.
    """

    def __init__(self, optimizer: Optimizer, members: Iterable[Configuration]) -> None:
        """Precede `optimizer` by `members`, legal configurations of its space, in their order."""
        self._optimizer = optimizer
        self.costly = getattr(optimizer, "costly", False)
        self._members = deque(members)

    def ask(self) -> Query:
        """What the optimizer asks, with a member instead of a configuration of its own."""
        query = self._optimizer.ask()
        if query.origin is Origin.PROMOTION or not self._members:
            return query
        return replace(query, configuration=self._members.popleft(), origin=Origin.PORTFOLIO)

    def tell(self, result: Result) -> None:
        """Hand a result on; raise KeyError if it answers no open ask."""
        self._optimizer.tell(result)


def read_members(path: Path, space: ConfigurationSpace) -> tuple[list[Configuration], list[str]]:
    """The members of a file as configurations of `space`, and what a reader should know about them, a sentence each.

    The file is in one of the formats of `portfolio_file`. Members that are not legal in `space` are adapted to it, see `adapted`; what
    that took is noted once for all members with the same hyperparameters missing or dropped, and per member where a number is moved or
    the member is skipped.

    Raises:
        UserError: if the file cannot be read as a portfolio, or no member can be adapted.
    """
    file = read_portfolio(path)
    members: dict[int, Adapted] = {}
    notes = []
    for number, values in enumerate(file.members):
        try:
            members[number] = adapted(values, space)
            notes += [f"member {number}: {words}" for words in members[number].moved]
        except UserError as error:
            notes.append(f"member {number} of {path} is skipped: {error}")
    if not members:
        home = f", which were made for the space {file.header['space']!r}," if file.header.get("space") else ""
        raise UserError(f"no member of {path}{home} is legal in the space {space.name!r}; the first: {notes[0]}")
    defaults = plain({name: hyperparameter.default_value for name, hyperparameter in space.items()})
    shared = [
        *(f"missing in {who}, so that the default counts: {_with(names, defaults)}" for who, names in _who(members, "missing")),
        *(f"not in the space {space.name!r}, so dropped from {who}: {', '.join(names)}" for who, names in _who(members, "unknown")),
        *(f"not active beside the rest, so dropped from {who}: {', '.join(names)}" for who, names in _who(members, "inactive")),
    ]
    return [member.configuration for member in members.values()], file.notes + shared + notes


def _who(members: Mapping[int, Adapted], trouble: str) -> Iterator[tuple[str, list[str]]]:
    """Groups of members in words, and the hyperparameters with a kind of trouble that just these have."""
    found: dict[str, list[int]] = {}
    for number, member in members.items():
        for name in getattr(member, trouble):
            found.setdefault(name, []).append(number)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, numbers in found.items():
        groups.setdefault(tuple(numbers), []).append(name)
    return ((which(numbers, len(members)), names) for numbers, names in groups.items())


def _with(names: Iterable[str], defaults: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {defaults[name]!r}" for name in names)
