"""What the figures of one page have in common: the axis, the statistic, the share of the budget, and how bands are made."""

from __future__ import annotations

from dataclasses import dataclass

from lcbench.errors import UserError

AXES = {
    "epochs_continued": "epochs, promotions continued",
    "epochs_from_scratch": "epochs, promotions retrained",
    "seconds": "simulated seconds",
}
"""What a budget may be counted in, with the words for it on a figure."""
STATISTICS = ("mean", "median", "iqm")
"""How the runs of an optimizer become one number; iqm is the interquartile mean."""


@dataclass(frozen=True)
class Options:
    """How to look at a study; equal options on equal records give equal figures, to the last bit."""

    axis: str = "epochs_continued"
    """What the budget is counted in, one of `AXES`."""
    statistic: str = "mean"
    """How runs are summed up, one of `STATISTICS`."""
    share: float = 1.0
    """Where figures of one moment look, as a share of the budget in (0, 1]."""
    n_points: int = 121
    """Points of a curve, evenly spaced on the logarithm of the budget; at least 2."""
    n_boot: int = 2000
    """Bootstrap resamples behind a band, at least 1."""
    level: float = 0.95
    """Mass of a band, and one minus the level of every test; in (0, 1)."""
    seed: int = 0
    """Seed of the resamples."""

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise UserError(f"`axis` is {self.axis!r}, but must be one of {', '.join(AXES)}")
        if self.statistic not in STATISTICS:
            raise UserError(f"`statistic` is {self.statistic!r}, but must be one of {', '.join(STATISTICS)}")
        if not 0 < self.share <= 1:
            raise UserError(f"`share` is {self.share:g}, but must be a share of the budget above 0 and at most 1")
        if self.n_points < 2:
            raise UserError(f"`n_points` is {self.n_points}, but a curve has at least 2 points")
        if self.n_boot < 1:
            raise UserError(f"`n_boot` is {self.n_boot}, but must be at least 1")
        if self.seed < 0:
            raise UserError(f"`seed` is {self.seed}, but must be 0 or larger")
        if not 0 < self.level < 1:
            raise UserError(f"`level` is {self.level:g}, but must lie between 0 and 1")
