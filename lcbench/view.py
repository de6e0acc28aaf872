"""Epoch views: everyone cuts LCBench's curves differently, so every cut has a name and is printed where it matters.

All entries stay in the database. A view says which epochs can be asked for, and nothing else but where seconds begin.
"""

from __future__ import annotations

from dataclasses import dataclass

from lcbench.errors import UserError


@dataclass(frozen=True)
class View:
    """Which epochs of a recorded curve can be asked for."""

    name: str
    """Name that is used in configurations and printed."""
    first: int
    """The smallest epoch, 0 is the untrained network."""
    last: int | None
    """The largest epoch, None for as far as the recording goes."""
    from_first_seconds: bool
    """True if the seconds of entry 0 are subtracted from all others."""
    meaning: str
    """What the view is for."""

    def span(self, n_entries: int) -> tuple[int, int]:
        """First and last epoch that can be asked of curves with `n_entries` entries; last < first if there is none."""
        recorded = n_entries - 1
        return self.first, recorded if self.last is None else min(self.last, recorded)

    def check(self, task: str, epoch: int, first: int, last: int) -> None:
        """Refuse an epoch that a query cannot ask for: a loss is of a trained network, so never of epoch 0.

        Raises:
            IndexError: with the epochs that can be asked for.
        """
        if not max(first, 1) <= epoch <= last:
            raise IndexError(f"`epoch` is {epoch}, but {task!r} can be asked for epochs {max(first, 1)}..{last} (view {self.name!r})")


VIEWS = {
    view.name: view
    for view in (
        View("raw", 0, None, False, "every entry, the untrained network included (YAHPO Gym's 1..52 are the entries 0..51)"),
        View("trained", 1, None, False, "without the untrained network (mf-prior-bench, DyHPO and DPL: 1..51 of the published files)"),
        View("syne-tune", 1, 50, True, "epochs 1..50, seconds counted from entry 0 (Syne Tune)"),
    )
}
"""Every view by name."""


def view_named(name: str) -> View:
    """Look a view up.

    Raises:
        UserError: with the views there are.
    """
    if name not in VIEWS:
        allowed = "; ".join(f"{view.name!r}: {view.meaning}" for view in VIEWS.values())
        raise UserError(f"`view` is {name!r}, but must be one of {allowed}")
    return VIEWS[name]
