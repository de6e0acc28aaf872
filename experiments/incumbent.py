"""Which result is the best so far: the answer depends on which epochs count, so the rule has a name and is written down."""

from __future__ import annotations

from collections.abc import Sequence

from lcbench.errors import UserError
from lcbench.query import Result

POLICIES = {
    "max_budget": "best at the largest epoch of the ladder; none until a trial gets there",
    "highest_seen": "best among the results of the highest epoch that any trial has reached",
    "any": "best of all results, whatever their epoch",
}


def check_policy(policy: str) -> str:
    """Return the policy.

    Raises:
        UserError: if it is unknown.
    """
    if policy not in POLICIES:
        raise UserError(f"`incumbent` is {policy!r}, but must be one of {', '.join(POLICIES)}")
    return policy


def incumbent(results: Sequence[Result], policy: str, max_epoch: int) -> Result | None:
    """The best successful result under a policy, the earliest of equals; None if there is none."""
    eligible = [result for result in results if result.ok]
    if policy == "highest_seen" and eligible:
        max_epoch = max(result.query.epoch for result in eligible)
    if policy != "any":
        eligible = [result for result in eligible if result.query.epoch == max_epoch]
    return min(eligible, key=lambda result: result.loss, default=None)
