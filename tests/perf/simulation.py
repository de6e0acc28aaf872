"""Measure simulated runs: the event queue, whole runs through the loop for every method, and all seeds at once.

python -m tests.perf.simulation [--task vehicle] [optimizer …]; one process, one thread. Goals: 100,000 events/s; 10,000 epochs in
0.5 s with Hyperband, ASHA, DEHB and BOHB and in 10 s with a forest; 1000 Hyperband runs/s through the loop, 20,000/s at once.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import cProfile
import io
import pstats
import time

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from experiments.config import ROOT, Budget
from experiments.cost import Account
from experiments.loop import Loop
from experiments.simulated import Simulated, Timed
from experiments.trajectory import Trajectory
from experiments.vectorised import Curves, draw, n_draws, schedule, simulate_all
from lcbench.query import Query, Result
from lcbench.space import sample
from lcbench.tabular import TabularBenchmark
from lcbench.wrappers import NearestRecorded
from optimizers.rungs import ladder

LADDER = ladder(50, 6, 2)
QUICK = ("random", "sh", "hyperband", "asha", "dehb", "bohb")


class _Instant:
    """A benchmark that answers with one and the same result, so that only the queue is measured."""

    def __init__(self, result):
        self._result = result

    def evaluate(self, query):
        return self._result


def queue(benchmark, n=200_000, workers=16):
    """Events per second of the queue alone: submit and next."""
    query = Query(sample(benchmark.space, np.random.default_rng(0)), 6, 0)
    queue = Simulated(_Instant(benchmark.evaluate(query)), workers=workers, continues=False)
    for _ in range(workers):
        queue.submit(query)
    start = time.perf_counter()
    for _ in range(n):
        queue.charge(queue.next())
        queue.submit(query)
    return n / (time.perf_counter() - start)


def run(benchmark, name, seed, epochs):
    """One run; returns its results and the seconds inside the optimizer."""
    node = {key: value for key, value in OmegaConf.load(ROOT / f"experiments/conf/optimizer/{name}.yaml").items() if key != "name"}
    optimizer = Timed(instantiate(node)(benchmark.space, LADDER, np.random.default_rng(seed)))
    workers, account = Simulated(benchmark), Account(Budget(epochs=epochs), continues=True)
    trajectory = Trajectory(workers, account.spent, benchmark.metric, lambda: optimizer.seconds)
    results: list[Result] = Loop(optimizer, workers, account, workers, (trajectory,), in_order=False).run()
    trajectory.columns()
    return len(results), optimizer.seconds


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("optimizers", nargs="*", default=QUICK)
    parser.add_argument("--task", default="vehicle")
    options = parser.parse_args()
    benchmark = NearestRecorded(TabularBenchmark.load(options.task))
    print(f"event queue, 16 workers: {queue(benchmark):,.0f} events/s (a training begun and ended)")
    for epochs, n_runs in ((1000, 20), (10_000, 5)):
        print(f"\none run of {epochs:,} epochs on {options.task}, mean of {n_runs} seeds")
        for name in options.optimizers:
            run(benchmark, name, 0, min(epochs, 1000))
            start = time.perf_counter()
            told = [run(benchmark, name, seed, epochs) for seed in range(1, n_runs + 1)]
            seconds, n_results = (time.perf_counter() - start) / n_runs, sum(n for n, _ in told) / n_runs
            inside = sum(its for _, its in told) / n_runs / n_results * 1e3
            print(f"  {name:12} {seconds * 1e3:9.1f} ms  {n_results:6.0f} results  {inside:8.3f} ms per result inside the optimizer")
    profile = cProfile.Profile()
    profile.runcall(lambda: [run(benchmark, "hyperband", seed, 1000) for seed in range(20)])
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("cumtime").print_stats(
        r"space\.py|cube\.py|wrappers|tabular|loop|simulated|halving|trajectory", 14
    )
    print("\nwhere a Hyperband run of 1,000 epochs goes:\n" + "\n".join(text.getvalue().splitlines()[6:]))
    curves = Curves.of(benchmark)
    print("all seeds at once")
    for method in ("random", "sh", "hyperband"):
        for epochs, n_seeds in ((1000, 2000), (10_400, 500)):
            steps = schedule(method, LADDER, epochs)
            start = time.perf_counter()
            rows = draw(benchmark, range(n_seeds), n_draws(steps))
            drawn = time.perf_counter()
            simulate_all(curves, rows, steps)
            end = time.perf_counter()
            whole, alone = n_seeds / (end - start), n_seeds / (end - drawn)
            print(f"  {method:10} {epochs:6,} epochs: {whole:9,.0f} runs/s, {alone:9,.0f} once the draws are looked up")


if __name__ == "__main__":
    main()
