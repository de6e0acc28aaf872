"""Measure the import of a file as large as LCBench's: killed twice, continued, then every single value compared.

python -m tests.perf.import_json [--datasets 35] [--configs 2000] [--layout data_2k_lw|bench_full] [--folder /tmp]

Goals: more than 20 MB/s by the clock, peak memory of every process at most 600 MB, every value bit-equal. CPU time and load are
printed too, because other work on the machine slows the clock. Needs about 2 GB of disk space.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lcbench.database import Database
from lcbench.formats.json_stream import ObjectStream, opened_json
from lcbench.formats.lcbench_layout import Place, runs_of
from lcbench.formats.lcbench_tags import column_of
from tests.perf.lcbench_file import LAYOUTS, write_file

ROOT = Path(__file__).resolve().parents[2]
KILLS = (0.15, 0.6)
"""Shares of the data sets after which the import is killed."""
SPEED, MEMORY = 20.0, 600.0  # MB/s, MB
CHILD = """
import sys
from pathlib import Path
from lcbench.formats.lcbench_json import import_file
for note in import_file(Path(sys.argv[1]), Path(sys.argv[2])):
    print(f"    {note}")
"""


class Run(NamedTuple):
    """One process that imported."""

    seconds: float
    cpu_seconds: float
    peak: float  # MB


def main() -> None:
    """Write the file, import it with and without being killed, compare, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=35)
    parser.add_argument("--configs", type=int, default=2000)
    parser.add_argument("--layout", choices=LAYOUTS, default=LAYOUTS[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if shutil.disk_usage(options.folder).free < 4e9:
        raise SystemExit(f"{options.folder} has less than 4 GB left: name another --folder")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, database, again = (Path(folder) / name for name in ("synthetic.json", "whole.h5", "killed.h5"))
        write_file(source, options.datasets, options.configs, options.layout)
        size = source.stat().st_size / 1e6
        print(f"{size:.0f} MB written, {options.datasets} data sets of {options.configs} configurations, layout {options.layout}")
        whole = imported(source, database)
        killed = [imported(source, again, kill_after=int(share * options.datasets)) for share in KILLS]
        resumed = imported(source, again)
        report("in one go", whole, size)
        for share, run in zip(KILLS, killed, strict=True):
            report(f"killed after {int(share * options.datasets)}", run)
        report("continued", resumed)
        peak = max(run.peak for run in (whole, *killed, resumed))
        n_values, n_wrong = compared(source, again)
        speeds = f"{size / whole.seconds:.1f} MB/s by the clock, {size / whole.cpu_seconds:.1f} of CPU time, load {os.getloadavg()[0]:.1f}"
        judge("speed", speeds, size / whole.seconds > SPEED)
        judge("memory", f"{peak:.0f} MB at most", peak <= MEMORY)
        judge("continued = in one go", "the two databases byte by byte", database.read_bytes() == again.read_bytes())
        judge("values", f"{n_wrong} of {n_values} differ from the JSON", n_wrong == 0)
        judge("database", f"{again.stat().st_size / 1e6:.0f} MB", True)


def imported(source: Path, database: Path, kill_after: int | None = None) -> Run:
    """Import in a process of its own, which is killed once so many data sets are done."""
    state = database.with_name(f"{database.name}.importing") / "state.json"
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(source), str(database)], env=environment)
    while kill_after is not None and (not state.exists() or len(json.loads(state.read_text())["parts"]) < kill_after):
        time.sleep(0.02)
    if kill_after is not None:
        time.sleep(0.3)  # into the middle of the next data set
        process.send_signal(signal.SIGKILL)
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode != (0 if kill_after is None else -signal.SIGKILL):
        raise SystemExit(f"the import ended with {process.returncode}")
    # ru_maxrss is in kB here; on macOS in bytes
    kilobyte = 1e6 if sys.platform == "darwin" else 1e3
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / kilobyte)


def compared(source: Path, path: Path) -> tuple[int, int]:
    """Number of values in the JSON, and of those that the database does not hold to the last bit."""
    n_values = n_wrong = 0
    database = Database(path)
    with opened_json(source) as (file, _):
        for task, members in ObjectStream(file, str(source)).members():
            table = database.table(task)
            rows = {
                place: i for i, place in enumerate(zip(*(table.columns[n].tolist() for n in ("trial", "horizon", "seed")), strict=True))
            }
            n_wrong += len(table)
            for config_id, entry in members:
                for run in runs_of(Place(source.name, task, config_id), entry):
                    i = rows[int(config_id), run.results["budget"], run.results["seed"]]
                    found = wrong_values(table, i, run.log)
                    n_values += sum(map(len, run.log.values()))
                    n_wrong += found - 1  # every row must be met once
    return n_values, n_wrong


def wrong_values(table, i: int, log: dict) -> int:
    """Values of a log that row i does not hold to the last bit, or that it holds and the log does not."""
    n, wrong = len(log["time"]), 0
    wrong += not np.array_equal(table.seconds[i, :n].view(np.int64), np.array(log["time"], np.float64).view(np.int64))
    wrong += not np.isnan(table.seconds[i, n:]).all() or not np.isnan(table.curves[:, i, n:]).all()
    wrong += log["epoch"] != list(range(n)) or table.columns["length"][i] != n
    tags = [tag for tag in log if tag not in ("time", "epoch")]
    wrong += {column_of(tag) for tag in tags} != set(table.metrics)
    for tag in tags:
        stored = table.curves[table.plane(column_of(tag)), i, :n]
        wrong += int(np.count_nonzero(stored.view(np.int32) != np.array([np.float32(x) for x in log[tag]]).view(np.int32)))
    return wrong


def report(name: str, run: Run, size: float | None = None) -> None:
    """One line about a process."""
    speed = f", {size / run.seconds:6.1f} MB/s" if size else ""
    print(f"{name:16} {run.seconds:6.1f} s ({run.cpu_seconds:.1f} s CPU), peak {run.peak:4.0f} MB{speed}")


def judge(name: str, found: str, is_good: bool) -> None:
    """One line about a goal."""
    print(f"{'pass' if is_good else 'FAIL'}  {name}: {found}")


if __name__ == "__main__":
    main()
