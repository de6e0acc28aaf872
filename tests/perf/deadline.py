"""Measure whether runs end in time and within memory: whole commands, from start to exit, in fresh processes (Linux).

python -m tests.perf.deadline [--tasks adult,vehicle,…] [--budgets 30x18,60x6,120x4,300,600] [--keep FOLDER] [word of run.py …]

Tasks in turn, one run per budget, the seeds counted unless a word says seed=0; OpenML tasks need the cache. Goals: no run takes more than
its budget and a tenth, each ends with a model that predicts, and no process is larger than `trial.memory_mb` (4 GiB) beyond an idle one.
"""

import argparse
import contextlib
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 4.5 * 2**30
"""Bytes of a process: `trial.memory_mb` beyond an idle one, which has half a gigabyte."""
TASKS = "adult,vehicle,car,diamonds,cnae-9,connect-4,credit-g,house_16H,Amazon_employee_access,phoneme"


def main() -> int:
    """Make the runs, print a line for each and the worst, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--budgets", default="30x18,60x6,120x4,300,600", help="seconds, and how often")
    parser.add_argument("--keep", type=Path, help="a folder for the runs; without it they are deleted")
    parser.add_argument("words", nargs="*", help="further words of run.py, e.g. refit=train")
    options = parser.parse_args()
    parts = [f"{part}x1".split("x")[:2] for part in options.budgets.split(",")]
    budgets = [float(seconds) for seconds, times in parts for _ in range(int(times))]
    worst, large = 0.0, 0
    for seed, (task, seconds) in enumerate(zip(itertools.cycle(options.tasks.split(",")), budgets, strict=False)):
        words = [f"task={task}", f"budget.seconds={seconds}", f"seed={seed}", *options.words]
        with contextlib.nullcontext(options.keep / f"{task}-{seconds:g}-{seed}") if options.keep else tempfile.TemporaryDirectory() as runs:
            wall, models, largest = measure(Path(runs), words)
        worst, large = max(worst, wall / seconds), large + (largest > LARGEST)
        about = f"{wall:.1f} s ({wall / seconds - 1:+.1%}), ensemble of {models}, largest process {largest / 1e6:.0f} MB"
        print(f"{task} with {seconds:g} s: {about}", flush=True)
    print(f"{len(budgets)} runs; the longest took {worst - 1:+.1%} of its budget, {large} were larger than {LARGEST / 1e6:.0f} MB")
    return int(worst > 1.1 or large > 0)


def measure(runs: Path, words: list[str]) -> tuple[float, int, int]:
    """Wall seconds of one run in a new folder, the members of the model that it kept, which has predicted, bytes of its largest process."""
    start, largest = time.monotonic(), 0
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words, f"runs={runs}"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None:
        largest = max(largest, *resident(process.pid))
        time.sleep(0.05)
    wall = time.monotonic() - start
    if process.returncode:
        raise SystemExit(f"the run {' '.join(words)} ended with exit code {process.returncode}")
    predictor = Predictor.load(next(runs.rglob("predictor.json")).parent)
    answer = predictor.answer(np.zeros((1, len(predictor.columns.names))))
    if not np.isfinite(answer).all():
        raise SystemExit(f"the model of {' '.join(words)} answers {answer}")
    return wall, len(predictor.members), largest


def resident(session: int) -> list[int]:
    """Bytes in memory of every process of a session."""
    found = [0]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                found.append(int(fields[21]) * resource.getpagesize())
    return found


if __name__ == "__main__":
    sys.exit(main())
