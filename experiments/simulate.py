"""Search on recorded curves: the loop of a live run, with look-ups for trainings and a simulated clock for the real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from experiments import build
from experiments.config import Budget, check_seed
from experiments.cost import Account
from experiments.display import display
from experiments.incumbent import check_policy
from experiments.information import show_information
from experiments.loop import Loop, Told
from experiments.plan import show_plan
from experiments.progress import Progress
from experiments.recorded import Recorded
from experiments.records import EventLog, RunDirectory, identity, run_path
from experiments.report import print_simulation, summarise_simulation
from experiments.retrace import Retrace, before_the_end
from experiments.simulated import Simulated, Timed
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.metric import metric_recorded
from lcbench.tabular import UnknownConfigurationError
from optimizers.optimizer import Optimizer
from optimizers.rungs import Ladder

if TYPE_CHECKING:
    from omegaconf import DictConfig

FULL_TRAININGS = 20
"""Length of a run when no budget is given, in trainings to the last rung."""
NOT_SIMULATED = ("trial", "cross_validation")
"""Keys that say how trainings are run; nothing is trained here, so they do not say which run it is."""


@dataclass(frozen=True)
class Simulation:
    """A simulated run, put together and not begun."""

    config: DictConfig
    """The composed configuration."""
    names: dict[str, str]
    """Its choices, as its folder is called."""
    recorded: Recorded
    """What answers."""
    ladder: Ladder
    """The epochs at which trials are compared, none beyond the recorded ones."""
    budget: Budget
    """When it ends, in simulated seconds."""

    @classmethod
    def of(cls, config: DictConfig) -> Simulation:
        """Put a run together.

        Raises:
            UserError: if a part of it does not exist, or does not fit the table.
        """
        check_policy(config.incumbent)
        task = table_name(config)
        recorded = build.build_recorded(config, task)
        ladder = fitting(build.build_ladder(config), recorded)
        space = str(recorded.benchmark.space.name)
        choices = {"benchmark": config.benchmark.name, "task": task.replace("@fold", "-fold"), "space": space}
        names = {**choices, "optimizer": config.optimizer.name}
        budget = Budget.of(config.budget, Budget(epochs=FULL_TRAININGS * ladder.max))
        return cls(config, names, recorded, ladder, budget)

    def optimizer(self, say: Callable[[str], object] = lambda reason: None) -> Optimizer:
        """A fresh optimizer; `say` is told which members of its portfolio are skipped."""
        return build.build_optimizer(self.config, self.recorded.benchmark.space, self.ladder, say)

    def account(self) -> Account:
        """A fresh account."""
        return Account(self.budget, self.recorded.continues)

    def workers(self, optimizer: Timed | None = None) -> Simulated:
        """Fresh workers with their clock; the time of `optimizer` counts if the configuration says so.

        Raises:
            UserError: if the executor is one that trains, or has no worker.
        """
        return build.build_simulated(self.config, self.recorded, self.budget.seconds, optimizer)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this run: the table by its name, whichever YAML named it, and nothing about trainings."""
        which = identity(self.config, self.budget) | {"task": {"name": self.names["task"]}, "space": {"name": self.names["space"]}}
        which["executor"] = {name: self.config.executor[name] for name in ("workers", "counts_overhead")}
        return {name: value for name, value in which.items() if name not in NOT_SIMULATED}

    @property
    def title(self) -> str:
        """The run in one line."""
        names, budget = self.names, self.budget
        limits = {"simulated seconds": budget.seconds, "trials": budget.trials, "epochs": budget.epochs}
        said = ", ".join(f"{value:g} {unit}" for unit, value in limits.items() if value is not None)
        none = f" (as none is given: {FULL_TRAININGS} trainings to epoch {self.ladder.max})" if not any(self.config.budget.values()) else ""
        where = f"the recorded {names['task']} ({names['space']} space, seed {self.config.seed})"
        return f"{names['optimizer']} on {where}, simulated; budget {said}{none}"


def simulate(config: DictConfig, console: Console, start: float) -> dict[str, Any]:
    """Make, continue or report the simulated run that `config` names; returns its summary.

    Args:
        config: the composed configuration.
        console: where to print.
        start: `time.monotonic()` from which the wall-clock seconds of the summary count; a budget counts simulated ones.
    """
    run = Simulation.of(config)
    try:
        if config.info is not None:
            return show_information(config.info, run.recorded.benchmark.space, run.names["task"], console, {})
        check(run)
        if config.plan:
            return show_plan(f"plan of {run.title}", run.optimizer, run.account, run.ladder, console)
        return _made_or_reported(run, console, start)
    except UnknownConfigurationError as error:
        raise UserError(
            f"`benchmark.unknown` is 'refuse', but {run.names['optimizer']} asks for a configuration that was not recorded on "
            f"{run.names['task']!r} (nearest: row {error.nearest}): set benchmark.unknown=nearest, or use benchmark=surrogate"
        ) from None


