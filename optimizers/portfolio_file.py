"""The file of a portfolio: our own format, a bare list of members, and what Auto-PyTorch published, all read as one value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcbench.errors import UserError
from optimizers.published_portfolio import generation_of, header_of, translated

VERSION = 1
"""Of our format: ``{"portfolio": 1, "name", "source", "licence", "space", …, "members": [{hyperparameter: value}, …], …}``."""


@dataclass(frozen=True)
class PortfolioFile:
    """What stands in a file, in our names; nothing here was compared with a space yet."""

    members: list[dict[str, Any]]
    """Values of the active hyperparameters, in the order in which the members are tried."""
    header: dict[str, Any] = field(default_factory=dict)
    """Everything else: name, source, licence and space where they are known."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know about the translation, a sentence each."""


def read_portfolio(path: Path) -> PortfolioFile:
    """Read any of the formats, recognised by what it holds.

    Raises:
        UserError: if the file cannot be read, or is none of them.
    """
    try:
        content = path.read_bytes()
        values = json.loads(content.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the portfolio {str(path)!r} cannot be read: {error}") from None
    header = _header(values, path) if isinstance(values, dict) else {}
    members = values.get("members") if isinstance(values, dict) else values
    if not (isinstance(members, list) and members and all(isinstance(member, dict) for member in members)):
        raise UserError(
            f"{path} is no portfolio: it must be a JSON list of objects, [{{hyperparameter: value, …}}, …], or an object that holds such a "
            f'list, {{"portfolio": {VERSION}, "members": […]}}'
        )
    generation = generation_of(members)
    if header or generation is None:
        return PortfolioFile(members, header)
    renamed, notes = translated(members, generation)
    return PortfolioFile(renamed, header_of(content, path.name), notes)


def _header(values: dict[str, Any], path: Path) -> dict[str, Any]:
    version = values.get("portfolio")
    if "members" in values and version != VERSION:
        raise UserError(f"{path} has `portfolio` {version!r}, but this code reads version {VERSION}: update it, or write {VERSION}")
    return {name: value for name, value in values.items() if name not in ("portfolio", "members")}


def portfolio_text(header: Mapping[str, Any], members: Sequence[Mapping[str, Any]], behind: Mapping[str, Any] | None = None) -> str:
    """Our format as text, an entry and a member a line; what stands `behind` the members is for people, like the header.

    >>> print(portfolio_text({"name": "mine"}, [{"batch_size": 64}]), end="")
    {
     "portfolio": 1,
     "name": "mine",
     "members": [
      {"batch_size": 64}
     ]
    }
    """
    lines = ",\n".join(f"  {_json(member)}" for member in members)
    entries = [f" {_json(name)}: {_json(value)}" for name, value in {"portfolio": VERSION, **header}.items()]
    entries += [f' "members": [\n{lines}\n ]', *(f" {_json(name)}: {_json(value)}" for name, value in (behind or {}).items())]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
