"""Measure a minute on a wide and on a long table: does the run end in time, with a model, within the memory of its trials (Linux)?

python -m tests.perf.large [--seconds 60]: 1,000 rows with 5,000 columns, and 500,000 rows with 20 columns, both made up, in a temporary
folder. Goal: as `tests/perf/deadline.py`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from tests.perf.deadline import LARGEST, measure

SHAPES = {"wide": (1_000, 5_000), "long": (500_000, 20)}


def table(rows: int, columns: int) -> pd.DataFrame:
    """Numbers with gaps, a column of text with 300 values, and a label that depends on a few of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, columns - 1)).astype(np.float32), columns=[f"x{i}" for i in range(columns - 1)])
    frame["town"] = np.array([f"town {i}" for i in range(300)])[rng.integers(0, 300, rows)]
    score = frame["x0"] * frame["x1"] + frame["x2"] + (frame["town"].str[-1] == "7")
    frame["label"] = np.where(score + rng.normal(0, 0.3, rows) > 0, "yes", "no")
    return frame.mask(pd.DataFrame(rng.random(frame.shape) < 0.02, columns=frame.columns).assign(label=False))


def main() -> int:
    """Make the tables and the runs, print a line for each, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    missed = False
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.parquet"
            table(*shape).to_parquet(path)
            words = ["task=file", f"task.path={path}", "task.target=label", f"budget.seconds={options.seconds}"]
            wall, models, largest = measure(Path(folder) / "runs", words)
        missed |= wall > 1.1 * options.seconds or largest > LARGEST
        print(f"{name}, {shape[0]} x {shape[1]}: {wall:.1f} s, ensemble of {models}, largest process {largest / 1e6:.0f} MB", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