def _made_or_reported(run: Simulation, console: Console, start: float) -> dict[str, Any]:
    config = run.config
    path = run_path(Path(config.runs), run.names, config.seed)
    with RunDirectory(path, run.identity, extend=config.extend) as directory:
        if directory.finished:
            console.print(f"this run is finished; delete {path} to make it again", highlight=False, soft_wrap=True)
            return _report(run, directory, console)
        progress = _run(run, directory, console)
        summary = summarise_simulation(progress, run.recorded, {**run.names, "seed": config.seed}, time.monotonic() - start)
        directory.finish(summary)
        print_simulation(summary, progress.results, progress.metric, console, directory.path)
        return summary


def table_name(config: DictConfig) -> str:
    """Name of the task's table in a database, from the fields of its YAML alone.

    Raises:
        UserError: if the task has no name but that of its file.
    """
    task = config.task
    if not task.name:
        raise UserError(f"`task.name` is {task.name!r}, but recorded curves are found by the name of their task: task=table task.name=…")
    fold = task.get("fold", 0)
    return f"{task.name}@fold{fold}" if fold else str(task.name)


def check(run: Simulation) -> None:
    """Refuse what can be refused before anything is made; the first query tells whether the run can begin at all.

    Raises:
        UserError: if it cannot.
    """
    check_seed(run.config.seed)
    run.workers().close()
    query, budget, name = run.optimizer().ask(), run.budget, run.names["optimizer"]
    if budget.epochs is not None and query.epoch > budget.epochs:
        raise UserError(f"`budget.epochs` is {budget.epochs}, but the first training of {name} takes {query.epoch}: give at least these")
    seconds = run.recorded.benchmark.evaluate(query).seconds
    if budget.seconds is not None and seconds > budget.seconds:
        raise UserError(
            f"`budget.seconds` is {budget.seconds:g}, but the first training of {name} takes {seconds:.3g} simulated seconds: give more"
        )


def fitting(ladder: Ladder, recorded: Recorded) -> Ladder:
    """Return the ladder.

    Raises:
        UserError: if it goes beyond the recorded epochs.
    """
    benchmark = recorded.benchmark
    if ladder.max > benchmark.epochs:
        raise UserError(
            f"`fidelity.max_epochs` is {ladder.max}, but the curves of {benchmark.task.name!r} end at epoch {benchmark.epochs} (view "
            f"{recorded.about['view']!r}): set fidelity.max_epochs={benchmark.epochs}, or less"
        )
    return ladder


def _run(run: Simulation, directory: RunDirectory, console: Console) -> Progress:
    """Search until the budget ends; what is recorded is looked up again and compared."""
    directory.begin()
    benchmark, account = run.recorded.benchmark, run.account()
    optimizer = Timed(run.optimizer(console.print))
    workers = run.workers(optimizer)
    if run.config.executor.counts_overhead:
        directory.cut(0)  # measured seconds do not repeat, so neither does what came of them
    elif run.config.extend:
        directory.cut(before_the_end(directory.events))
    planned, policy = run.budget.epochs, run.config.incumbent
    progress = Progress(workers, run.ladder, benchmark.metric, policy, directory.path, continues=run.recorded.continues, planned=planned)
    log = EventLog(directory.path, workers, account.spent, len(directory.events))
    with display(progress, run.title, console) as shown:
        loop = Loop(optimizer, workers, account, workers, (Retrace(directory, log), progress, shown), in_order=False)
        log.note("session", **run.recorded.about, **provenance_now(licence="not stated"))
        try:
            loop.run()
        finally:
            log.note("end")
            log.close()
    return progress


def _report(run: Simulation, directory: RunDirectory, console: Console) -> dict[str, Any]:
    """Print a finished run again from its record."""
    summary, benchmark = directory.summary, run.recorded.benchmark
    results = [event.result for event in directory.history(benchmark.space, benchmark.evaluate) if isinstance(event, Told)]
    print_simulation(summary, results, metric_recorded(summary["metric"]["name"]), console, directory.path)
    return summary
