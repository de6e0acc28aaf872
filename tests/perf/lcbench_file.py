"""Write a made-up file in the layout of LCBench's published ones, as large as those, to measure readers with.

python -m tests.perf.lcbench_file OUT.json [--datasets 35] [--configs 2000] [--layout data_2k_lw|bench_full] [--seed 0]

Nothing in it was ever trained, so every data set is called ``synthetic_…`` and has no OpenML task. Curves have the length,
the tags and the number of digits of the published ones; the file is a stream, one entry in memory at a time.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON, RESULTS, SPLITS, TASKS
from lcbench.space import lcbench_space, plain, sample

LAYOUTS = ("data_2k_lw", "bench_full")
HORIZONS, SEEDS = (6, 12, 25, 50), (1, 2, 3)
FINALS = {name: name.removeprefix("final_") for name in RESULTS}


def main() -> None:
    """Write the file and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--datasets", type=int, default=35)
    parser.add_argument("--configs", type=int, default=2000)
    parser.add_argument("--layout", choices=LAYOUTS, default=LAYOUTS[0])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    write_file(**vars(options))
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.0f} MB in {time.perf_counter() - start:.0f} s")


def write_file(out: Path, datasets: int = 35, configs: int = 2000, layout: str = LAYOUTS[0], seed: int = 0) -> None:
    """Write `datasets` data sets of `configs` configurations each."""
    rng = np.random.default_rng(seed)
    space = lcbench_space()
    configurations = [plain(sample(space, rng)) for _ in range(configs)]
    entry = _single if layout == "data_2k_lw" else _extended
    with out.open("w", encoding="ascii") as file:
        for d, name in enumerate(_names(datasets)):
            facts = {"OpenML_task_id": None, "test_split": 0.33, "instances": 1000 + d, "classes": 2 + d % 9, "features": 4 + d}
            file.write(f'{", " if d else "{"}"{name}": {{')
            for i, configuration in enumerate(configurations):
                file.write(f'{", " if i else ""}"{i}": {json.dumps(entry(configuration, facts, rng))}')
            file.write("}")
        file.write("}")


def _names(n: int) -> Iterator[str]:
    names = [*TASKS]
    return (f"synthetic_{names[i % len(names)]}" + f"_{i // len(names)}" * (i >= len(names)) for i in range(n))


def _single(configuration: dict[str, Any], facts: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    log = _log(50, rng)
    return {"log": log, "results": _results(log, 50, 1, facts), "config": _config(configuration, 50)}


def _extended(configuration: dict[str, Any], facts: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    entry = {}
    for horizon in HORIZONS:
        logs = {str(seed): _log(horizon, rng) for seed in SEEDS}
        results = {seed: _results(log, horizon, int(seed), facts) for seed, log in logs.items()}
        entry[str(horizon)] = {"config": _config(configuration, horizon), "results": results, "log": logs}
    return entry


def _config(configuration: dict[str, Any], horizon: int) -> dict[str, Any]:
    values = configuration | {"num_layers": True} if configuration["num_layers"] == 1 else configuration
    return {**values, **CONSTANTS, HORIZON: horizon}


def _log(horizon: int, rng: np.random.Generator) -> dict[str, list[float]]:
    """One curve per tag of the lightweight files: falling or rising, noisy, all digits; horizon + 2 entries."""
    t = horizon + 2
    progress = 1 - np.exp(-rng.uniform(1, 9) * np.linspace(0, 1, t))  # (t,)

    def curve(first: float, last: float) -> list[float]:
        return (first + (last - first) * progress + rng.normal(0, 0.01 * abs(last - first), t)).tolist()

    tags: dict[str, Callable[[], list[float]]] = {
        "Train/loss": lambda: curve(0.7, rng.uniform(0.1, 0.6)),
        "Train/test_result": lambda: curve(50.0, rng.uniform(60, 99)),
        **{f"Train/{split}_accuracy": lambda: curve(50.0, rng.uniform(60, 99)) for split in SPLITS[:2]},
        **{f"Train/{split}_balanced_accuracy": lambda: curve(0.5, rng.uniform(0.6, 0.99)) for split in SPLITS},
        **{f"Train/{split}_cross_entropy": lambda: curve(0.7, rng.uniform(0.1, 0.6)) for split in SPLITS},
    }
    log = {"time": np.cumsum(rng.uniform(0.5, 1.5, t)).tolist(), "epoch": list(range(t))} | {tag: make() for tag, make in tags.items()}
    log["Train/lr"] = [0, *(0.05 * (1 + np.cos(np.pi * np.arange(1, t) / t))).tolist()]
    return log


def _results(log: dict[str, list[float]], horizon: int, seed: int, facts: dict[str, Any]) -> dict[str, Any]:
    finals = {name: log.get(f"Train/{plane}", log["Train/test_result"])[-1] for name, plane in FINALS.items()}
    return {"model_parameters": 1000 + horizon, **finals, **facts, "budget": horizon, "seed": seed}


if __name__ == "__main__":
    main()
