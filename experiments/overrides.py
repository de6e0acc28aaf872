"""How the command line of a study is read: lists with commas, seeds as ranges, and optimizers with settings behind colons."""

from __future__ import annotations

import re
from typing import Any

from experiments.config import check_seed
from lcbench.errors import UserError

LISTS = ("tasks", "optimizers", "seeds")
"""Keys whose values are lists, written with commas."""
OF_ONE_RUN = {"task": "tasks", "optimizer": "optimizers", "seed": "seeds"}
"""What these lists are called where there is one run."""
GROUPS = r"(portfolio|prior)[.=]"
"""What a setting behind a colon begins with if it is not one of the optimizer."""
LONGEST = 200
"""Characters of a label, which is the name of a folder too."""


def as_list(word: str) -> str:
    """Commas in the value of a list make a list, where Hydra would see a sweep.

    Raises:
        UserError: if the key is that of a single run.
    """
    name, _, value = word.partition("=")
    if name in OF_ONE_RUN:
        raise UserError(f"a study has no `{name}`: write {OF_ONE_RUN[name]}={value or '…'}, with commas between several")
    if name not in LISTS or value.startswith("["):
        return word
    return f"{name}=[{','.join(repr(part.strip()) for part in split(value, ','))}]"


def split(text: str, separator: str) -> list[str]:
    """The pieces between the separators that stand outside of brackets and quotes.

    >>> split("bohb:prior.beliefs={momentum: {mean: 0.9, std: 0.1}}:n_candidates=8", ":")
    ['bohb', 'prior.beliefs={momentum: {mean: 0.9, std: 0.1}}', 'n_candidates=8']
    """
    pieces, depth, quote = [""], 0, ""
    for letter in text:
        if letter in "'\"" and quote in ("", letter):
            quote = "" if quote else letter
        elif not quote:
            depth += (letter in "{[(") - (letter in "}])")
        if letter == separator and not depth and not quote:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def names(given: Any, noun: str) -> list[str]:
    """The entries of a list, each once.

    Raises:
        UserError: if there is none, or an empty one.
    """
    found = [str(name) for name in ([given] if isinstance(given, str) else given)]
    if not all(found) or not found:
        raise UserError(f"`{noun}` has an empty name, but must name at least one: {noun}=a,b (without a space after the comma)")
    return list(dict.fromkeys(found))


def seeds(given: Any) -> list[int]:
    """Seeds from numbers and ranges like 0..29.

    Raises:
        UserError: if it is neither, or a seed is out of range.
    """
    found: list[int] = []
    for part in names([given] if isinstance(given, int) else given, "seeds"):
        ends = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part)
        if not ends:
            raise UserError(f"`seeds` has {part!r}, but must be numbers or from..to: seeds=0..29, seeds=0,1,7")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first:
            raise UserError(f"`seeds` has {part!r}, but a range goes upwards: {last}..{first}")
        found += range(first, last + 1)
    return [check_seed(seed) for seed in dict.fromkeys(found)]


def of_label(label: str) -> list[str]:
    """The overrides of `run.yaml` that make the optimizer that a label names, as in bohb:n_candidates=128:prior=beliefs.

    Raises:
        UserError: if a setting has no value, or the label is too long for a folder.
    """
    if len(label) > LONGEST:
        raise UserError(f"`optimizers` has {label[:40]!r}… with {len(label)} characters, at most {LONGEST}: give its settings a YAML file")
    name, *settings = split(label, ":")
    for setting in settings:
        if "=" not in setting:
            raise UserError(f"`optimizers` has {label!r}, where {setting!r} has no value: write {name}:{setting or 'name'}=value")
    return [f"optimizer={name}", *(setting if re.match(GROUPS, setting) else f"optimizer.{setting}" for setting in settings)]
