"""By what ensembles for accuracy had better be selected: ``python -m experiments.selection RUNS`` (``make breadth`` makes such runs).

Every finished run keeps the models that its ensemble could choose from. From them the ensemble is selected once more by accuracy (of
equals by cross-entropy, as in the paper's system but for the ties) and by cross-entropy, and both are judged on the test rows, which
neither has seen; the run itself takes what `pipeline.selection.criterion` says. Runs with a cap on latency are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import build
from experiments.records import finished_runs
from experiments.yardstick import markdown
from lcbench.errors import UserError, exit_code
from lcbench.metric import METRICS
from pipeline.ensemble import combine
from pipeline.members import read_kept
from pipeline.metrics import score
from pipeline.selection import criterion, select

ACCURACY, CROSS_ENTROPY = METRICS["accuracy"], METRICS["cross_entropy"]
BY = {"accuracy": ACCURACY, "cross_entropy": CROSS_ENTROPY}
"""What a selection may look at."""


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """One row for every run that optimised accuracy and kept two models or more.

    ``accuracy`` and ``cross_entropy`` are the test accuracies of the ensembles selected by these, ``chosen`` is the accuracy of the one
    that `criterion` takes, ``by``; ``log_loss_…`` are the test cross-entropies of the first two in nats.

    Raises:
        UserError: if there is no finished run.
    """
    for path, summary in finished_runs(folder):
        options = build.config_of(path).ensemble
        if not summary.get("ensemble") or summary["metric"]["name"] != "accuracy" or not summary["split"]["n_test"] or options.max_latency:
            continue
        names = sorted(model["name"] for model in summary["ensemble"]["models"])
        kept = [one for name in names if (one := read_kept(path, name))]
        if len(kept) < 2:
            continue
        task, _ = build.searched_table(path)
        val, y, seed = [one.val for one in kept], task.y[task.test], summary["seed"]
        by = criterion(val, task.y[task.val], ACCURACY, rng=np.random.default_rng(seed), size=options.size).name
        answers = {}
        for name, metric in BY.items():
            counts = select(val, task.y[task.val], metric, size=options.size, n_best=len(val), rng=np.random.default_rng(seed))
            members = np.flatnonzero(counts)
            answers[name] = combine((counts[members] / options.size).tolist(), [kept[j].test for j in members])
        accuracy, log_loss = ({name: score(metric, y, one) for name, one in answers.items()} for metric in BY.values())
        more = {f"log_loss_{name}": value for name, value in log_loss.items()}
        yield {"task": summary["task"], "seed": seed, "tested": len(y), **accuracy, "chosen": accuracy[by], "by": by, **more}


def words(found: pd.DataFrame) -> str:
    """The means over the runs, and how often what was chosen was better than selection by accuracy."""
    gain = ((found["chosen"] - found["accuracy"]) * found["tested"]).round().astype(int)
    means = ", ".join(f"{name} {found[name].mean():.4f}" for name in (*BY, "chosen"))
    return (
        f"mean test accuracy of {len(found)} runs selected by {means}; chosen is better than accuracy on {(gain > 0).sum()} and worse on "
        f"{(gain < 0).sum()}, by {gain.sum():+d} of {found['tested'].sum()} rows"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and return the exit code: 0 all is well, 2 it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m experiments.selection", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, help="what `runs=` was; OpenML tasks are read from OPENML_CACHE_DIR")
    options = parser.parse_args(arguments)
    return exit_code(partial(report, options))


def report(options: argparse.Namespace) -> None:
    """Print the table."""
    found = pd.DataFrame(rows(options.runs))
    if found.empty:
        raise UserError(f"{options.runs} holds no run that optimised accuracy, has test rows, and kept two models: give another folder")
    print(markdown(found))
    print(words(found))


if __name__ == "__main__":
    sys.exit(main())
