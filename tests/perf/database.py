"""Measure the database at true size: cold open and first query against json.loads of the same content, memory, look-ups.

python -m tests.perf.database [--folder DIR] [--datasets 35] [--configs 2000]

The content is synthetic, in the layout of LCBench's data_2k_lw.json; the JSON file is generated and imported once and kept in
the folder. Every time is measured in a process of its own with the libraries imported and, for cold opens, with the pages
of the file dropped from the system's cache. Ratios are of times on this machine in this run.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TARGETS = {
    "cold open and first query, ms": ("<=", 10),
    "json.loads / cold open and first query": (">=", 5000),
    "memory of one task / its raw size": ("<=", 1.2),
    "checked query, us": ("<=", 1),
    "drop-in query of a scalar, us": ("<=", 10),
    "drop-in query of a curve, us": ("<=", 10),
    "look-ups at random over everything, M/s": (">=", 30),
    "look-ups at random within a task, M/s": (">=", 100),
}


def drop_cache(path):
    """Ask the system to forget the pages of a file, so that the next read comes from the disk."""
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rss():
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_cold_open(path):
    from lcbench.database import Database

    times = []
    for task in Database(path).tasks[:7]:
        drop_cache(path)
        gc.collect()
        start = time.perf_counter()
        Database(path).plane(task, "val_accuracy").at(99, 50)
        times.append(time.perf_counter() - start)
    return {"cold open and first query, ms": 1e3 * statistics.median(times)}


def measure_cold_benchmark(path):
    from lcbench.tabular import TabularBenchmark

    first, *others = _database(path).tasks
    TabularBenchmark.load(first, path)  # whatever is loaded on first use
    times = []
    for task in others[:7]:
        drop_cache(path)
        start = time.perf_counter()
        TabularBenchmark.load(task, path).value(99, 50)
        times.append(time.perf_counter() - start)
    return {"cold open of a whole benchmark and first query, ms": 1e3 * statistics.median(times)}


def measure_memory(path):
    from lcbench.database import Database
    from lcbench.tabular import TabularBenchmark

    first, other = Database(path).tasks[:2]
    TabularBenchmark.load(first, path).value(3, 4)
    gc.collect()
    before = rss()
    benchmark = TabularBenchmark(Database(path).table(other))
    raw = benchmark.table.curves.nbytes + benchmark.table.seconds.nbytes
    total = sum(float(np.nansum(plane)) for plane in (*benchmark.table.curves, benchmark.table.seconds))  # touch every page
    assert np.isfinite(total)
    return {"memory of one task / its raw size": (rss() - before) / raw}


def measure_queries(path):
    from lcbench.tabular import TabularBenchmark

    benchmark = TabularBenchmark.load(_database(path).tasks[0], path)
    plane, n = benchmark.column("val_accuracy"), len(benchmark)
    asked = [(i * 7 % n, 1 + i % 50) for i in range(200_000)]
    found = {}
    at = plane.at
    start = time.perf_counter()
    for row, epoch in asked:
        at(row, epoch)
    found["checked query, us"] = (time.perf_counter() - start) / len(asked) * 1e6
    rng = np.random.default_rng(0)
    rows, epochs = rng.integers(0, n, 10**7), rng.integers(1, 51, 10**7)
    found["look-ups at random within a task, M/s"] = rate(lambda: plane.take(rows, epochs), 10**7)
    database_planes = _database(path).planes()
    which = rng.integers(0, len(database_planes), 10**7)
    found["look-ups at random over everything, M/s"] = rate(lambda: database_planes.take(which, rows, epochs), 10**7)
    return found


def rate(work, n):
    """Millions per second, the best of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return n / min(times) / 1e6


def _database(path):
    from lcbench.database import Database

    return Database(path)


def measure_drop_in(path):
    from lcbench import Benchmark

    bench = Benchmark(str(path))
    task, found = bench.get_dataset_names()[0], {}
    for name, tag in (("scalar", "final_val_accuracy"), ("curve", "Train/val_accuracy")):
        bench.query(task, tag, 0)
        start = time.perf_counter()
        for i in range(50_000):
            bench.query(task, tag, i * 7 % 2000)
        found[f"drop-in query of a {name}, us"] = (time.perf_counter() - start) / 50_000 * 1e6
    return found


def measure_json(path):
    drop_cache(path)
    start = time.perf_counter()
    with Path(path).open("rb") as file:
        content = json.loads(file.read())
    float(next(iter(content.values()))["99"]["log"]["Train/val_accuracy"][50])
    return {"json.loads and first query, s": time.perf_counter() - start, "json.loads, resident GB": rss() / 1e9}


def in_child(name, path):
    """Run one of the functions above in a fresh process."""
    code = f"import sys, json; sys.path.insert(0, '.'); from tests.perf import database as d; print(json.dumps(d.{name}({str(path)!r})))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def prepare(folder, options):
    """Generate the JSON file and import it, unless both are there."""
    source, target = folder / "synthetic.json", folder / "synthetic.h5"
    if not source.exists():
        shape = ["--datasets", str(options.datasets), "--configs", str(options.configs)]
        subprocess.run([sys.executable, "tests/perf/lcbench_file.py", str(source), *shape], check=True)
    if not target.exists():
        subprocess.run([sys.executable, "-m", "lcbench", "import", str(source), "--to", str(target)], check=True)
    return source, target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "lcbench_perf", help="where the files are kept")
    parser.add_argument("--datasets", type=int, default=35)
    parser.add_argument("--configs", type=int, default=2000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    source, target = prepare(options.folder, options)
    print(f"{source.stat().st_size / 1e6:.0f} MB of JSON, {target.stat().st_size / 1e6:.0f} MB of HDF5 (serving layout)")
    found = {}
    for name in ("measure_cold_open", "measure_cold_benchmark", "measure_memory", "measure_queries", "measure_drop_in"):
        found |= in_child(name, target)
    found |= in_child("measure_json", source)
    found["json.loads / cold open and first query"] = found["json.loads and first query, s"] / found["cold open and first query, ms"] * 1e3
    for name, value in found.items():
        sign, target_value = TARGETS.get(name, ("", None))
        met = (
            ""
            if target_value is None
            else f"   target {sign} {target_value}: "
            + ("met" if (value <= target_value if sign == "<=" else value >= target_value) else "MISSED")
        )
        print(f"{name:55} {value:12.3f}{met}")


if __name__ == "__main__":
    main()
