"""The main job: search on one task, record everything, keep a model, report an honest score."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from experiments import build
from experiments.config import Budget, check_folds, check_seed
from experiments.cost import Account, WallClock
from experiments.display import display
from experiments.ensembling import Ensembling
from experiments.incumbent import check_policy
from experiments.information import show_information
from experiments.loop import Asked, Loop, Observer, Told
from experiments.plan import planned_epochs, show_plan
from experiments.progress import Progress
from experiments.records import RunDirectory, TrainingLog, identity, run_path
from experiments.refit import Refit, check_rows
from experiments.report import print_report, summarise
from experiments.traditional import Traditional, chosen, wished
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.rundir import pack, read_header, read_run, write_header
from lcbench.task import TaskInfo, is_same_task
from optimizers.optimizer import Optimizer
from pipeline.constant import Constant
from pipeline.ensemble import check_options
from pipeline.live import LiveBenchmark
from pipeline.metrics import metric_for
from pipeline.preprocessing.raw import RawTable
from pipeline.sandbox import Limits, Sandbox, is_compiled, warm_up
from pipeline.tasks import Task, task_name

REPORT_SHARE, REPORT_SECONDS = 0.05, 5.0
"""Of a run's seconds this share, and at most so many, are kept for the last ensemble, packing and reporting."""
REFIT_SHARE = 0.2
"""Of a run's seconds this share is kept to refit the ensemble, where that is asked for."""
ANY_TASKS = (
    TaskInfo("any", "classification", None, 0, "none", 1, 1, 1, 1, 2),
    TaskInfo("any", "regression", None, 0, "none", 1, 1, 1, 1, 0),
)
"""Stand for the task before one is loaded: what is legal for neither is refused at once."""


def search(config: DictConfig, console: Console, start: float) -> dict[str, Any]:
    """Make, continue or report the run that `config` names; returns its summary.

    Args:
        config: the composed configuration.
        console: where to print.
        start: `time.monotonic()` from which the budget in seconds counts.
    """
    budget = check(config)
    if config.info is not None:
        searched = build.build_space(config, build.build_task(config).info)
        return show_information(config.info, searched.space, searched.task.name, console, searched.fixed)
    if config.plan:
        live, ladder = config.benchmark, build.build_ladder(config)
        account = partial(Account, budget, bool(live.continue_trials), extra_epochs=int(live.published_defects))
        title = f"plan of {config.optimizer.name} on {task_name(config.task)}"
        return show_plan(title, partial(_optimizer_of_any, config), account, ladder, console)
    names = {
        "benchmark": config.benchmark.name,
        "task": task_name(config.task),
        "space": config.space.name,
        "optimizer": config.optimizer.name,
    }
    path = run_path(Path(config.runs).resolve(), names, config.seed)  # workers of a cluster may stand in another folder
    with RunDirectory(path, identity(config, budget), extend=config.extend) as directory:
        if directory.finished:
            console.print(f"this run is finished; delete {path} to make it again", highlight=False, soft_wrap=True)
            return _report(directory, console)
        clock = WallClock(_limit(budget, config.refit), directory.seconds, start)
        if not is_compiled():
            console.print("the training is compiled for this machine first, which takes a quarter or half of a minute, once")
        warm_up()  # the fork server loads torch while the task is loaded here
        return _run(config, directory, build.build_task(config), (budget, clock), names, console)


def _limit(budget: Budget, refit: str | None) -> float | None:
    """Seconds that the search may take: what is left of the budget for the refit and the report is theirs."""
    if budget.seconds is None:
        return None
    return budget.seconds - _reserve(budget) - (REFIT_SHARE * budget.seconds if refit else 0.0)


def _reserve(budget: Budget) -> float:
    """Seconds for the last ensemble, packing and reporting."""
    return min(REPORT_SECONDS, REPORT_SHARE * (budget.seconds or 0.0))


def check(config: DictConfig) -> Budget:
    """Refuse what can be refused before anything is made; returns the budget."""
    check_seed(config.seed)
    check_folds(config.cross_validation)
    check_policy(config.incumbent)
    Limits(config.trial.seconds, config.trial.memory_mb)
    chosen(config.traditional, ANY_TASKS[0])
    check_options(**ensemble_options(config))
    check_rows(config.refit)
    if config.refit and not config.ensemble.size:
        raise UserError(f"`refit` is {config.refit!r}, but with ensemble.size=0 no model is kept: set one of the two")
    _optimizer_of_any(config)
    return Budget.of(config.budget)


def _optimizer_of_any(config: DictConfig) -> Optimizer:
    """The optimizer with the space, the portfolio and the beliefs for the first kind of task that they are legal for."""
    refusals = []
    for info in ANY_TASKS:
        try:
            return build.build_optimizer(config, build.build_space(config, info).space, build.build_ladder(config))
        except UserError as error:
            refusals.append(str(error))
    raise UserError("; on a regression: ".join(dict.fromkeys(refusals)))


