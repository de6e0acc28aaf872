"""The chosen ensemble trained again on more rows: ``python -m experiments.refit RUN``, or as the last step of a run (``refit=train``).

Members are trained side by side, each in a child of its own, the heaviest first. One that fails, or that the end of the run cuts, stays as
it was in the search, so there is an ensemble at any time. Where the search averaged the models of several folds, the refit averages those
of as many seeds, and in a run of some seconds of up to five as long as there is time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console

from experiments import build
from experiments.display import clock_text
from lcbench.errors import UserError, exit_code
from lcbench.files import held
from lcbench.machine import cores
from lcbench.metric import Metric
from pipeline.ensemble import combine, mean
from pipeline.members import Kept, read_kept
from pipeline.metrics import metric_for, scores
from pipeline.predictor import FOLDER, REFITTED, copy_member, describe, description, replacing_folder
from pipeline.preprocessing.raw import RawTable, SplitName
from pipeline.refitting import Refitted, refit
from pipeline.sandbox import Failure, Limits, run_in_child, warm_up

SEEDS = 5
"""Models of a member that are averaged in a run with time to spare, as where there are five folds."""
MARGIN = 1.5
"""A further part is begun only if so many times what the first took is left, for a child has to start as well."""
ROWS: dict[str, tuple[SplitName, ...]] = {"train": ("train", "val"), "all": ("train", "val", "test")}
"""What ``refit=`` can be: the rows that every member is trained on again."""


def check_rows(wish: str | None) -> None:
    """Do nothing if `refit` has a meaning.

    Raises:
        UserError: if it has none.
    """
    if wish is not None and wish not in ROWS:
        raise UserError(
            f"`refit` is {wish!r}, but must be train (the training and the validation rows), all (the test rows too), or null for no refit"
        )


class _NothingTrainedError(Exception):
    """No member could be trained again."""


class Refit:
    """Trains the members of one run's predictor again."""

    def __init__(
        self,
        directory: Path,
        raw: RawTable,
        wish: str,
        limits: Limits,
        *,
        workers: int,
        deadline: float = float("inf"),
        parts: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            directory: the run.
            raw: its table, split as in the search.
            wish: a key of `ROWS`.
            limits: of each member.
            workers: how many members train at the same time.
            deadline: `time.monotonic()` after which members stay as they are.
            parts: most parts of a member; None for as many as there were folds.
        """
        self.directory, self.raw, self.wish, self.limits = directory, raw, wish, limits
        self.workers, self.deadline, self.parts = workers, deadline, parts or raw.n_folds
        self._table = directory / f".{REFITTED}.table"

    @classmethod
    def of(cls, config: DictConfig, directory: Path, raw: RawTable, wish: str, deadline: float = float("inf")) -> Refit:
        """With the limits and the workers of a run's configuration."""
        workers = min(config.executor.get("workers", 1) or cores(), cores())  # of this machine, wherever the search was made
        parts = max(SEEDS, raw.n_folds) if deadline < float("inf") and config.ensemble.max_latency is None else None
        limits = Limits(config.trial.seconds, config.trial.memory_mb)
        return cls(directory, raw, wish, limits, workers=workers, deadline=deadline, parts=parts)

    def __call__(self, metric: Metric, console: Console) -> dict[str, Any]:
        """Write the folder ``refitted``, whose description says on which `rows`, and return what there is to say of it.

        Where every member stays as it was, nothing is written.

        Returns:
            ``{"rows", "seconds", "members": how many, "kept": {member: why it stayed as it was}, "scores": {"test_accuracy": …} or {}}``;
            there are no scores where there are no test rows, or where every member stayed as it was.
        """
        start = time.monotonic()
        about = description(self.directory / FOLDER)
        console.print(f"refit of {len(about['members'])} members on {self._words()}", highlight=False)
        try:
            self.raw.whole(*ROWS[self.wish]).save(self._table)
            with suppress(_NothingTrainedError), replacing_folder(self.directory / REFITTED) as folder:
                found = self._train(list(about["members"]), folder, console)
                tests = {name: [answer.test] for name, answer in found.items() if isinstance(answer, Refitted)}
                if not tests:
                    raise _NothingTrainedError  # what was refitted before stays
                seconds = {name: answer.seconds for name, answer in found.items() if isinstance(answer, Refitted)}
                stayed = {name: self._stored(name) for name in found if name not in tests}
                for kept in stayed.values():
                    copy_member(self.directory / FOLDER, kept, folder)
                self._add_parts(seconds, tests, folder, console)
                describe(folder, about | {"rows": self.wish})
        finally:
            shutil.rmtree(self._table, ignore_errors=True)
        reasons = {name: _reason(answer) for name, answer in found.items() if isinstance(answer, Failure)}
        test = [mean(tests[name]) if name in tests else stayed[name].test for name in found] if tests else []
        scores = self._scores(list(about["members"].values()), test, metric) if tests else {}
        told = {"rows": self.wish, "seconds": time.monotonic() - start, "members": len(found)}
        return {**told, "kept": reasons, "scores": scores}

    def _words(self) -> str:
        n = sum(len(self.raw.rows[split]) for split in ROWS[self.wish])
        return f"all {n} rows" if self.wish == "all" else f"the {n} rows that are not tested on"

    def _train(self, names: list[str], folder: Path, console: Console) -> dict[str, Refitted | Failure]:
        """Train every member, the heaviest first, and say so as they come."""
        found, start = {}, time.monotonic()
        for done, (name, answer) in enumerate(self._side_by_side(names, folder, 0), 1):
            found[name] = answer
            gone = time.monotonic() - start
            words = _reason(answer) if isinstance(answer, Failure) else f"{answer.seconds:.1f} s"
            left = f"about {clock_text(gone / done * (len(names) - done))} left"
            console.print(
                f"{clock_text(gone)} gone, {left}, {done} of {len(names)} members: {name} {words}", highlight=False, soft_wrap=True
            )
        return {name: found[name] for name in names}

    def _add_parts(self, seconds: dict[str, float], tests: dict[str, list[NDArray[Any]]], folder: Path, console: Console) -> None:
        """Train members with further seeds, round by round, as long as they would end in time; what fails or is cut is left out."""
        names, added = list(seconds), 0
        for repeat in range(1, self.parts):
            answers = dict(self._side_by_side(names, folder, repeat, seconds))
            names = [name for name in names if isinstance(answers[name], Refitted)]
            for name in names:
                tests[name].append(answers[name].test)
            added += len(names)
        if added:
            console.print(f"{added} more trainings with other seeds are averaged with these", highlight=False)

    def _side_by_side(
        self, names: list[str], folder: Path, repeat: int, seconds: dict[str, float] | None = None
    ) -> Iterator[tuple[str, Any]]:
        """Each member with its answer, as they come; None for one that would not end in time, or that no seed changes."""
        stop, stopper = multiprocessing.Pipe(duplex=False)
        with ThreadPoolExecutor(self.workers, "refit") as pool:
            futures = {pool.submit(self._one, name, folder, stop, repeat, (seconds or {}).get(name, 0.0)): name for name in names}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:  # also on Ctrl-C: nobody waits for what trains or was to be trained
                stopper.close()
                pool.shutdown(cancel_futures=True)
        stop.close()

    def _one(self, name: str, folder: Path, stop: Connection, repeat: int, seconds: float) -> Refitted | Failure | None:
        if repeat and time.monotonic() + MARGIN * seconds > self.deadline:
            return None
        work = (self.directory / FOLDER, name, self._table, self.raw.info, folder, repeat)
        return run_in_child(refit, *work, limits=self.limits, name=f"refit-{name}", deadline=self.deadline, stop=stop)

    def _stored(self, name: str) -> Kept:
        """A member as it was in the search."""
        kept = read_kept(self.directory, name)
        if kept is None:
            raise UserError(f"{self.directory} has lost what member {name!r} predicted: bring its folder `members` back")
        return kept

    def _scores(self, weights: list[float], test: list[NDArray[Any]], metric: Metric) -> dict[str, float]:  # (n_test, C) each
        """On the test rows, where there are some that nothing was trained on."""
        y = self.raw.target("test")
        if self.wish == "all" or not len(y):
            return {}
        return {f"test_{name}": value for name, value in scores(self.raw.info, y, combine(weights, test), metric).items()}


def _reason(failure: Failure) -> str:
    return failure.error.strip().splitlines()[-1]


def refit_run(path: Path, wish: str, console: Console) -> dict[str, Any]:
    """Refit the ensemble of a finished run on the rows of its own task.

    Raises:
        UserError: if the folder holds no such run, another process works in it, or its table has changed.
    """
    if not all((path / name).exists() for name in ("DONE", "config.yaml", f"{FOLDER}/predictor.json")):
        raise UserError(f"{path} holds no finished run that kept its models: name its directory, e.g. runs/live/adult/apt2021/bohb/0")
    with closing(held(path, "wait for it")):
        return _refit_run(path, wish, console)


def _refit_run(path: Path, wish: str, console: Console) -> dict[str, Any]:
    config = build.config_of(path)
    warm_up()
    _, raw = build.searched_table(path)
    return Refit.of(config, path, raw, wish)(metric_for(config.metric, raw.info), console)


def main(arguments: Sequence[str] | None = None) -> int:
    """Refit a run and return the exit code: 0 all is well, 2 it could not be done (one sentence on stderr says why)."""
    parser = argparse.ArgumentParser(prog="python -m experiments.refit", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="directory of a finished run; OpenML tasks are read from OPENML_CACHE_DIR")
    parser.add_argument("--rows", choices=list(ROWS), default="all", help="train: the test rows stay untouched; all (default): every row")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill is a Ctrl-C
    return exit_code(partial(report, options), "interrupted; the run is as it was, the same command begins again")


def report(options: argparse.Namespace) -> None:
    """Refit, and print what it is worth."""
    told = refit_run(options.run, options.rows, Console(markup=False))
    if len(told["kept"]) == told["members"]:
        reason = next(iter(told["kept"].values()))
        raise UserError(f"no member of {options.run} could be trained again, the model is that of the search ({reason})")
    for name, value in told["scores"].items():
        print(f"{name} {value:.4f}")
    print(f"the refitted model lies in {options.run / REFITTED}: python -m pipeline.predict {options.run} new.csv")


if __name__ == "__main__":
    sys.exit(main())
