"""The run directory as a value: which run it is, what happened in it so far, and whether it is finished.

<runs>/<benchmark>/<task>/<space>/<optimizer>/<seed>/
config.yaml       what was asked for; a differing configuration is refused
events.journal    every ask and tell in order, with the seconds of the run at which it happened
journals/         every epoch of every trial, one file per worker
table.json        what the curves are curves of
curves.h5         the journals, packed: a database with one table
traditional/      what there is to say of every traditional model
ensemble.csv      the ensemble over time, beside the best single model
members/          the models that it chooses from, with what they predict (pipeline/members.py)
preprocessors/    what their networks see a table through
checkpoints/      networks at their last rung, and prepared/, the arrays that they see, until the run is finished
predictor/        the model to keep (pipeline/predictor.py)
refitted/         the same, trained on more rows, where that was asked for
summary.json      the outcome
DONE              written last

A simulated run trains nothing, so it has no journals, table.json and curves.h5: its curves are in the database that it asked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from ConfigSpace import ConfigurationSpace

from experiments.config import Budget
from experiments.cost import Clock, Spent
from experiments.loop import Asked, Told
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.files import held, replacing
from lcbench.journal import Journal, read_journal
from lcbench.machine import cores
from lcbench.query import Origin, Query, Result, Status
from lcbench.recording import end_record, training_record, trainings_from_journals
from lcbench.rundir import journals, verify
from lcbench.space import checked_configuration, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

NOT_IDENTITY = ("runs", "cluster", "openml", "plan", "info", "extend", "debug")
"""Keys that say how or where a run is made, and not which run it is."""
EXTENDABLE = ("budget.seconds", "budget.trials", "budget.epochs")
"""Keys that may grow with extend=true."""


def identity(config: DictConfig, budget: Budget) -> dict[str, Any]:
    """The configuration with what stands behind its nulls: the budget, and the workers where they decide what is asked.

    Raises:
        UserError: if it is a cluster's choice how many they are.
    """
    from omegaconf import OmegaConf

    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    plain["budget"] = asdict(budget)
    plain["benchmark"].pop("verb")  # how the run is made
    if plain["executor"].get("address") and not (budget.by_clock or plain["executor"]["workers"]):
        raise UserError("`executor.workers` has no value, but without budget.seconds a run depends on it: say how many trainings at a time")
    for name in ("address", "cluster", "processes"):  # where a run is made
        plain["executor"].pop(name, None)
    if "workers" in plain["executor"]:
        plain["executor"]["workers"] = None if budget.by_clock else plain["executor"]["workers"] or cores()
    return plain


class RunDirectory:
    """One run on disk, locked for this process while it is open."""

    def __init__(self, path: Path, config: Mapping[str, Any], *, extend: bool = False) -> None:
        """Create the directory, or take up the one that is there.

        Raises:
            UserError: if another process works in it, its configuration differs, or a record in it is damaged.
        """
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = held(path, "wait for it, or choose another `seed` or `runs`")
        self._config, self._extends = {k: v for k, v in config.items() if k not in NOT_IDENTITY}, extend
        try:
            _check_config(path / "config.yaml", self._config, extend=extend)
            self._check_curves()
            self.events = self._read_events()
        except UserError:
            self.close()
            raise

    def begin(self) -> None:
        """From here on it is the run that was asked for: one that is extended is not finished any more."""
        _write(self.path / "config.yaml", yaml.safe_dump(self._config, sort_keys=False, allow_unicode=True))
        if self._extends:
            (self.path / "DONE").unlink(missing_ok=True)
        self._extends = False

    def close(self) -> None:
        """Let other processes in."""
        self._lock.close()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is not None and not (self.path / "events.journal").exists() and not journals(self.path):
            shutil.rmtree(self.path)  # the run failed before anything was recorded
        self.close()

    @property
    def finished(self) -> bool:
        """True once the run has ended and its summary is written, unless it is extended."""
        return not self._extends and (self.path / "DONE").exists()

    @property
    def summary(self) -> dict[str, Any]:
        """The outcome of a finished run.

        Raises:
            UserError: if it is damaged.
        """
        try:
            return json.loads((self.path / "summary.json").read_text())
        except (OSError, ValueError) as error:
            remedy = f"delete {self.path / 'DONE'} and give the same command: it is made anew from the record"
            raise UserError(f"{self.path / 'summary.json'} cannot be read ({error}); {remedy}") from None

    @property
    def seconds(self) -> float:
        """Seconds that earlier sessions of this run took."""
        recorded = max((event["at"] for event in self.events), default=0.0)
        written = [path.stat().st_mtime for path in (self.path / "events.journal", *journals(self.path)) if path.exists()]
        return recorded + (max(written) - written[0] if written else 0.0)  # epochs may have been recorded after the last event

    def cut(self, n_events: int) -> None:
        """Keep only the first events of the record: what comes after them is going to be another under a larger budget."""
        if n_events == len(self.events):
            return
        self.events = self.events[:n_events]
        with replacing(self.path / "events.journal") as temporary:
            shorter = Journal(temporary)
            for event in self.events:
                shorter.append(event)
            shorter.close()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the outcome and then, last, the mark that the run is finished."""
        _write(self.path / "summary.json", json.dumps(summary, indent=2, allow_nan=True) + "\n")
        _write(self.path / "DONE", "")

    def history(self, space: ConfigurationSpace, evaluate: Callable[[Query], Result] | None = None) -> Iterator[Asked | Told]:
        """Every recorded ask and tell in order, with the curves from the journals, or from `evaluate` where a look-up gives them.

        Raises:
            UserError: if a recorded configuration is not legal in `space`, or `evaluate` now says something else than it did.
        """
        curves = {(training.trial, training.horizon): training.curve for training in trainings_from_journals(journals(self.path))}
        queries: dict[tuple[int, int], Query] = {}
        for event in self.events:
            if event["kind"] == "ask":
                query = _query(event, space)
                queries[query.trial, query.epoch] = query
                yield Asked(query, event["admitted"])
            elif event["kind"] == "tell":
                query = queries[event["trial"], event["epoch"]]
                if evaluate is None:
                    yield Told(_result(event, query, curves.get((query.trial, event["horizon"]), LearningCurve.empty())))
                else:
                    yield Told(self.check_answer(event, evaluate(query)))

    def check_answer(self, event: Mapping[str, Any], result: Result) -> Result:
        """The answer of a look-up, if it is still that of the recorded `event`.

        Raises:
            UserError: if it is not.
        """
        now: dict[str, Any] = {"status": str(result.status), "loss": result.loss, **_last_entry(result.curve)}
        if any(event.get(name) != now.get(name) for name in ("status", "loss", "last_epoch", "curve_seconds")):
            raise UserError(
                f"the run in {self.path} was told {_words(event)} for trial {event['trial']} at epoch {event['epoch']}, but the same "
                f"question is answered now with {_words(now)}: the database is another; give the old one or another `seed` or `runs`"
            )
        return result

    def _read_events(self) -> list[dict[str, Any]]:
        path = self.path / "events.journal"
        if not path.exists():
            return []
        for journal in (path, *journals(self.path)):
            contents = read_journal(journal)
            if contents.damage:
                first = contents.damage[0]
                raise UserError(
                    f"{journal} is damaged at byte {first.offset} ({first.reason}); its other {len(contents.records)} records are readable "
                    f"and nothing was changed: `python -m lcbench repair {self.path}` keeps them and sets the damaged file aside"
                )
        events = read_journal(path).records
        if [event.get("n") for event in events] != list(range(len(events))):
            raise UserError(
                f"{path} has lost records in a repair, so this run cannot be continued; its curves are whole and readable "
                f"(python -m lcbench info {self.path}): start again with another `seed` or `runs`"
            )
        return events

    def _check_curves(self) -> None:
        problems = verify(self.path / "curves.h5") if (self.path / "curves.h5").exists() else []
        if problems:
            raise UserError(problems[0])


