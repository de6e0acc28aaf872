"""The main job: search on one task, record everything, report an honest score."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from experiments import build
from experiments.config import Budget
from experiments.cost import Account, Clock
from experiments.display import display
from experiments.incumbent import check_policy
from experiments.loop import Asked, Loop, Observer, Told
from experiments.plan import plan, plan_table, planned_epochs
from experiments.progress import Progress
from experiments.records import EventLog, RunDirectory, run_path
from experiments.report import print_report, summarise
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.metric import metric_named
from lcbench.rundir import HEADER, pack, write_header
from pipeline.baselines import constant_baseline, linear_baseline
from pipeline.live import LiveBenchmark
from pipeline.sandbox import Failure, Limits, Sandbox, run_in_child, warm_up
from pipeline.tasks import Task, task_name

BASELINE_SHARE = 0.1
"""The linear baseline may take this share of the run's seconds."""
REPORT_SECONDS = 2.0
"""Of a run's seconds this many, and at most a twentieth, are kept for packing and reporting."""


def search(config: DictConfig, console: Console) -> dict[str, Any]:
    """Make, continue or report the run that `config` names; returns its summary."""
    start = time.monotonic()
    budget = check(config)
    if config.plan:
        return show_plan(config, budget, console)
    names = {
        "benchmark": config.benchmark.name,
        "task": task_name(config.task),
        "space": config.space.name,
        "optimizer": config.optimizer.name,
    }
    path = run_path(Path(config.runs), names, config.seed)
    with RunDirectory(path, _plain(config), extend=config.extend) as directory:
        if directory.finished:
            console.print(f"this run is finished; delete {path} to make it again", highlight=False, soft_wrap=True)
            return _report(config, directory, console)
        limit = None if budget.seconds is None else budget.seconds - min(REPORT_SECONDS, budget.seconds / 20)
        return _run(config, directory, budget, Clock(limit, directory.seconds, start), names, console)


def check(config: DictConfig) -> Budget:
    """Refuse what can be refused before anything is made; returns the budget."""
    if config.seed < 0:
        raise UserError(f"`seed` is {config.seed}, but must be 0 or larger")
    check_policy(config.incumbent)
    Limits(config.trial.seconds, config.trial.memory_mb)
    build.build_optimizer(config, build.build_space(config), build.build_ladder(config))
    return Budget.of(config.budget)


def _run(
    config: DictConfig, directory: RunDirectory, budget: Budget, clock: Clock, names: dict[str, str], console: Console
) -> dict[str, Any]:
    """Load, search, pack, summarise."""
    warm_up()  # the fork server loads torch while the task is loaded here
    task = build.build_task(config)
    for note in task.notes:
        console.print(note, highlight=False, soft_wrap=True)
    space, ladder = build.build_space(config), build.build_ladder(config)
    live = build.build_benchmark(config, task.info, space, ladder, directory.path)
    _write_header(directory, live)
    history = list(directory.history(space))
    live.set_up(task)
    planned = planned_epochs(build.build_optimizer(config, space, ladder), budget, ladder, continues=live.continue_trials)
    progress = Progress(clock, ladder, live.metric, config.incumbent, directory.path, continues=live.continue_trials, planned=planned)
    progress.replay(history)
    title = f"{names['optimizer']} on {names['task']} ({names['space']} space, seed {config.seed})"
    with ThreadPoolExecutor(1) as background, display(progress, title, console) as shown:
        baselines = background.submit(_baselines, task, clock)
        _loop(config, directory, live, Account(budget, live.continue_trials), clock, (progress, shown), history)
    pack(directory.path)
    summary = summarise(progress, task.info, {**names, "seed": config.seed}, baselines.result())
    directory.finish(summary)
    live.tear_down()
    print_report(summary, progress.results, live.metric, console, directory.path)
    return summary


def _write_header(directory: RunDirectory, live: LiveBenchmark) -> None:
    """Say what the curves are curves of, once: a run that goes on keeps its date."""
    if not (directory.path / HEADER).exists():
        provenance = provenance_now(licence="not stated")
        write_header(directory.path, task=live.task, space=live.space, objective=live.metric.on("val"), provenance=provenance)


def _loop(
    config: DictConfig,
    directory: RunDirectory,
    live: LiveBenchmark,
    account: Account,
    clock: Clock,
    observers: tuple[Observer, ...],
    history: list[Asked | Told],
) -> None:
    """Search until the budget ends; every ask and tell is recorded before anybody else hears of it."""
    sandbox = Sandbox(live, Limits(config.trial.seconds, config.trial.memory_mb), clock.deadline)
    executor = build.build_executor(config, sandbox)
    optimizer = build.build_optimizer(config, live.space, build.build_ladder(config))
    log = EventLog(directory.path, clock, live.horizon, len(directory.events))
    log.note("session", **provenance_now(licence="not stated"))
    try:
        Loop(optimizer, executor, account, clock, (log, *observers), in_order=not account.budget.by_clock).run(history)
    finally:
        sandbox.stop()
        executor.close()
        log.close()


def _baselines(task: Task, clock: Clock) -> list[dict[str, Any]]:
    """The honest references; the linear model in a sandbox, because on a large task it may not end in time."""
    limit = None if clock.limit is None else max(BASELINE_SHARE * clock.limit, 1.0)
    linear = run_in_child(linear_baseline, task, limits=Limits(limit), name="baseline", deadline=clock.deadline)
    found = [asdict(constant_baseline(task))]
    if isinstance(linear, Failure):
        return [*found, {"name": "linear model", "status": str(linear.status), "error": linear.error}]
    return [*found, asdict(linear)]


def show_plan(config: DictConfig, budget: Budget, console: Console) -> dict[str, Any]:
    """Print every bracket and rung with its exact cost, and run nothing."""
    ladder = build.build_ladder(config)
    continues = bool(config.benchmark.continue_trials)
    rungs = plan(build.build_optimizer(config, build.build_space(config), ladder), budget, ladder, continues=continues)
    console.print(plan_table(rungs, ladder, budget))
    return {"plan": [asdict(rung) for rung in rungs]}


def _report(config: DictConfig, directory: RunDirectory, console: Console) -> dict[str, Any]:
    """Print a finished run again from its record."""
    summary = directory.summary
    results = [event.result for event in directory.history(build.build_space(config)) if isinstance(event, Told)]
    print_report(summary, results, metric_named(summary["metric"]["name"]), console, directory.path)
    return summary


def _plain(config: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
