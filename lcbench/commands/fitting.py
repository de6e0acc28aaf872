"""``fit-surrogate``: learn every recorded column of every task, measure how well, and store models and report in the database."""

from __future__ import annotations

import os
import time
import zlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from lcbench.commands.info import quality_overview, quality_page
from lcbench.commands.progress import progress_bar
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.files import turns
from lcbench.machine import cores
from lcbench.query import Status
from lcbench.rungs import RUNGS
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.space import encode, sample
from lcbench.store import FittedModel, names_of, write_curves
from lcbench.surrogate.models import FORMAT_VERSION
from lcbench.surrogate_benchmark import bounds_of, is_maximised
from lcbench.table import CurveTable
from lcbench.tabular import TabularBenchmark

HELP = "learn the recorded curves, so that any configuration can be asked for"
DESCRIPTION = """Fit a surrogate to every task of a database: one model per column, chosen by cross-validation over configurations among
several kinds; models and their quality report are stored in the database (`python -m lcbench info DB` prints it).
What is fitted already is kept unless its curves have changed, so an interrupted command goes on where it stood."""

FEWEST = 20
"""Trainings: of fewer none can be held out."""
N_RANDOM = 2000
"""Random configurations among which the reference of regret is sought."""


class Job(NamedTuple):
    """One column of one table to be learnt."""

    task: str
    space: str
    column: str
    X: NDArray[np.float64]  # (n, d)
    Y: NDArray[np.float64]  # (n, T)
    configurations: ConfigurationSpace
    seed: int
    fingerprint: int


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("database", type=Path, metavar="DB", help="a .h5 file; the models are added to it")
    parser.add_argument("--task", metavar="NAMES", help="only these tasks, e.g. vehicle,car")
    parser.add_argument("--columns", metavar="NAMES", help="only these columns (default: validation and test scores, and seconds)")
    parser.add_argument("--seed", type=int, default=0, help="of folds and models (default 0)")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    parser.add_argument("--again", action="store_true", help="fit also what is fitted already")


def run(options: Namespace, console: Console) -> int:
    """Fit, store after every task, and print the quality."""
    if options.workers is not None and options.workers < 1:
        raise UserError(f"`--workers` is {options.workers}, but must be 1 or more; leave it out for one per core")
    database = Database(options.database)
    tasks = {name.strip() for name in options.task.split(",")} if options.task else set(database.tasks)
    for name in tasks - set(database.tasks):
        database.table(name)  # refuses, with the nearest names
    kept = _sound(database, console)
    new: list[FittedModel] = []
    start = time.monotonic()
    for name in database.names:
        if name[0] not in tasks or not len(before := database.table(*name)):
            continue
        jobs = [job for job in _jobs(database, *name, options) if not _has_few(job, console)]
        if todo := [job for job in jobs if options.again or not _is_current(kept.get((*name, job.column)), job)]:
            new += (learnt := _learnt(todo, options.workers or cores(), console))
            kept |= {(*name, model.column): model for model in learnt}
            kept = _stored(options.database, before, {at: model for at, model in kept.items() if at[:2] == name})
    shown = [model for model in kept.values() if model.task in tasks]
    if not shown:
        raise UserError(f"{options.database} has not enough trainings to learn from, which are {FEWEST} on a task: nothing was fitted")
    one = len({(model.task, model.space) for model in shown}) == 1
    console.print(quality_page(shown, console.width) if one else quality_overview(shown))
    console.print(
        Text(f"{options.database}: {len(new)} models fitted in {time.monotonic() - start:.0f} s, {len(kept) - len(new)} kept"),
        soft_wrap=True,
    )
    return 0


def _has_few(job: Job, console: Console) -> bool:
    """Whether there are too few trainings to hold any out, which is said."""
    if few := len(job.X) < FEWEST:
        said = f"{job.column!r} on {job.task!r} is not fitted: it has {len(job.X)} trainings, and {FEWEST} are the least to be measured"
        console.print(Text(f"note: {said}"), soft_wrap=True)
    return few


def _learnt(jobs: list[Job], workers: int, console: Console) -> list[FittedModel]:
    models = []
    with progress_bar(console) as progress:
        for model in _fitted(jobs, workers):
            models.append(model)
            progress(len(models), len(jobs), f"{model.task}: {model.column}")
    return models


