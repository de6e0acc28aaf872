"""The quality table: how good every optimizer is at some shares of the budget, as average ranks with bands."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd

from analysis.aggregate import aggregate, by_point, detectable_difference
from analysis.figures import ranks
from analysis.options import Options
from analysis.study import Study

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the budget."""


def table(study: Study, options: Options) -> pd.DataFrame:
    """Average rank, its band, and the statistic of the normalised regrets, by optimizer and share; the best at the end comes first.

    Columns: axis, optimizer, share, value, low, high, regret.
    """
    shares = np.array(SHARES)
    frame = ranks.table(study, options, shares)
    frame["regret"] = aggregate(by_point(study.normalised(options.axis, shares)), options.statistic)
    last = frame[frame["share"] == 1].set_index("optimizer")["value"]
    order = frame["optimizer"].map(last).to_numpy()
    return frame.iloc[np.lexsort((frame["share"], frame["optimizer"], order))].reset_index(drop=True)


def wide(table: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The table for people: a row for every optimizer, "rank [low, high]" at every share, and the regret at the end."""
    cells = table.assign(
        cell=[f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in table.itertuples()],
        at=["rank at " + str(Fraction(share).limit_denominator(64)) for share in table["share"]],
    )
    result = cells.pivot(index="optimizer", columns="at", values="cell")
    result = result.loc[list(dict.fromkeys(table["optimizer"])), list(dict.fromkeys(cells["at"]))]
    last = table[table["share"] == 1].set_index("optimizer")["regret"]
    result[f"{options.statistic} normalised regret at 1"] = [f"{value:.3g}" for value in last.loc[result.index]]
    return result.rename_axis(columns=None).reset_index()


def power_statement(study: Study, options: Options) -> str:
    """What a study with these seeds can find, as a sentence."""
    values = study.normalised(options.axis, [options.share])[..., 0]
    found = detectable_difference(values, options.level)
    if not np.isfinite(found):
        return "With one seed, or runs without an incumbent, nothing can be said about the differences that this study could find."
    return (
        f"With {len(study.seeds)} seeds on {len(study.tasks)} tasks, two optimizers whose mean normalised regrets at "
        f"share {options.share:g} of the budget differ by {found:.3g} are told apart with "
        f"probability 80% (two-sided test at {1 - options.level:.0%}, seeds as the only chance); smaller differences need more seeds."
    )
