"""Two objectives at once: how good the networks are that an optimizer finds, and how long they take to train.

Notation: n results of a run, G moments. A result is a point (cost, regret), both smaller is better: seconds of its training from scratch,
as a part of the median full training of its task, and its normalised regret. Points beyond (1, 1) count for nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.aggregate import summary
from analysis.options import AXES, Options
from analysis.study import Study
from experiments.trajectory import judged

TITLE = "Regret against training time"
CAPTION = (
    "Left: the hypervolume of all results so far, which is the area that they dominate in the square of cost (seconds of one training, "
    "as a part of the median full training of the task) and normalised regret, both from 0 to 1; 1 would be the best of the table in no"
    " time. A result is one point, its best epoch if that is what the study judges, so what trains in full is not credited with the "
    "shorter trainings on its way. Right: the front at the end of the budget, the smallest regret among the trainings that take no "
    "longer than a cost; nearer to the lower left is better. Both are means over tasks and seeds with bands over seeds. Optimizers of "
    "one objective stand here, too: a good network that is quick to train is worth more than one that is not."
)
N_COSTS = 49
"""Points of a front, evenly spaced on the logarithm of the cost."""
SMALLEST_COST = 1 / 64
"""Where fronts begin, in full trainings."""


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every optimizer and share of the budget (part "hypervolume"), and for every optimizer and cost (part "front").

    Columns: axis, part, optimizer, share (of the budget, or of a full training), value, low, high.

    Raises:
        UserError: if the study has no record of all results.
    """
    shares, costs = study.shares(options.n_points), study.shares(N_COSTS, SMALLEST_COST)
    budgets = dict(zip(study.tasks, study.budgets(options.axis), strict=True))
    full = {task: study.about["tasks"][task]["full_training_seconds"] for task in study.tasks}
    best = {task: study.about["tasks"][task]["best_loss"] for task in study.tasks}
    volumes, fronts = np.zeros((*study.shape, len(shares))), np.ones((*study.shape, len(costs)))
    for (o, t, s), run in study.results():
        task = study.tasks[t]
        seen = judged({name: run[name].to_numpy() for name in run}, study.about["incumbent"])
        regret = (seen["val_loss"].astype(float) - best[task]) / study.constants[task]
        cost = seen["train_seconds"].astype(float) / full[task]
        spent = run[options.axis].to_numpy(float)
        volumes[o, t, s] = hypervolumes(cost, regret, spent, shares * budgets[task])
        fronts[o, t, s] = front(cost, regret, spent <= budgets[task], costs)
    rng = np.random.default_rng(options.seed)
    parts = []
    for part, values, x in (("hypervolume", volumes, shares), ("front", fronts, costs)):
        value, low, high = summary(values, "mean", n_boot=options.n_boot, level=options.level, rng=rng)
        names, at = np.repeat(study.optimizers, len(x)), np.tile(x, len(study.optimizers))
        numbers = {"value": value.ravel(), "low": low.ravel(), "high": high.ravel()}
        parts.append(pd.DataFrame({"axis": options.axis, "part": part, "optimizer": names, "share": at, **numbers}))
    return pd.concat(parts, ignore_index=True)


def hypervolumes(cost: np.ndarray, regret: np.ndarray, spent: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Area of the unit square that the results (n,) up to every moment (G,) dominate, (G,); O(n log n + G n).

    With results in the order of their costs, the best regret so far is a staircase over the cost, and the area lies above it.
    """
    order = np.argsort(cost, kind="stable")
    cost, regret, spent = np.clip(cost[order], 0, 1), np.clip(regret[order], 0, 1), spent[order]
    there = spent[None, :] <= moments[:, None]  # (G, n)
    stairs = np.minimum.accumulate(np.where(there, regret, 1.0), axis=1)
    area: np.ndarray = (1 - stairs) @ np.diff(cost, append=1.0)
    return area


def front(cost: np.ndarray, regret: np.ndarray, there: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Smallest regret, at most 1, among the results (n,) that are there and take no longer than every one of `costs` (C,), (C,)."""
    order = np.argsort(cost, kind="stable")
    stairs = np.minimum.accumulate(np.append(1.0, np.where(there, np.clip(regret, 0, 1), 1.0)[order]))
    at: np.ndarray = stairs[np.searchsorted(cost[order], costs, side="right")]
    return at


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw the hypervolume over the budget and the fronts beside each other, with one legend."""
    n_optimizers = table["optimizer"].nunique()
    figure.set_size_inches(8.2, max(3.4, 0.155 * n_optimizers + 1.0))
    left, right = figure.subplots(1, 2)
    volume, fronts = table[table["part"] == "hypervolume"], table[table["part"] == "front"]
    style.budget_axis(left, volume["axis"].iloc[0], volume["share"].min())
    left.set_ylabel("hypervolume, mean of all runs")
    style.curves(left, volume, label=False)
    left.set_xlabel(f"share of the budget in {AXES[volume['axis'].iloc[0]]}", fontsize=7)
    style.budget_axis(right, fronts["axis"].iloc[0], fronts["share"].min())
    style.positive_log(right, fronts)
    right.set_xlabel("seconds of one training, in full trainings", fontsize=7)
    right.set_ylabel("smallest normalised regret")
    style.curves(right, fronts, label=False)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7, handlelength=2.2)