def _stored(path: Path, learnt_from: CurveTable, models: Mapping[tuple[str, str, str], FittedModel]) -> dict[Any, FittedModel]:
    """Write all models of a table into the database, to which other commands may have added something meanwhile; all that it has then.

    Raises:
        UserError: if the table is not the one any more that was learnt from.
    """
    with turns(path):
        database, name = Database(path), names_of(learnt_from)
        now = database.table(*name) if name in database.names else None
        same = ("key", "seed", "horizon", "length", "status")
        if now is None or not all(np.array_equal(learnt_from.columns[column], now.columns[column]) for column in same):
            raise UserError(f"the table of {name[0]!r} was changed while it was learnt; the same command learns it anew")
        kept = _sound(database, Console(quiet=True)) | dict(models)
        write_curves(path, (database.checked(*one) for one in database.names), layout=database.layout, models=kept.values())
    return kept


def _sound(database: Database, console: Console) -> dict[tuple[str, str, str], FittedModel]:
    """Models that can be read; the others are named on the console, and are as if they had never been fitted."""
    found: dict[tuple[str, str, str], FittedModel] = {}
    for (task, space), columns in database.models.items():
        for column in columns:
            try:
                found[task, space, column] = database.model(task, space, column)
            except UserError as error:
                note = f"note: the surrogate of {column!r} on {task!r} is damaged and does not count ({error})"
                console.print(Text(note), soft_wrap=True)
    return found


def _jobs(database: Database, task: str, space: str, options: Namespace) -> Iterator[Job]:
    table = database.checked(task, space)
    benchmark = TabularBenchmark(table, view="raw")
    for column in [name.strip() for name in options.columns.split(",")] if options.columns else _default_columns(table.metrics):
        # What is unfinished, or was stopped at a lower rung, says nothing about how its configuration ends; what diverged does.
        status, length = (table.columns[name][benchmark.rows] for name in ("status", "length"))
        ended = (status != STATUSES.index(UNFINISHED)) & ((status != STATUSES.index(Status.SUCCESS)) | (length > benchmark.epochs))  # (n,)
        X, Y = benchmark.encoded[ended], benchmark.column(column).matrix()[ended].astype(np.float64)
        # What was not measured is no failure; neither is the time known of a trial that crashed before its first entry.
        known = np.isfinite(Y).any(axis=1) | ((column != "seconds") & (status[ended] != STATUSES.index(Status.SUCCESS)))
        X, Y = X[known], Y[known]
        fingerprint = zlib.crc32(Y.tobytes(), zlib.crc32(X.tobytes()))
        yield Job(task, space, column, X, Y, table.space, options.seed, fingerprint)


def _default_columns(metrics: tuple[str, ...]) -> list[str]:
    scores = [name for name in metrics if name.startswith(("val_", "test_"))]
    without_loss = [name for name in scores if not name.endswith("_loss")]
    return [*(without_loss or scores), "seconds"]  # the weighted loss only where there is nothing else


def _is_current(model: FittedModel | None, job: Job) -> bool:
    if model is None or model.about.get("format") != FORMAT_VERSION:
        return False
    return model.about.get("fingerprint") == job.fingerprint and model.about["report"]["seed"] == job.seed


def _fitted(jobs: list[Job], workers: int) -> Iterator[FittedModel]:
    """Fit in processes of one thread each; models come as they are ready."""
    if not jobs:
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read by the children when they load numpy: parallelism is over columns
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool:
        futures: list[Future[FittedModel]] = [pool.submit(fit, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()


def fit(job: Job) -> FittedModel:
    """Learn one column.

    Raises:
        UserError: if it cannot be learnt.
    """
    from lcbench.surrogate.fitting import fit_surrogate

    last = job.Y.shape[1] - 1
    rungs = [epoch for epoch in RUNGS if epoch < last] + [last]
    increasing = job.column == "seconds"
    try:
        bounds, maximise = bounds_of(job.column), is_maximised(job.column)
        model = fit_surrogate(job.X, job.Y, bounds=bounds, maximise=maximise, increasing=increasing, rungs=rungs, seed=job.seed)
    except ValueError as error:
        raise UserError(f"{job.column!r} on {job.task!r} cannot be learnt: {error}") from None
    arrays, about = model.to_arrays()
    best = {} if increasing else {"best": _best(model, job)}
    extra = {"fingerprint": job.fingerprint, "n": len(job.X), **best}
    return FittedModel(job.task, job.space, job.column, arrays, {**about, **extra})


def _best(model: Any, job: Job) -> float:
    """The best predicted value at any epoch after the first, among the recorded and many random configurations."""
    rng = np.random.default_rng(job.seed)
    random = encode([sample(job.configurations, rng) for _ in range(N_RANDOM)], job.configurations)
    predicted = model.predict(np.concatenate([job.X, random]))[:, 1:]
    return float(predicted.max() if is_maximised(job.column) else predicted.min())
