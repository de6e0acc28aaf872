"""Compare optimizers on recorded curves: every optimizer on every task with every seed, on as many processes as there are cores.

python -m experiments.compare tasks=vehicle,car optimizers=random,bohb seeds=0..29 [name=mine budget.epochs=6300 …]
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from experiments import build
from experiments.config import Budget, register
from experiments.cost import Account
from experiments.door import CONF, Door
from experiments.incumbent import check_policy
from experiments.loop import Loop
from experiments.overrides import LISTS, as_list, names, of_label, seeds
from experiments.recorded import SHIPPED, Recorded
from experiments.records import check_folder
from experiments.simulate import FULL_TRAININGS, fitting
from experiments.simulated import Timed
from experiments.study import Block, StudyDirectory, read_about
from experiments.trajectory import Columns, Trajectory
from lcbench.commands.progress import progress_bar
from lcbench.commands.words import duration
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.machine import cores
from lcbench.query import Query
from lcbench.space import sample
from optimizers.adapters.errors import PeerMissingError
from optimizers.rungs import Ladder

if TYPE_CHECKING:
    from omegaconf import DictConfig

PROBES = 50
"""Configurations that are asked to know how long a full training takes."""


@dataclass(frozen=True)
class Plan:
    """What a command asks for, in plain values that a process can be sent."""

    settings: dict[str, Any]
    """The composed configuration."""
    optimizers: dict[str, dict[str, Any]]
    """The nodes of every optimizer, its portfolio and its prior, by its label."""
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: Budget


# ------------------------------------------------------------------------------------------------------------ one run


@lru_cache(maxsize=8)
def _recorded(task: str, settings: str) -> tuple[Recorded, Ladder]:
    from omegaconf import OmegaConf

    config: Any = OmegaConf.create(settings)
    recorded = build.build_recorded(config, task)
    return recorded, fitting(build.build_ladder(config), recorded)


def run_once(config: DictConfig, recorded: Recorded, ladder: Ladder, budget: Budget) -> Columns:
    """One simulated run: what was told, with what had been spent by then (`trajectory.COLUMNS`)."""
    optimizer = Timed(build.build_optimizer(config, recorded.benchmark.space, ladder))
    workers = build.build_simulated(config, recorded, budget.seconds, optimizer)
    account = Account(budget, recorded.continues)
    trajectory = Trajectory(workers, account.spent, recorded.benchmark.metric, lambda: optimizer.seconds)
    Loop(optimizer, workers, account, workers, (trajectory,), in_order=False).run()
    return trajectory.columns()


def make(block: Block, node: dict[str, Any], settings: dict[str, Any], budget: Budget) -> dict[int, Columns]:
    """The runs of a block, {seed: columns}; called in a process of its own."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.create(settings)
    recorded, ladder = _recorded(block.task, OmegaConf.to_yaml(config))
    runs = {}
    for seed in block.seeds:
        run: Any = OmegaConf.create({**settings, **node, "seed": seed})
        runs[seed] = run_once(run, recorded, ladder, budget)
    return runs


# ----------------------------------------------------------------------------------------------------------- the study


def compare(plan: Plan, console: Console) -> StudyDirectory:
    """Make what is missing of a study, and its tidy table.

    Raises:
        UserError: if the study was made otherwise, or another process works in it.
    """
    settings = plan.settings
    policy = settings["incumbent"]
    with StudyDirectory(Path(settings["studies"]) / settings["name"]) as study:
        start = time.monotonic()
        plan = _without_the_absent(plan, console)
        ladder = _describe(study, plan)
        blocks = study.missing(plan.optimizers, plan.tasks, plan.seeds)
        n_runs = sum(len(block.seeds) for block in blocks)
        n_all = len(plan.optimizers) * len(plan.tasks) * len(plan.seeds)
        console.print(
            f"{len(plan.optimizers)} optimizers x {len(plan.tasks)} tasks x {len(plan.seeds)} seeds = {n_all} runs, "
            f"{n_all - n_runs} of them recorded; {_said(plan.budget)} each, incumbent: {policy}",
            highlight=False,
        )
        _make_all(study, blocks, plan, console)
        best_losses = {task: about["best_loss"] for task, about in study.about["tasks"].items()}
        with console.status("writing trajectories.parquet"):
            n_runs_in_all = study.write_trajectories(policy, ladder.max, best_losses)
        took = duration(time.monotonic() - start)
        console.print(
            f"{n_runs} runs made in {took}, {n_runs_in_all} in the study; to see them: python -m analysis {study.path}", highlight=False
        )
        return study


