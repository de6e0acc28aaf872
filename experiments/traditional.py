"""Traditional models beside the search: fitted one after another on one of its workers, each within a share of the run's time."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from experiments.cost import Clock
from experiments.executors import Workers
from experiments.report import REFERENCES
from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.query import AT_THE_END, Status
from lcbench.task import TaskInfo
from pipeline.constant import Constant
from pipeline.fitting import fit
from pipeline.sandbox import STOPPED, Failure, Limits, Sandbox, run_in_child
from pipeline.traditional.model import names

SHARE = 0.1
"""Of the run's seconds every model may take this share, so that the first one is there within the first tenth."""
GRACE_SECONDS = 5.0
"""A model ends itself at its deadline, which starts once its library is loaded; this much later, or half as late again, it is killed."""


def chosen(wish: Any, info: TaskInfo) -> tuple[str, ...]:
    """The models of a run, in the order in which they are fitted, the references first.

    Args:
        wish: ``all``, ``none``, or a list of names.
        info: the task.

    Raises:
        UserError: if a name is unknown.
    """
    listed = wished(wish, info)
    return (Constant.name, *(name for name in names(info) if name in listed or name in REFERENCES))


def wished(wish: Any, info: TaskInfo) -> tuple[str, ...]:
    """Those that can be members of the ensemble; the references that nobody has asked for are fitted for the report alone.

    Raises:
        UserError: if a name is unknown.
    """
    known = names(info)
    listed = known if wish == "all" else () if wish in ("none", None) else (wish,) if isinstance(wish, str) else tuple(wish)
    for name in listed:
        if name not in known:
            raise UserError(f"`traditional` names {name!r}, but must be all, none, or some of {', '.join(known)}")
    return listed


@dataclass
class Traditional:
    """The models of one run; what was fitted in an earlier session is not fitted again, unless it was killed and now has more time."""

    directory: Path
    """The run directory."""
    sandbox: Sandbox
    """Where a model is fitted; its benchmark names the task."""
    clock: Clock
    """The seconds of the run."""
    names: tuple[str, ...]
    """The models, in the order in which they are fitted."""
    seed: int
    """Seed of every model."""
    fitted: Callable[[str], None]
    """Told the name of every model that was fitted."""
    _left: deque[str] = field(default_factory=deque)
    _done: threading.Event = field(default_factory=threading.Event)

    def start(self, executor: Workers) -> None:
        """Fit one model after another: on one of several workers until all are done, on a single one in turns with the search."""
        records = {record["name"]: record for record in self.records}
        for name, record in records.items():
            if "error" not in record:
                self.fitted(name)
        self._left = deque(name for name in self.names if name not in records or self._has_more_time(records[name]))
        if self._left and self._left[0] == Constant.name:
            self._fit(self._left.popleft())  # takes no time, and is there from the start
        executor.run(lambda: self._work(executor))

    def _work(self, executor: Workers) -> None:
        """Fit the next model, and those after it where the search has other workers."""
        try:
            while self._left and not self.clock.over:
                self._fit(self._left.popleft())
                if executor.slots == 1:
                    break
        finally:
            if self._left and not self.clock.over:
                executor.run(lambda: self._work(executor))
            else:
                self._done.set()

    def _has_more_time(self, record: dict[str, Any]) -> bool:
        """Whether a model was killed for its time, and this run, which was extended, gives it more."""
        _, killed = self._allowed()
        return record.get("status") == Status.TIMEOUT and (killed is None or killed > record.get("killed_after", 0.0))

    def _allowed(self) -> tuple[float, float | None]:
        """Seconds after which the next model is to end itself, and after which it is killed; None for never."""
        if self.clock.limit is None:
            return float("inf"), self.sandbox.limits.seconds
        share = min(SHARE * self.clock.limit, self.clock.limit - self.clock.elapsed)
        return share, max(1.5 * share, share + GRACE_SECONDS)

    def _fit(self, name: str) -> None:
        record = self._record(name)
        if record is None:
            return
        with replacing(self._path(name)) as temporary:
            temporary.write_text(json.dumps(record) + "\n", encoding="utf-8")
        if "error" not in record:
            self.fitted(name)

    def _record(self, name: str) -> dict[str, Any] | None:
        """What there is to say of one model, None if the end of the run, or of this session, has cut it."""
        live = self.sandbox.benchmark
        share, killed = self._allowed()
        work = (self.directory, live.task, name, live.metric, share, self.seed)
        if name == Constant.name:
            return fit(*work, keep=live.keep)  # it only counts, and whatever limits trials have, there is one model at least
        answer = run_in_child(
            partial(fit, keep=live.keep),
            *work,
            limits=Limits(killed, self.sandbox.limits.memory_mb),
            name=f"traditional-{name}",
            deadline=self.sandbox.deadline,
            stop=self.sandbox.stop_signal,
        )
        if isinstance(answer, Failure):
            if answer.error == STOPPED:
                self._left.clear()  # the run was: another session fits them
            if self.clock.over or answer.error in (STOPPED, AT_THE_END):
                return None
            return {"name": name, "status": str(answer.status), "error": answer.error, "killed_after": killed}
        return answer

    def wait(self, executor: Workers) -> None:
        """Wait for the last model, or for the end of the run's time."""
        executor.settle()
        self._done.wait(None if self.clock.limit is None else max(self.clock.limit - self.clock.elapsed, 0.0))
        executor.settle()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was fitted so far, or failed, in the order of `names`."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in map(self._path, self.names) if path.exists()]

    def _path(self, name: str) -> Path:
        folder = self.directory / "traditional"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.json"
