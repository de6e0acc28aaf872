"""The main job: search on one task, record everything, report an honest score."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from experiments import build
from experiments.config import Budget, check_seed
from experiments.cost import Account, WallClock
from experiments.display import display
from experiments.incumbent import check_policy
from experiments.loop import Asked, Loop, Observer, Told
from experiments.plan import planned_epochs, show_plan
from experiments.progress import Progress
from experiments.records import RunDirectory, TrainingLog, identity, run_path
from experiments.report import print_report, summarise
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.metric import metric_named
from lcbench.rundir import HEADER, pack, read_header, read_run, write_header
from pipeline.baselines import constant_baseline, linear_baseline
from pipeline.live import LiveBenchmark
from pipeline.sandbox import Failure, Limits, Sandbox, run_in_child, warm_up
from pipeline.tasks import Task, task_name

BASELINE_SHARE, BASELINE_SECONDS = 0.1, 60.0
"""The linear baseline may take this share of the run's seconds, or so many where no clock decides."""
REPORT_SECONDS = 2.0
"""Of a run's seconds this many, and at most a twentieth, are kept for packing and reporting."""


def search(config: DictConfig, console: Console, start: float) -> dict[str, Any]:
    """Make, continue or report the run that `config` names; returns its summary.

    Args:
        config: the composed configuration.
        console: where to print.
        start: `time.monotonic()` from which the budget in seconds counts.
    """
    budget = check(config)
    if config.plan:
        live, ladder = config.benchmark, build.build_ladder(config)
        account = Account(budget, bool(live.continue_trials), extra_epochs=int(live.published_defects))
        optimizer = build.build_optimizer(config, build.build_space(config), ladder)
        return show_plan(f"plan of {config.optimizer.name} on {task_name(config.task)}", optimizer, account, ladder, console)
    names = {
        "benchmark": config.benchmark.name,
        "task": task_name(config.task),
        "space": config.space.name,
        "optimizer": config.optimizer.name,
    }
    path = run_path(Path(config.runs), names, config.seed)
    with RunDirectory(path, identity(config, budget), extend=config.extend) as directory:
        if directory.finished:
            console.print(f"this run is finished; delete {path} to make it again", highlight=False, soft_wrap=True)
            return _report(config, directory, console)
        limit = None if budget.seconds is None else budget.seconds - min(REPORT_SECONDS, budget.seconds / 20)
        return _run(config, directory, budget, WallClock(limit, directory.seconds, start), names, console)


def check(config: DictConfig) -> Budget:
    """Refuse what can be refused before anything is made; returns the budget."""
    check_seed(config.seed)
    check_policy(config.incumbent)
    Limits(config.trial.seconds, config.trial.memory_mb)
    build.build_optimizer(config, build.build_space(config), build.build_ladder(config))
    return Budget.of(config.budget)


def _run(
    config: DictConfig, directory: RunDirectory, budget: Budget, clock: WallClock, names: dict[str, str], console: Console
) -> dict[str, Any]:
    """Load, search, pack, summarise."""
    warm_up()  # the fork server loads torch while the task is loaded here
    task = build.build_task(config)
    for note in task.notes:
        console.print(note, highlight=False, soft_wrap=True)
    if config.benchmark.published_defects:
        console.print("published_defects=true: test_cross_entropy is LCBench's double softmax, not comparable with the baselines'")
    space, ladder = build.build_space(config), build.build_ladder(config)
    live = build.build_benchmark(config, task.info, space, ladder, directory.path)
    _name_table(directory.path, live, live.set_up(task))
    history = list(directory.history(space))
    planned = planned_epochs(build.build_optimizer(config, space, ladder, console.print), _account(live, budget), ladder)
    progress = Progress(clock, ladder, live.metric, config.incumbent, directory.path, continues=live.continue_trials, planned=planned)
    progress.replay(history)
    title = f"{names['optimizer']} on {names['task']} ({names['space']} space, seed {config.seed})"
    sandbox = Sandbox(live, Limits(config.trial.seconds, config.trial.memory_mb), clock.deadline)
    with ThreadPoolExecutor(1) as background, display(progress, title, console) as shown:
        baselines = background.submit(_baselines, task, directory, sandbox, clock)
        _loop(config, directory, sandbox, _account(live, budget), clock, (progress, shown), history)
    pack(directory.path)
    summary = summarise(progress, read_run(directory.path), {**names, "seed": config.seed}, baselines.result())
    directory.finish(summary)
    live.tear_down()
    print_report(summary, progress.results, live.metric, console, directory.path)
    return summary


def _account(live: LiveBenchmark, budget: Budget) -> Account:
    return Account(budget, live.continue_trials, live.extra_epochs)


def _name_table(directory: Path, live: LiveBenchmark, checksum: int) -> None:
    """Say what the curves are curves of, once; refuse to go on with a table that has changed since.

    Raises:
        UserError: if the run was begun on other rows, columns or splits.
    """
    if not (directory / HEADER).exists():
        provenance = provenance_now(licence="not stated") | {"table_crc32": checksum}
        write_header(directory, task=live.task, space=live.space, objective=live.metric.on("val"), provenance=provenance)
    header = read_header(directory)
    if header.task != live.task or header.provenance.get("table_crc32") != checksum:
        raise UserError(
            f"the table of task {live.task.name!r} has changed since the run in {directory} began: choose another `seed` or `runs`"
        )


def _loop(
    config: DictConfig,
    directory: RunDirectory,
    sandbox: Sandbox,
    account: Account,
    clock: WallClock,
    observers: tuple[Observer, ...],
    history: list[Asked | Told],
) -> None:
    """Search until the budget ends; the record hears of every ask and tell before the display does."""
    executor = build.build_executor(config, sandbox)
    optimizer = build.build_optimizer(config, sandbox.space, build.build_ladder(config))
    log = TrainingLog(directory.path, clock, account.spent, sandbox.benchmark.horizon, len(directory.events))
    log.note("session", **provenance_now(licence="not stated"))
    try:
        Loop(optimizer, executor, account, clock, (log, *observers), in_order=not account.budget.by_clock).run(history)
    except BaseException:  # also Ctrl-C: nobody waits for what runs
        sandbox.stop()
        raise
    finally:
        log.note("end")
        log.close()
        executor.close()


def _baselines(task: Task, directory: RunDirectory, sandbox: Sandbox, clock: WallClock) -> list[dict[str, Any]]:
    """The honest references, once per run; the linear model in a child, because on a large task it may not end in time."""
    if directory.baselines:
        return directory.baselines
    limits = Limits(BASELINE_SECONDS if clock.limit is None else max(BASELINE_SHARE * clock.limit, 1.0), sandbox.limits.memory_mb)
    linear = run_in_child(linear_baseline, task, limits=limits, name="baseline", stop=sandbox.stop_signal)
    found = [asdict(constant_baseline(task))]
    if isinstance(linear, Failure):
        return [*found, {"name": "linear model", "status": str(linear.status), "error": linear.error}]
    directory.keep_baselines([*found, asdict(linear)])
    return [*found, asdict(linear)]


def _report(config: DictConfig, directory: RunDirectory, console: Console) -> dict[str, Any]:
    """Print a finished run again from its record."""
    summary = directory.summary
    results = [event.result for event in directory.history(build.build_space(config)) if isinstance(event, Told)]
    print_report(summary, results, metric_named(summary["metric"]["name"]), console, directory.path)
    return summary