def _describe(study: StudyDirectory, plan: Plan) -> Ladder:
    from omegaconf import OmegaConf

    settings, tasks, metrics = plan.settings, {}, {}
    for task in plan.tasks:
        recorded, ladder = _recorded(task, OmegaConf.to_yaml(OmegaConf.create(settings)))
        build.build_simulated(OmegaConf.create(settings), recorded, None).close()
        metrics[task] = recorded.benchmark.metric
        tasks[task] = {"best_loss": recorded.best_loss, "full_training_seconds": _full_training(recorded, ladder), **recorded.about}
    metric, workers = metrics[plan.tasks[0]], settings["executor"]
    if other := next((task for task in plan.tasks if metrics[task] != metric), None):
        raise UserError(
            f"{plan.tasks[0]} was recorded for {metric.name} and {other} for {metrics[other].name}: compare their tasks in studies of "
            "their own, or choose a `metric` that both have"
        )
    fixed = {
        "name": settings["name"],
        "benchmark": settings["benchmark"]["name"],
        "database": tasks[plan.tasks[0]].get("database"),
        "view": tasks[plan.tasks[0]].get("view"),
        "metric": {"name": metric.name, "direction": metric.direction, "unit": metric.unit},
        "budget": asdict(plan.budget),
        "continue_trials": recorded.continues,
        "workers": workers["workers"],
        "counts_overhead": workers["counts_overhead"],
        "ladder": list(ladder.epochs),
        "eta": ladder.eta,
    }
    all_seeds = sorted({*study.about.get("seeds", []), *plan.seeds})
    labels = sorted({*study.about.get("optimizers", []), *plan.optimizers})
    now = provenance_now("")
    loose = {
        "incumbent": settings["incumbent"],
        "seeds": all_seeds,
        "optimizers": labels,
        "versions": now["versions"],
        "machine": now["host"],
    }
    study.describe(fixed, {"tasks": tasks, "settings": plan.optimizers}, loose)
    return ladder


def _without_the_absent(plan: Plan, console: Console) -> Plan:
    """Leave out the optimizers whose library is not installed, with the reason.

    Raises:
        UserError: if none is left, or one cannot be built.
    """
    from omegaconf import OmegaConf

    recorded, ladder = _recorded(plan.tasks[0], OmegaConf.to_yaml(OmegaConf.create(plan.settings)))
    present = {}
    for label, node in plan.optimizers.items():
        config: Any = OmegaConf.create({**plan.settings, **node, "seed": 0})
        try:
            optimizer = build.build_optimizer(config, recorded.benchmark.space, ladder, console.print)
            present[label] = node
        except PeerMissingError as error:
            console.print(f"{label} is left out: {error}", highlight=False)
            continue
        epochs = plan.budget.epochs
        if epochs is not None and epochs < ladder.max and epochs < (first := optimizer.ask().epoch):
            raise UserError(f"`budget.epochs` is {epochs}, but the first training of {label} takes {first}: give at least these")
    if not present:
        raise UserError("none of the optimizers is installed, so there is nothing to compare")
    return replace(plan, optimizers=present)


def _full_training(recorded: Recorded, ladder: Ladder) -> float:
    """Median seconds of a training to the last rung, of some random configurations."""
    rng, benchmark = np.random.default_rng(0), recorded.benchmark
    seconds = [benchmark.evaluate(Query(sample(benchmark.space, rng), ladder.max, i)).seconds for i in range(PROBES)]
    return float(np.median(seconds))


