"""Record learning curves by the thousand: every configuration on every task with every seed, one training per core, resumed at any time.

python -m experiments.collect tasks=vehicle,car configs=2000 [seeds=1,2 space=lcbench epochs=50 name=mine plan=true | status=true …]
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from experiments import build
from experiments.collection import FINE, FIXED, GROWS, CollectionDirectory, Wanted, read_about
from experiments.config import register
from experiments.door import CONF, Door
from experiments.executors import Workers
from experiments.outlook import plan_table, status_table
from experiments.overrides import names, seeds
from experiments.records import check_folder
from experiments.source import LONGEST_CHUNK, Source, source_of
from lcbench.commands.progress import progress_bar
from lcbench.errors import UserError
from lcbench.machine import cores
from lcbench.schema import PER_SEED
from pipeline.recorder import Chunk, Recorded, Recorder, Records, failed, what_is_missing
from pipeline.sandbox import STOPPED, Failure, Limits, Sandbox, warm_up
from pipeline.tasks import task_name

if TYPE_CHECKING:
    from omegaconf import DictConfig

SHARES = 4
"""A chunk is at most one of so many shares per worker of what is left, so that all workers end at about the same time."""
PATIENCE = 20
"""If so many trainings on a task have failed in one command and none has ended well, something is wrong with all of them."""
SHARED = ("space", "metric", "trial", "openml")
"""Keys that the runs of a collection have from it."""


def collect(config: DictConfig, tasks: dict[str, DictConfig], console: Console) -> None:
    """Record what is missing of a collection, then make its database anew.

    Raises:
        UserError: if the collection was begun otherwise, or another process works in it.
    """
    path = Path(config.collections).resolve() / config.name  # workers of a cluster may stand in another folder
    wanted = wanted_of(config)
    console.print(f"collection {path}", highlight=False, soft_wrap=True)
    _limit_workers(config, console)
    if config.status:  # also while another process records
        console.print(status_table(path, list(tasks), str(config.space.name), wanted, config.executor.get("workers", 1) or cores()))
        return
    with CollectionDirectory(path) as directory:
        directory.admit(_fixed(config, wanted))
        try:
            _train(config, tasks, directory, wanted, console)
        except (KeyboardInterrupt, UserError, OSError):  # what is recorded can be used, also of a collection that goes on another day
            if directory.begun and not config.plan:
                with suppress(UserError, OSError):
                    _pack(directory, console)
            raise
        if not config.plan:
            _pack(directory, console)


def _train(config: DictConfig, tasks: dict[str, DictConfig], directory: CollectionDirectory, wanted: Wanted, console: Console) -> None:
    """Train what is missing, or a little of it for a plan."""
    warm_up()
    memory = config.trial.memory_mb if config.device == "cpu" else None  # a graphics card takes addresses by the hundred gigabytes
    sandbox = Sandbox(None, Limits(config.trial.seconds, memory))
    _check_device(config, sandbox)
    sources: dict[str, Source] = {}
    executor = build.build_executor(config, Recorder(sandbox))
    try:
        for task, one in tasks.items():
            sources[task] = source_of(one, directory.path / task / str(config.space.name), config, wanted)
        if not (config.plan and directory.begun):  # a plan of more leaves what has begun as it is
            directory.describe(
                _fixed(config, wanted) | {"tasks": list(config.tasks), "configs": str(config.configs), "seeds": list(wanted.seeds)}
            )
        if config.plan:
            console.print(plan_table(sources, executor, wanted, console, retry=config.retry))
        else:
            _record_all(sources, executor, wanted, config, console)
    except BaseException:
        sandbox.stop()
        raise
    finally:
        executor.close()
        for source in sources.values():
            source.recording.close()
            source.live.tear_down()


def _limit_workers(config: DictConfig, console: Console) -> None:
    """As many trainings at a time as this machine can do side by side; what is recorded does not depend on it."""
    wanted, most = config.executor.get("workers", 1), cores()
    if _elsewhere(config):
        return
    if str(config.device).startswith("cuda") and wanted is None:
        config.executor.workers = 1  # hundreds of networks share a card, and two such processes would only share its memory
    elif isinstance(wanted, int) and wanted > most:
        config.executor.workers = most
        text = f"executor.workers is {wanted}, but every network takes a core and this process may use {most}: {most} at a time are faster"
        console.print(text, highlight=False, soft_wrap=True)


def _elsewhere(config: DictConfig) -> bool:
    """Whether other machines train."""
    return bool(config.get("cluster") or config.executor.get("address"))


def _pack(directory: CollectionDirectory, console: Console) -> None:
    with console.status("writing database.h5"):
        database = directory.pack()
    console.print(f"{database} is made; `python -m lcbench info {database}` shows it", highlight=False, soft_wrap=True)


def _check_device(config: DictConfig, sandbox: Sandbox) -> None:
    """Refuse a device that is not there, unless other machines train.

    Raises:
        UserError: if torch cannot use it.
    """
    if config.device == "cpu" or _elsewhere(config):
        return
    missing = sandbox.call(what_is_missing, str(config.device))
    if missing:
        reason = missing.error if isinstance(missing, Failure) else missing
        raise UserError(f"`device` is {config.device!r}, but {reason}: device=cpu trains on the processor")


def wanted_of(config: DictConfig) -> Wanted:
    """What the configuration asks for.

    Raises:
        UserError: if a number is out of range.
    """
    ends = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", str(config.configs))
    if not ends:
        raise UserError(f"`configs` is {config.configs!r}, but must be a number or from..to: configs=2000, configs=1000..1999")
    first, end = (int(ends[1]), int(ends[2]) + 1) if ends[2] else (0, int(ends[1]))
    if not first < end <= PER_SEED:
        raise UserError(f"`configs` is {config.configs!r}, but must name at least one of the configurations 0..{PER_SEED - 1}")
    if config.epochs < 1:
        raise UserError(f"`epochs` is {config.epochs}, but must be at least 1")
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", config.device):
        raise UserError(f"`device` is {config.device!r}, but must be cpu, a graphics card (cuda, cuda:1), or cpu:0 to try how one is used")
    if config.draw < 0:
        raise UserError(f"`draw` is {config.draw}, but must be 0 or larger")
    return Wanted(config.draw, (first, end), tuple(seeds(config.seeds)), config.epochs)


def _fixed(config: DictConfig, wanted: Wanted) -> dict[str, Any]:
    """What must not change once something is recorded."""
    from omegaconf import OmegaConf

    space = OmegaConf.to_container(config.space, resolve=True)
    return {"name": config.name, "space": space, "epochs": wanted.epochs, "draw": wanted.draw, "metric": config.metric}


def _record_all(sources: dict[str, Source], executor: Workers, wanted: Wanted, config: DictConfig, console: Console) -> None:
    """Keep every worker busy with the configurations that are furthest behind, and write what comes."""
    start = time.monotonic()
    n_all = sum(wanted.n_missing(source.recording, retry=config.retry) for source in sources.values())
    done, running, given, failures = 0, 0, 0, Counter[str]()
    with progress_bar(console) as show:
        show(0, n_all, "starting")
        while True:
            in_time = config.seconds is None or time.monotonic() - start < config.seconds
            while in_time and running < 2 * executor.slots:
                chunk = _next_chunk(sources, (n_all - given) // (SHARES * executor.slots))
                if chunk is None:
                    break
                executor.submit(chunk)
                running += 1
                given += len(chunk.queries)
            if not running:
                break
            recorded: Any = executor.next()
            running -= 1
            n_ended = _write(recorded, sources[recorded.chunk.live.directory.parent.name], failures)
            done, given = done + n_ended, given + n_ended - len(recorded.chunk.queries)
            show(done, max(n_all, done), f"{recorded.chunk.live.task.name}, configuration {recorded.chunk.queries[-1].trial % PER_SEED}")

    for reason, n in failures.most_common(3):
        console.print(f"{n} trainings ended with {reason}; retry=true makes them again", highlight=False, soft_wrap=True)


def _next_chunk(sources: dict[str, Source], most: int) -> Chunk | None:
    """Of the task that is furthest behind, so that a collection that stops holds the same configurations of all."""
    places = [(source.next_trial, number) for number, source in enumerate(sources.values()) if source.next_trial is not None]
    return list(sources.values())[min(places)[1]].chunk(min(max(most, 1), LONGEST_CHUNK)) if places else None


def _write(recorded: Recorded, source: Source, failures: Counter[str]) -> int:
    """Write what a child has done; returns how many trainings have ended. Of a child that died, every training is done again by itself."""
    for records in recorded.trainings:
        _append(records, source, failures)
    if recorded.failure is None:
        return len(recorded.trainings)
    queries = recorded.chunk.queries
    if len(queries) > 1:
        source.again(queries)
        return 0
    if recorded.failure.error == STOPPED:
        return 0
    source.room = Source.room
    _append(failed(queries[0], recorded.chunk.live.horizon(queries[0]), recorded.failure.status, recorded.failure.error), source, failures)
    return 1


def _append(records: Records, source: Source, failures: Counter[str]) -> None:
    """Write a training, and count what went wrong.

    Raises:
        UserError: if of many trainings on a task not one has ended well.
    """
    end = records[-1]
    again = end["trial"] in source.recording.ended  # what has failed before may do so for a reason of its own
    source.recording.append(records)
    source.endings[end["status"]] += end["status"] in FINE or not again
    if end["status"] in FINE:
        return
    reason = f"{end['status']}: {end['error'].strip().splitlines()[-1]}"
    failures[reason] += 1
    n = source.endings.total()
    if n >= PATIENCE and not FINE & source.endings.keys():
        raise UserError(
            f"all {n} trainings on {source.live.task.name!r} have failed, the last one with {reason}; when that is mended, "
            "retry=true makes them again"
        )


# ------------------------------------------------------------------------------------------------------ the command line


def composed(words: Sequence[str]) -> tuple[DictConfig, dict[str, DictConfig]]:
    """The configuration of the collection, and that of a run on each of its tasks.

    Raises:
        UserError, HydraException: if there is no such thing.
    """
    from hydra import compose, initialize_config_dir

    register()
    words = [_as_list(word) for word in words]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("collect", words)
        check_folder("name", config.name)
        about, given = read_about(Path(config.collections) / config.name), {word.partition("=")[0] for word in words}
        known = about | {"space": about["space"]["name"]} if about else {}
        config = compose("collect", [*words, *(f"{noun}={_said(known[noun])}" for noun in FIXED + GROWS if known and noun not in given)])
        if about and not any(name.partition(".")[0] == "space" for name in given):
            config.space = about["space"]  # with what was changed of it
        shared = [
            f"space={config.space.name}",
            "benchmark.continue_trials=false",
            "ensemble.size=0",
            "traditional=none",
            "portfolio=none",
            "cross_validation=null",
        ]
        runs = [compose("run", [*shared, *_of_task(name)]) for name in dict.fromkeys(names(config.tasks, "tasks"))]
    for run, name in product(runs, SHARED):
        run[name] = config[name]
    return config, _by_name(runs)


def _by_name(runs: Sequence[DictConfig]) -> dict[str, DictConfig]:
    """By the name of their task, which is that of its folder.

    Raises:
        UserError: if two are called the same.
    """
    found = {task_name(run.task): run for run in runs}
    called = Counter(task_name(run.task) for run in runs)
    if twice := [name for name, n in called.items() if n > 1]:
        raise UserError(f"`tasks` has two called {twice[0]!r}, but each is a folder of its own: give one another `name` in its YAML")
    return found


def _said(value: Any) -> str:
    return "null" if value is None else f"[{','.join(map(repr, value))}]" if isinstance(value, list) else str(value)


def _of_task(name: str) -> list[str]:
    return ["task=openml", f"task.id={name}"] if name.isdigit() else [f"task={name}"]


def _as_list(word: str) -> str:
    """Commas in the value of a list make a list, where Hydra would see a sweep; a bare ``--status`` is a switch."""
    word = {"--status": "status=true", "--plan": "plan=true"}.get(word, word)
    name, _, value = word.partition("=")
    if name not in ("tasks", "seeds") or value.startswith("["):
        return word
    return f"{name}=[{','.join(repr(part.strip()) for part in value.split(','))}]"


def main(words: Sequence[str], door: Door) -> Callable[[], None]:
    """What the door lets in."""

    def command() -> None:
        if any(word in ("-h", "--help") for word in words):
            print((__doc__ or "") + "\n" + (CONF / "collect.yaml").read_text())
            return
        config, tasks = composed(words)
        door.job(lambda _, console: collect(config, tasks, console), "collect")

    return command


if __name__ == "__main__":
    door = Door()
    door.enter(main(sys.argv[1:], door))
