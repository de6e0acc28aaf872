"""A portfolio in front of any optimizer: configurations that did well elsewhere are tried before it proposes its own."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.errors import UserError
from lcbench.query import Origin, Query, Result
from lcbench.space import checked_configuration
from optimizers.optimizer import Optimizer


class Portfolio:
    """Puts the next member into the place of every new trial, as long as there is one (Zimmer et al., TPAMI 2021, section 3.3).

    As in Auto-PyTorch, the queue is popped wherever the optimizer asks for a new configuration, so that with brackets the members are
    spread over several first rungs. What they score is told to the optimizer like everything else, so a model learns from them; as long as
    they are open, it believes that its own proposals are. An ask takes O(1) more than that of the optimizer.
    """

    def __init__(self, optimizer: Optimizer, members: Iterable[Configuration]) -> None:
        """Precede `optimizer` by `members`, legal configurations of its space, in their order."""
        self._optimizer = optimizer
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
    """Members from a JSON file, a list of objects {hyperparameter: value}; and why some of them are not legal in `space`.

    Raises:
        UserError: if the file cannot be read as such a list, or no member is legal.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"`portfolio.path` is {str(path)!r}, which cannot be read: {error}") from None
    if not (isinstance(values, list) and values and all(isinstance(member, dict) for member in values)):
        raise UserError(f"{path} is no portfolio: it must be a JSON list of objects, [{{hyperparameter: value, …}}, …]")
    members, skipped = [], []
    for number, member in enumerate(values):
        try:
            members.append(checked_configuration(member, space))
        except UserError as error:
            skipped.append(f"member {number} of {path} is skipped: {error}")
    if not members:
        raise UserError(f"no member of {path} is legal in the space {space.name!r}; the first: {skipped[0]}")
    return members, skipped