def _make_all(study: StudyDirectory, blocks: Sequence[Block], plan: Plan, console: Console) -> None:
    """Make blocks in processes, each with one thread, and write what comes."""
    if not blocks:
        return
    done, n_runs = 0, sum(len(block.seeds) for block in blocks)
    n = min(plan.settings["processes"] or cores(), len(blocks))
    pool = ProcessPoolExecutor(n, get_context("spawn"), initializer=_end_with_the_study)
    with _one_thread_each(), progress_bar(console) as show, pool:
        show(0, n_runs, "starting")
        left: dict[Future[dict[int, Columns]], Block] = {}
        waiting = iter(blocks)
        try:
            while True:
                while len(left) < n and (block := next(waiting, None)):
                    left[pool.submit(make, block, plan.optimizers[block.optimizer], plan.settings, plan.budget)] = block
                if not left:
                    break
                for future in wait(left, return_when=FIRST_COMPLETED).done:
                    block = left.pop(future)
                    study.write(block, future.result())
                    done += len(block.seeds)
                    show(done, n_runs, f"{block.optimizer} on {block.task}")
        except BrokenProcessPool:
            raise UserError(
                f"a process of the study was killed, perhaps for want of memory: processes={max(n - 1, 1)} takes less, and goes on"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(getattr(pool, "_processes", {}).values()):  # a block may take minutes, and is made again
                process.terminate()
            raise


def _end_with_the_study() -> None:
    """End this process when the one that hands out blocks has ended, however that was: nobody else would tell it."""

    def watch() -> None:
        if study := parent_process():
            study.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ------------------------------------------------------------------------------------------------------ the command line


def composed(words: Sequence[str]) -> Plan:
    """The plan that the words of a command line ask for.

    Raises:
        UserError, HydraException: if there is no such thing.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    register()
    words = [as_list(word) for word in words]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("compare", words)
        _check_parts(config)
        lists = {noun: config[noun] for noun in LISTS} | _of_the_study(config, {word.partition("=")[0] for word in words})
        shared = [word for word in words if re.match(r"(benchmark|fidelity|space|executor)=", word)]
        nodes: dict[str, Any] = {}
        for label in names(lists["optimizers"], "optimizers"):
            whole: Any = OmegaConf.to_container(compose("run", [*shared, *of_label(label)]), resolve=True)
            nodes[label] = {group: whole[group] for group in ("optimizer", "portfolio", "prior")}
    plain: Any = OmegaConf.to_container(config, resolve=True)
    del plain["optimizers"]
    ladder = build.build_ladder(config)
    budget = Budget.of(config.budget, Budget(epochs=FULL_TRAININGS * ladder.max))
    return Plan(plain, nodes, _tasks(config, lists["tasks"]), tuple(seeds(lists["seeds"])), budget)


def _of_the_study(config: DictConfig, given: Collection[str]) -> dict[str, Any]:
    """The lists that a study on disk has, where the command gives none: what it asks for is then that study, whole."""
    about = read_about(Path(config.studies) / config.name)
    return {noun: list(about[noun]) for noun in LISTS if about and noun not in given}


def _check_parts(config: DictConfig) -> None:
    check_policy(config.incumbent)
    check_folder("name", config.name)
    if config.processes is not None and config.processes < 1:
        raise UserError(f"`processes` is {config.processes}, but must be at least 1, or null for one per core")


def _tasks(config: DictConfig, given: Any) -> tuple[str, ...]:
    wanted = names(given, "tasks")
    database = Path(config.benchmark.database or SHIPPED)
    known = list(dict.fromkeys(name for name, _ in Database(database).names))
    if wanted == ["all"]:
        return tuple(known)
    for name in wanted:
        if name not in known:
            raise UserError(f"`tasks` has {name!r}, but {database.name} holds {', '.join(known)}")
    return tuple(wanted)


def _said(budget: Budget) -> str:
    limits = {"simulated seconds": budget.seconds, "trials": budget.trials, "epochs": budget.epochs}
    return ", ".join(f"{value:g} {unit}" for unit, value in limits.items() if value is not None)


class _one_thread_each:  # noqa: N801 (read as a phrase in a with statement)
    """Processes that are started inside have one BLAS thread: parallelism is over runs."""

    NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self.NAMES}
        os.environ.update(dict.fromkeys(self.NAMES, "1"))

    def __exit__(self, *exception: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main(words: Sequence[str], door: Door) -> Callable[[], None]:
    """What the door lets in."""

    def command() -> None:
        if any(word in ("-h", "--help") for word in words):
            print((__doc__ or "") + "\n" + (CONF / "compare.yaml").read_text())
            return
        plan = composed(words)
        door.job(lambda _, console: compare(plan, console), "compare")

    return command


if __name__ == "__main__":
    door = Door()
    door.enter(main(sys.argv[1:], door))
