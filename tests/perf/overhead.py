"""Measure what the harness costs: wall time outside training, and start-up to the first trained epoch, in fresh processes.

python -m tests.perf.overhead [--seconds 120] [--task adult]; an OpenML task needs the cache. It makes one serial run in a
temporary folder and reads the run's own record. Goals: overhead <= 5 %, start-up <= 20 s on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lcbench.journal import read_journal

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Make the run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--task", default="adult")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        overrides = (f"runs={runs}", f"task={options.task}", f"budget.seconds={options.seconds}", "executor=serial")
        start = time.time()
        process = subprocess.Popen([sys.executable, str(ROOT / "run.py"), *overrides], stdout=subprocess.DEVNULL)
        first = _first_epoch(Path(runs), process) - start
        process.wait()
        wall = time.time() - start
        events = read_journal(next(Path(runs).rglob("events.journal"))).records
    told = [event for event in events if event["kind"] == "tell"]
    trained, begin, end = sum(event["seconds"] for event in told), told[0]["at"] - told[0]["seconds"], told[-1]["at"]
    print(f"whole command: {wall:.1f} s for a budget of {options.seconds:g} s ({wall / options.seconds - 1:+.1%})")
    print(f"start-up: first trained epoch recorded after {first:.1f} s")
    print(f"overhead: {1 - trained / (end - begin):.1%} of the time from the first training to the last tell lies outside training and")
    print(f"          evaluation; {1 - trained / end:.1%} with the start-up counted; {len(told)} results in {end:.1f} s")


def _first_epoch(runs: Path, process: subprocess.Popen) -> float:
    """Time at which the journals held the first trained epoch (entry 1 of a curve)."""
    while process.poll() is None:
        for path in runs.rglob("worker-*.journal"):
            if any(record["kind"] == "epoch" and record["epoch"] == 1 for record in read_journal(path).records):
                return time.time()
        time.sleep(0.05)
    raise SystemExit("the run ended before an epoch was trained")


if __name__ == "__main__":
    main()
