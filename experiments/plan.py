"""What an optimizer is going to do, to the last epoch, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.config import Budget
from experiments.cost import Account
from lcbench.curve import LearningCurve
from lcbench.query import Query, Result
from optimizers.optimizer import Optimizer
from optimizers.rungs import Ladder

MAX_QUERIES = 1000
"""A plan never looks further ahead than this."""


@dataclass
class PlannedRung:
    """One rung of one bracket."""

    bracket: int
    rung: int
    epoch: int
    trials: int
    epochs: int
    """Epochs trained by this rung, as `benchmark.continue_trials` has it."""
    epochs_from_scratch: int
    """Epochs if every trial were trained again from the start."""
    new: int = 0
    """Those of the trials that begin here."""


def plan(optimizer: Optimizer, account: Account, ladder: Ladder, *, worsens: bool = True) -> list[PlannedRung]:
    """Run the optimizer on made-up losses and count: schedules of the Hyperband family do not depend on the losses.

    Every trial is worse than the one before, or with `worsens=False` better: where that makes a difference, the plan is but an example.
    Without a budget in trials or epochs, one round of brackets is planned: as many as the ladder has rungs. The plan is that of
    one worker; several ask ahead, and may spend the last epochs of a budget elsewhere.
    """
    rungs, seen = dict[tuple[int, int], PlannedRung](), set[int]()
    bounded = _bounded(account.budget)
    for _ in range(MAX_QUERIES):
        query = optimizer.ask()
        if not account.admits(query) or (not bounded and query.bracket >= len(ladder.epochs)):
            break
        rung = rungs.setdefault((query.bracket, query.rung), PlannedRung(query.bracket, query.rung, query.epoch, 0, 0, 0))
        rung.trials += 1
        rung.new += query.trial not in seen
        seen.add(query.trial)
        rung.epochs += account.cost(query)
        rung.epochs_from_scratch += query.epoch + account.extra_epochs
        account.commit(query)
        optimizer.tell(_made_up(query, query.trial if worsens else -query.trial))
    return [rungs[name] for name in sorted(rungs)]


def planned_epochs(optimizer: Optimizer, account: Account, ladder: Ladder) -> int | None:
    """Epochs that a run is going to train; None if the clock decides, or the plan does not see its end.

    Of a method that takes long over an ask it is the whole budget, of which a run may leave a little.
    """
    if account.budget.by_clock:
        return None
    if getattr(optimizer, "costly", False):
        return account.budget.epochs
    rungs = plan(optimizer, account, ladder)
    return None if _cut(rungs) else sum(rung.epochs for rung in rungs)


def _bounded(budget: Budget) -> bool:
    return budget.trials is not None or budget.epochs is not None


def _cut(rungs: list[PlannedRung]) -> bool:
    return sum(rung.trials for rung in rungs) >= MAX_QUERIES


def _made_up(query: Query, loss: float) -> Result:
    curve = LearningCurve.from_entries([(0, 0.0, {}), (query.epoch, 0.0, {})])
    return Result(query, curve, float(loss), 0.0)


def plan_table(rungs: list[PlannedRung], ladder: Ladder, budget: Budget) -> Table:
    """The plan for people: one line per rung, the cost with continued and with repeated trainings, and the sums."""
    table = Table(title=f"ladder {', '.join(map(str, ladder.epochs))} epochs · eta {ladder.eta}", title_justify="left")
    for column in ("bracket", "rung", "epochs each", "trials", "epochs trained", "from scratch", "sum trained"):
        table.add_column(column, justify="right")
    total = 0
    for rung in rungs:
        total += rung.epochs
        cells = (rung.bracket, rung.rung, rung.epoch, rung.trials, rung.epochs, rung.epochs_from_scratch, total)
        table.add_row(*map(str, cells), end_section=rung is rungs[-1] or rungs[rungs.index(rung) + 1].bracket != rung.bracket)
    new = sum(rung.new for rung in rungs)
    table.caption = f"{new} new trials, {total} epochs trained, {sum(r.epochs_from_scratch for r in rungs)} from scratch"
    if _cut(rungs):
        table.caption += f"; the plan stops here after {MAX_QUERIES} evaluations, the run goes on"
    elif not _bounded(budget):
        table.caption += f" in one round; rounds repeat until {budget.seconds:g} seconds are over"
    table.caption_justify = "left"
    return table


def show_plan(
    title: str, make: Callable[[], Optimizer], account: Callable[[], Account], ladder: Ladder, console: Console
) -> dict[str, Any]:
    """Print every bracket and rung with its cost, exact where it does not depend on losses, and run nothing."""
    rungs = plan(make(), account(), ladder)
    console.print(title, highlight=False, soft_wrap=True)
    console.print(plan_table(rungs, ladder, account().budget))
    if rungs != plan(make(), account(), ladder, worsens=False):
        console.print("an example, in which every trial is worse than the one before: the schedule of this method depends on the losses")
    return {"plan": [asdict(rung) for rung in rungs]}