def ensemble_options(config: DictConfig) -> dict[str, Any]:
    """The options of the ensemble; a size of 0 stands for none."""
    return {"size": config.ensemble.size, "n_best": config.ensemble.n_best, "max_latency": config.ensemble.max_latency}


def _run(
    config: DictConfig,
    directory: RunDirectory,
    task: Task,
    limits: tuple[Budget, WallClock],
    names: dict[str, str],
    console: Console,
) -> dict[str, Any]:
    """Search, choose the ensemble, pack, summarise."""
    budget, clock = limits
    for note in task.notes:
        console.print(note, highlight=False, soft_wrap=True)
    if config.benchmark.published_defects:
        console.print("published_defects=true: test_cross_entropy is LCBench's double softmax, not comparable with other models'")
    ladder = build.build_ladder(config)
    live = build.build_benchmark(config, task, ladder, directory.path)
    _name_table(directory, live, live.set_up(task))
    history = list(directory.history(live.space))
    planned = planned_epochs(build.build_optimizer(config, live.space, ladder, console.print), _account(live, budget), ladder)
    progress = Progress(clock, ladder, live.metric, config.incumbent, directory.path, continues=live.continue_trials, planned=planned)
    progress.replay(history)
    ensembling = Ensembling(live, clock, ensemble_options(config), config.seed) if live.keep else None
    if ensembling:
        ensembling.replay(history)
    title = f"{names['optimizer']} on {names['task']} ({names['space']} space, seed {config.seed})"
    sandbox = Sandbox(live, Limits(config.trial.seconds, config.trial.memory_mb), clock.deadline)
    wish = config.traditional if ensembling else "none"
    members = {Constant.name, *wished(wish, task.info)}

    def fitted(name: str) -> None:
        if ensembling and name in members:
            ensembling.add(name)

    traditional = Traditional(directory.path, sandbox, clock, chosen(wish, task.info), config.seed, fitted)
    with display(progress, title, console) as shown:
        observers = (progress, *((ensembling,) if ensembling else ()), shown)
        _loop(config, directory, traditional, _account(live, budget), observers, history)
    pack(directory.path)
    told = ensembling.finish(clock.deadline + _reserve(budget) / 2) if ensembling else None
    if told and config.refit:
        raw, deadline = RawTable.load(live.prepared / "raw", live.task), clock.deadline + REFIT_SHARE * (budget.seconds or 0.0)
        told["refit"] = Refit.of(config, directory.path, raw, config.refit, deadline)(live.metric, console)
    summary = summarise(progress, read_run(directory.path), {**names, "seed": config.seed}, traditional.records, told)
    live.tear_down()
    directory.finish(summary)
    print_report(summary, progress.results, live.metric, console, directory.path)
    return summary


def _account(live: LiveBenchmark, budget: Budget) -> Account:
    return Account(budget, live.continue_trials, live.extra_epochs)


def _name_table(directory: RunDirectory, live: LiveBenchmark, checksum: int) -> None:
    """Say what the curves are curves of, until there are some; then refuse to go on with a table that has changed since.

    Raises:
        UserError: if the run was begun on other rows, columns or splits.
    """
    if not directory.events:
        provenance = provenance_now(licence="not stated") | {"table_crc32": checksum} | live.stated
        write_header(directory.path, task=live.task, space=live.space, objective=live.metric.on("val"), provenance=provenance)
    header = read_header(directory.path)
    if not is_same_task(header.task, live.task) or header.provenance.get("table_crc32") != checksum:
        raise UserError(
            f"the table of task {live.task.name!r} has changed since the run in {directory.path} began: choose another `seed` or `runs`"
        )


def _loop(
    config: DictConfig,
    directory: RunDirectory,
    traditional: Traditional,
    account: Account,
    observers: tuple[Observer, ...],
    history: list[Asked | Told],
) -> None:
    """Search until the budget ends; the record hears of every ask and tell before the display does."""
    sandbox, clock = traditional.sandbox, traditional.clock
    executor = build.build_executor(config, sandbox)
    optimizer = build.build_optimizer(config, sandbox.space, build.build_ladder(config))
    log = TrainingLog(directory.path, clock, account.spent, sandbox.benchmark.horizon, len(directory.events))
    with closing(executor), closing(log):
        loop = Loop(optimizer, executor, account, clock, (log, *observers), in_order=not account.budget.by_clock)
        loop.replay(history)
        directory.begin()
        log.note("session", **provenance_now(licence="not stated"))
        try:
            traditional.start(executor)
            loop.run()
            traditional.wait(executor)
        except BaseException:  # also Ctrl-C: nobody waits for what runs
            sandbox.stop()
            raise
        finally:
            log.note("end")


def _report(directory: RunDirectory, console: Console) -> dict[str, Any]:
    """Print a finished run again from its record."""
    summary, header = directory.summary, read_header(directory.path)
    results = [event.result for event in directory.history(header.space) if isinstance(event, Told)]
    print_report(summary, results, metric_for(summary["metric"]["name"], header.task), console, directory.path)
    return summary
