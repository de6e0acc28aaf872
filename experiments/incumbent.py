"""Which result is the best so far: the answer depends on which epochs count, so the rule has a name and is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lcbench.errors import UserError
from lcbench.metric import Metric
from lcbench.query import Result

POLICIES = {
    "max_budget": "best at the largest epoch of the ladder; none until a trial gets there",
    "highest_seen": "best among the results of the highest epoch that any trial has reached",
    "any": "best of all results, whatever their epoch",
    "every_epoch": "best of all epochs that successful trainings went through, asked for or passed on the way",
}


def check_policy(policy: str) -> str:
    """Return the policy.

    Raises:
        UserError: if it is unknown.
    """
    if policy not in POLICIES:
        raise UserError(f"`incumbent` is {policy!r}, but must be one of {', '.join(POLICIES)}")
    return policy


def judged(result: Result, policy: str, metric: Metric) -> Result:
    """What a policy compares of a result: of a success under `every_epoch` what it was at its best, else the result itself."""
    return at_its_best(result, metric) if result.ok and policy == "every_epoch" else result


def at_its_best(result: Result, metric: Metric) -> Result:
    """A success as if it had been asked for at the best of the epochs that its training went through, the first of equals."""
    curve = result.curve
    values = curve.values.get(metric.on("val"))
    if values is None or len(curve) < 2:
        return result
    losses = metric.losses(values[1:])  # entry 0 is the untrained network
    best = 1 + int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
    epoch = int(curve.epochs[best])
    return replace(result, query=replace(result.query, epoch=epoch), curve=curve.prefix(epoch), loss=float(losses[best - 1]))


def incumbent(results: Sequence[Result], policy: str, max_epoch: int) -> Result | None:
    """The best success among `judged` results under their policy, the earliest of equals; None if there is none."""
    eligible = [result for result in results if result.ok]
    if policy == "highest_seen" and eligible:
        max_epoch = max(result.query.epoch for result in eligible)
    if policy in ("max_budget", "highest_seen"):
        eligible = [result for result in eligible if result.query.epoch == max_epoch]
    return min(eligible, key=lambda result: result.loss, default=None)