class EventLog:
    """Writes every ask and tell to the record, each with what the run had taken by then: seconds (``at``), and epochs on both axes."""

    def __init__(self, directory: Path, clock: Clock, spent: Spent, n_events: int = 0) -> None:
        self._clock = clock
        self._spent = spent
        self._n = n_events  # every event has a number, so that a lost one is noticed
        self._events = Journal(directory / "events.journal")

    def note(self, kind: str, **values: object) -> None:
        """Record something that is neither an ask nor a tell, with the time."""
        self._events.append({"n": self._n, "kind": kind, "at": self._clock.elapsed, **values})
        self._n += 1

    def asked(self, query: Query, *, admitted: bool) -> None:
        """Record an ask."""
        place = {"trial": query.trial, "epoch": query.epoch, "seed": query.seed, "bracket": query.bracket, "rung": query.rung}
        self.note("ask", **place, admitted=admitted, origin=str(query.origin), configuration=plain(query.configuration))

    def told(self, result: Result) -> None:
        """Record a tell."""
        query = result.query
        outcome = {"status": str(result.status), "error": result.error, "loss": result.loss, "seconds": result.seconds}
        axes = {"epochs_continued": self._spent.continued, "epochs_from_scratch": self._spent.from_scratch}
        place = {"trial": query.trial, "epoch": query.epoch, **self.place(query)}
        self.note("tell", **place, **outcome, **axes, **_last_entry(result.curve))

    def place(self, query: Query) -> dict[str, Any]:
        """What names the training besides its trial."""
        return {}

    def close(self) -> None:
        """Flush and close the record."""
        self._events.close()


