"""Measure the inner loops of the harness: journal appends per second, and milliseconds per model-based ask of BOHB.

python -m tests.perf.speed; medians of several repeats in this process, one thread.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from lcbench.journal import Journal
from lcbench.query import Origin
from lcbench.recording import epoch_record
from lcbench.space import lcbench_space
from optimizers.bohb import BOHB
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark


def journal_rate(n: int = 5000) -> float:
    """Records of an epoch (62 values) per second."""
    record = epoch_record(trial=0, horizon=50, epoch=1, seconds=1.5, values={f"gradient_mean_layer_{i}": 0.1 / (i + 1) for i in range(62)})
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "speed.journal") as journal:
        start = time.perf_counter()
        for _ in range(n):
            journal.append(record)
        return n / (time.perf_counter() - start)


def ask_milliseconds(n: int, repeats: int = 100) -> float:
    """Median of a model-based ask after n results at one epoch, the refit that each new result causes included."""
    optimizer, benchmark, times = BOHB(lcbench_space(), ladder(50, 50, 2), np.random.default_rng(0)), FakeBenchmark(), []
    for i in range(n + repeats):
        start = time.perf_counter()
        query = optimizer.ask()
        seconds = time.perf_counter() - start
        if i >= n and query.origin is Origin.MODEL:
            times.append(seconds)
        optimizer.tell(benchmark.evaluate(query))
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    print(f"journal: {statistics.median(journal_rate() for _ in range(5)):,.0f} epoch records per second")
    for n in (50, 200, 1000):
        print(f"BOHB: {ask_milliseconds(n):.2f} ms per model-based ask at {n} observations (7 hyperparameters, refit included)")
