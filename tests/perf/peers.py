"""Measure what an optimizer's ask and tell take beside those of other libraries, at 50, 200 and 1000 observations.

python -m tests.perf.peers [NAME…]; every trial is trained in full, so that every proposal comes from a model. One thread,
medians of model-based proposals, the round trip to the peer's process included. A peer that is not installed, or that needs
two rungs, says so; those that need two rungs are measured on a ladder of two, over new trials alone.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from lcbench.query import Origin
from lcbench.space import lcbench_space
from optimizers.adapters.errors import PeerMissingError, UnsupportedError
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark

YAMLS = Path(__file__).resolve().parents[2] / "experiments" / "conf" / "optimizer"
OURS = "bohb"
PEERS = (
    "hpbandster",
    "optuna_tpe",
    "optuna_hyperband",
    "smac",
    "smac_full",
    "dehb_automl",
    "synetune_asha",
    "synetune_bohb",
    "neps_hyperband",
)
OBSERVATIONS = (50, 200, 1000)
N_MEASURED = 24
PATIENCE = 240.0
"""Seconds after which an optimizer is not driven further."""


def build(name, seed=0):
    """The optimizer on a ladder of one rung, or of two where it needs them."""
    settings = {key: value for key, value in OmegaConf.load(YAMLS / f"{name}.yaml").items() if key != "name"}
    try:
        return instantiate(settings)(lcbench_space(), ladder(50, 50, 2), np.random.default_rng(seed))
    except UnsupportedError:
        return instantiate(settings)(lcbench_space(), ladder(50, 25, 2), np.random.default_rng(seed))


def milliseconds(name):
    """Median of ask + tell by number of observations, over new trials that a model proposed; NaN where patience ended."""
    optimizer, benchmark, deadline = build(name), FakeBenchmark(), time.monotonic() + PATIENCE
    told, found = 0, {}
    for n in OBSERVATIONS:
        times = []
        while len(times) < N_MEASURED and time.monotonic() < deadline:
            start = time.perf_counter()
            query = optimizer.ask()
            asked = time.perf_counter()
            result = benchmark.evaluate(query)
            telling = time.perf_counter()
            optimizer.tell(result)
            seconds = asked - start + time.perf_counter() - telling
            told += 1
            if told > n and (query.origin is Origin.MODEL or (query.origin is Origin.RANDOM and not has_model(name))):
                times.append(1000 * seconds)
        found[n] = (statistics.median(times), statistics.fmean(times)) if len(times) == N_MEASURED else (np.nan, np.nan)
    return found


def has_model(name):
    """False for the methods whose every proposal is a random draw."""
    return name not in ("synetune_asha", "neps_hyperband")


def repeats(name, n=40):
    """True if two optimizers with one seed ask the same."""
    asked = []
    for _ in range(2):
        optimizer, benchmark = build(name), FakeBenchmark()
        asked.append([])
        for _ in range(n):
            query = optimizer.ask()
            asked[-1].append((dict(query.configuration), query.epoch, query.trial))
            optimizer.tell(benchmark.evaluate(query))
    return asked[0] == asked[1]


def main(names):
    """Print the table."""
    print(f"{'median ms of ask + tell (mean)':32}" + "".join(f"{n:>20} obs" for n in OBSERVATIONS) + "   same seed, same asks")
    ours = {}
    for name in (OURS, *names):
        try:
            found = milliseconds(name)
        except PeerMissingError as error:
            print(f"{name:32}{error}")
            continue
        ours = ours or found
        cells = [f"{median:.2f} ({mean:.2f}) {median / ours[n][0]:.0f}x" for n, (median, mean) in found.items()]
        print(f"{name:32}" + "".join(f"{cell:>24}" for cell in cells) + f"   {'yes' if repeats(name) else 'NO'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or PEERS)
