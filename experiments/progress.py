"""What is known of a run at this moment: fed by the loop and by the journals of its workers, read by the display."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from experiments.cost import Clock, Spent
from experiments.incumbent import incumbent, judged
from experiments.loop import Asked, Told
from lcbench.journal import Tail
from lcbench.metric import Metric
from lcbench.query import Query, Result
from optimizers.rungs import Ladder


@dataclass
class Progress:
    """Counts, incumbent and failures; an observer of the loop."""

    clock: Clock
    ladder: Ladder
    metric: Metric
    policy: str
    directory: Path
    results: list[Result] = field(default_factory=list)
    open: dict[tuple[int, int], Query] = field(default_factory=dict)
    continues: bool = True
    """True if a trial continues from its last epoch, False if every rung trains it again."""
    planned: int | None = None
    """Epochs that the whole run is going to train, None if the clock decides."""
    epochs: int = 0
    """Epochs in the journals, those of running trials included."""
    spent: Spent = field(default_factory=Spent)
    """Epochs behind the results."""
    _judged: list[Result] = field(default_factory=list)
    _tails: dict[Path, Tail] = field(default_factory=dict)

    def asked(self, query: Query, *, admitted: bool) -> None:
        """Note a query that is going to be evaluated."""
        if admitted:
            self.open[query.trial, query.epoch] = query

    def told(self, result: Result) -> None:
        """Note a result."""
        self.open.pop((result.query.trial, result.query.epoch), None)
        self.results.append(result)
        self._judged.append(judged(result, self.policy, self.metric))
        self.spent.add(result)

    def replay(self, history: Iterable[Asked | Told]) -> None:
        """Take over what earlier sessions of the run found and left open."""
        for event in history:
            if isinstance(event, Asked):
                self.asked(event.query, admitted=event.admitted)
            else:
                self.told(event.result)

    @property
    def best(self) -> Result | None:
        """The incumbent."""
        return incumbent(self._judged, self.policy, self.ladder.max)

    @property
    def statuses(self) -> Counter[str]:
        """Number of results by status."""
        return Counter(str(result.status) for result in self.results)

    @property
    def failures(self) -> Counter[str]:
        """Number of failures by reason (last line of the error)."""
        return Counter(f"{result.status}: {result.reason}" for result in self.results if not result.ok)

    @property
    def epochs_trained(self) -> int:
        """Epochs behind the results: the highest of every trial, or the sum where every rung was trained again."""
        return self.spent.continued if self.continues else self.spent.from_scratch

    def occupation(self) -> list[tuple[int, int, int]]:
        """Per rung of the ladder: epochs, results, queries that wait or run."""
        done = Counter(result.query.epoch for result in self.results)
        running = Counter(query.epoch for query in list(self.open.values()))
        return [(epoch, done[epoch], running[epoch]) for epoch in self.ladder.epochs]

    def value(self, result: Result) -> float:
        """Validation value of the optimised metric, in its own direction and unit."""
        return self.metric.value(result.loss)

    def poll(self) -> None:
        """Count what the workers have written since the last look."""
        for path in (self.directory / "journals").glob("worker-*.journal"):
            tail = self._tails.setdefault(path, Tail(path))
            self.epochs += sum(record["kind"] == "epoch" for record in tail.poll())