class TrainingLog(EventLog):
    """The record of a run that trains: the end of every training goes to the curves too, before the tell."""

    def __init__(self, directory: Path, clock: Clock, spent: Spent, horizon: Callable[[Query], int], n_events: int = 0) -> None:
        super().__init__(directory, clock, spent, n_events)
        self._horizon = horizon
        (directory / "journals").mkdir(exist_ok=True)
        self._ends = Journal(directory / "journals" / "main.journal")

    def told(self, result: Result) -> None:
        """Record a tell, and that the training ended so."""
        query, place = result.query, {"trial": result.query.trial, **self.place(result.query)}
        if not result.ok:  # a child that died early has written nothing, but the trial is a row of the table all the same
            about: dict[str, Any] = {"seed": query.seed, "configuration": plain(query.configuration), "origin": str(query.origin)}
            self._ends.append(training_record(**place, **about))
        self._ends.append(end_record(**place, epoch=query.epoch, status=result.status, error=result.error))
        super().told(result)

    def place(self, query: Query) -> dict[str, Any]:
        """The annealing horizon names the training besides its trial."""
        return {"horizon": self._horizon(query)}

    def close(self) -> None:
        """Flush and close both files."""
        super().close()
        self._ends.close()


def run_path(runs: Path, names: Mapping[str, str], seed: int) -> Path:
    """Where a run lies: its choices in the order benchmark, task, space, optimizer, then the seed."""
    for noun, name in names.items():
        check_folder(f"{noun}.name", name)
    return runs.joinpath(*(names[noun] for noun in ("benchmark", "task", "space", "optimizer")), str(seed))


def check_folder(noun: str, name: str) -> None:
    """Do nothing if `name` can be the name of a folder.

    Raises:
        UserError: if it cannot.
    """
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise UserError(f"`{noun}` is {name!r}, but must be the name of a folder: not empty, no slashes, not ..")


def _check_config(path: Path, config: Mapping[str, Any], *, extend: bool) -> None:
    if path.exists() and (path.parent / "events.journal").exists():  # before that, nothing was recorded
        stored, wanted = _flat(stored_config(path)), _flat(config)
        differing = [name for name in sorted(stored.keys() | wanted.keys()) if stored.get(name) != wanted.get(name)]
        if extend:
            differing = [name for name in differing if not (name in EXTENDABLE and _larger(wanted.get(name), stored.get(name)))]
        if differing:
            changes = ", ".join(f"`{name}` was {stored.get(name)} and is now {wanted.get(name)}" for name in differing)
            hint = "extend=true goes on with it under a larger budget; " if set(differing) <= set(EXTENDABLE) else ""
            raise UserError(f"{path.parent} holds a run with another configuration: {changes}; {hint}to keep both, set another `runs`")


def _larger(wanted: float | None, stored: float | None) -> bool:
    return wanted is None or (stored is not None and wanted > stored)


def finished_runs(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The finished live runs under what `runs=` was, with their summaries.

    Raises:
        UserError: if there is none.
    """
    done = sorted(path.parent for path in folder.glob("live/**/DONE"))
    if not done:
        raise UserError(f"{folder} holds no finished run: give what `runs=` was")
    return [(path, json.loads((path / "summary.json").read_text(encoding="utf-8"))) for path in done]


def stored_config(path: Path) -> Mapping[str, Any]:
    """What a run was asked for, from its config.yaml.

    Raises:
        UserError: if the file is damaged.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        config = None
    if not isinstance(config, Mapping):
        raise UserError(
            f"{path} is damaged, so it cannot be known which run this is: choose another `seed` or `runs`; its curves are whole"
        )
    return config


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _query(event: Mapping[str, Any], space: ConfigurationSpace) -> Query:
    return Query(
        checked_configuration(event["configuration"], space),
        event["epoch"],
        event["trial"],
        event["seed"],
        Origin(event["origin"]),
        event["bracket"],
        event["rung"],
    )


def _last_entry(curve: LearningCurve) -> dict[str, Any]:
    """Where the curve of an answer ended, with the scores there: enough to report a run whose journals lost some bytes."""
    if not len(curve):
        return {"last_epoch": -1}
    scores = {name: value for name, value in curve.at(curve.last_epoch).items() if name.startswith(("val_", "test_"))}
    return {"last_epoch": curve.last_epoch, "curve_seconds": float(curve.seconds[-1]), "scores": scores}


def _words(answer: Mapping[str, Any]) -> str:
    return f"the loss {answer['loss']} after {answer.get('curve_seconds', 0.0)} s"


def _result(event: Mapping[str, Any], query: Query, recorded: LearningCurve) -> Result:
    curve = recorded.prefix(event["last_epoch"])
    if curve.last_epoch < event["last_epoch"]:  # entries of this curve were lost in a repair
        untrained: list[tuple[int, float, dict[str, float]]] = [(0, 0.0, {})] if event["last_epoch"] else []
        entries = [(int(epoch), float(curve.seconds[i]), curve.at(epoch)) for i, epoch in enumerate(curve.epochs)] or untrained
        last = (event["last_epoch"], max(event["curve_seconds"], *(seconds for _, seconds, _ in entries), 0.0), event["scores"])
        curve = LearningCurve.from_entries([*entries, last])
    elif len(curve):  # sessions that trained the same epochs again are one curve in the journals, with another time than was told
        curve = replace(curve, seconds=np.append(np.minimum(curve.seconds[:-1], event["curve_seconds"]), event["curve_seconds"]))
    return Result(query, curve, event["loss"], event["seconds"], Status(event["status"]), event["error"])
