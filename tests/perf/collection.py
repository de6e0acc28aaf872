"""Measure `python -m experiments.collect` with one, two and three workers, and against a classic loop on the same configurations.

python -m tests.perf.collection [--task vehicle] [--configurations 200] [--epochs 50] [--workers 1,2,3] [--kills 5]: OpenML tasks need the
cache. Every collection starts from nothing, in a folder that is deleted. Goals on two cores: two workers record 1.8 times as fast as one,
and a third one does not slow them.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np
import torch

from experiments.collection import Draws, Recording
from lcbench.store import read_curves
from lcbench.table import CurveTable
from pipeline.learner import Recipe
from pipeline.spaces import lcbench
from tests.perf.trainer import Classic
from tests.perf.trainer import table as random_table

ROOT = Path(__file__).resolve().parents[2]
RATE = 1e-6
"""Learning rate of the classic loop, whose metrics refuse what has diverged; its time does not depend on it."""


def main() -> None:
    """Collect, and print a line for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="vehicle")
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--workers", default="1,2,3")
    parser.add_argument("--kills", type=int, default=0, help="collect once more, killed so many times (kill -9), and compare")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, n = 0.0, options.configurations
    for workers in map(int, options.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            seconds, whole, trained = collect(Path(folder), options, workers)
            (table,) = read_curves(Path(folder) / "default/database.h5")
        first = first or seconds
        print(f"{options.task} with {workers} worker(s): {n} configurations in {seconds:.1f} s of recording,", end=" ")
        print(f"{first / seconds:.2f} x the first; {whole:.1f} s from the command to its end;", end=" ")
        print(f"{trained:.1f} s of training in all", flush=True)
    if options.kills:
        print(killed(table, options), flush=True)
    classic = options.epochs * classic_epoch(table.task, n) / int(options.workers.split(",")[0])
    ratio = classic / first
    print(f"a classic loop, as many processes as the first had workers: {classic:.0f} s by the second epoch of each, {ratio:.1f} x as long")


def collect(folder: Path, options: argparse.Namespace, workers: int) -> tuple[float, float, float]:
    """Seconds from the first training to the end of the last, from the command to its end, and those that the trainings took."""
    words = (f"tasks={options.task}", f"configs={options.configurations}", f"epochs={options.epochs}", f"executor.workers={workers}")
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.collect", *words, f"collections={folder}"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    journal, start, end = folder / "default" / options.task / "lcbench" / "journals" / "collect.journal", 0.0, 0.0
    while process.poll() is None:
        if not start and journal.exists():
            start = time.monotonic()
        end = end if (folder / "default/database.h5").exists() else time.monotonic()
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"the collection ended with exit code {process.returncode}")
    return end - start, time.monotonic() - begun, Recording.of(options.task, journal.parent.parent).seconds


def killed(whole: CurveTable, options: argparse.Namespace) -> str:
    """Collect with all cores, and kill every process of it at moments that are drawn; say whether it is the same to the bit."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        words = (f"tasks={options.task}", f"configs={options.configurations}", f"epochs={options.epochs}", f"collections={folder}")
        begin, moments = [sys.executable, "-m", "experiments.collect", *words], []
        journal = Path(folder) / "default" / options.task / "lcbench/journals/collect.journal"
        for _ in range(options.kills):
            before = _size(journal)
            process = subprocess.Popen(begin, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            while moments and process.poll() is None and _size(journal) == before:  # but for the first time, once it records
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 8))
            if process.poll() is not None:
                return f"the collection had ended by itself after {len(moments)} kills: give more configurations"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(len(Recording.of(options.task, journal.parent.parent).ended))
        subprocess.run(begin, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (again,) = read_curves(Path(folder) / "default/database.h5")
    one, other = (table.take(np.argsort(table.columns["trial"])) for table in (whole, again))
    same = np.array_equal(one.curves, other.curves, equal_nan=True) and one.columns.keys() == other.columns.keys()
    same = same and all(np.array_equal(one.columns[name], other.columns[name]) for name in one.columns)
    return f"killed {options.kills} times, after {moments} trainings: {'the same to the bit' if same else 'NOT THE SAME'}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def classic_epoch(info, n: int) -> float:
    """Seconds of an epoch of the classic loop with each of the n configurations, on random numbers of this shape."""
    data, space = random_table(info.n_train + info.n_val + info.n_test, info.n_features, info.n_classes), lcbench.space(info)
    draws = Draws(space.space, space.space, 0)
    seconds = 0.0
    for i in range(n):
        recipe = Recipe(space.settings(draws.configuration(i)), seed=1, horizon=50)
        loop = Classic(data, recipe)
        loop.advance(1, RATE)
        start = time.process_time()
        loop.advance(2, RATE)
        seconds += time.process_time() - start
    return seconds


if __name__ == "__main__":
    main()
