"""The outcome of a run: summary.json for programs, two tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.progress import Progress
from lcbench.header import provenance_now
from lcbench.metric import Metric
from lcbench.query import Result, Status
from lcbench.space import key, plain
from lcbench.table import CurveTable

BEST = 5
"""Configurations in the final table."""


def summarise(progress: Progress, table: CurveTable, names: dict[str, Any], baselines: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of summary.json; everything but the values of keys with ``seconds`` in their name repeats with the seed."""
    results, best = progress.results, progress.best
    task = table.task
    recorded = sum(max(training.curve.last_epoch, 0) for training in table.trainings)
    failed = Counter(str(result.status) for result in results if not result.ok)
    return {
        **names,
        "metric": {"name": progress.metric.name, "direction": progress.metric.direction, "unit": progress.metric.unit},
        "split": {"rule": task.split, "n_train": task.n_train, "n_val": task.n_val, "n_test": task.n_test},
        "seconds": progress.clock.elapsed,
        "n_trials": len({result.query.trial for result in results}),
        "n_results": len(results),
        "n_failed": {str(status): failed[status] for status in Status if status is not Status.SUCCESS},
        "epochs_trained": recorded if progress.continues else max(recorded, progress.epochs_trained),
        "seconds_trained": sum(result.seconds for result in results),
        "incumbent_policy": progress.policy,
        "incumbent": describe_incumbent(best, progress.metric) if best else None,
        "baselines": baselines,
        "versions": provenance_now("")["versions"],
    }


def describe_incumbent(best: Result, metric: Metric) -> dict[str, Any]:
    """The incumbent with its scores; ``scores`` holds every recorded metric of the validation and test part."""
    scores = best.curve.at(best.curve.last_epoch)
    return {
        "trial": best.query.trial,
        "key": key(best.query.configuration),
        "config": plain(best.query.configuration),
        "epoch": best.query.epoch,
        "validation_score": scores[metric.on("val")],
        "test_score": scores[metric.on("test")],
        "scores": {name: value for name, value in scores.items() if name.startswith(("val_", "test_"))},
    }


def print_report(summary: dict[str, Any], results: Sequence[Result], metric: Metric, console: Console, directory: Path) -> None:
    """The best configurations, the incumbent beside the baselines, and where everything lies."""
    console.print(_best_table(results, metric))
    console.print(_score_table(summary))
    failures = ", ".join(f"{n} {status}" for status, n in summary["n_failed"].items() if n) or "none"
    console.print(
        f"{summary['n_trials']} trials, {summary['epochs_trained']} epochs, {summary['seconds']:.1f} s; failed: {failures}", highlight=False
    )
    if summary["incumbent"] is None:
        console.print(f"there is no incumbent: no trial ended with a score that `incumbent={summary['incumbent_policy']}` counts")
    for baseline in summary["baselines"]:
        if "error" in baseline:
            console.print(f"{baseline['name']}: {baseline['error'].strip().splitlines()[-1]}", highlight=False)
    for failure in dict.fromkeys(result.error for result in results if not result.ok):
        console.print(f"first failure of its kind:\n{failure}", style="red", highlight=False, markup=False)
        break
    console.print(
        f"everything lies in {directory}: summary.json, curves.h5 (python -m lcbench info {directory})", highlight=False, soft_wrap=True
    )


def _best_table(results: Sequence[Result], metric: Metric) -> Table:
    """One column per configuration, because seven hyperparameters side by side fit no terminal."""
    table = Table(title="best configurations (highest epoch first)", title_justify="left")
    ranked = sorted((r for r in results if r.ok), key=lambda result: (-result.query.epoch, result.loss))
    by_trial: dict[int, Result] = {}
    for result in ranked:
        by_trial.setdefault(result.query.trial, result)
    best = list(by_trial.values())[:BEST]
    table.add_column("trial")
    for result in best:
        table.add_column(str(result.query.trial), justify="right")
    for name in (metric.on("val"), metric.on("test")):
        table.add_row(name, *(f"{result.curve.at(result.curve.last_epoch)[name]:.4f}" for result in best))
    table.add_row("epochs", *(str(result.query.epoch) for result in best))
    table.add_row("origin", *(str(result.query.origin) for result in best), end_section=True)
    for name in dict.fromkeys(name for result in best for name in result.query.configuration):
        table.add_row(name, *(_short(plain(result.query.configuration).get(name, "–")) for result in best))
    return table


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _score_table(summary: dict[str, Any]) -> Table:
    """The incumbent beside the majority class (or mean) and a default linear model, on the same split."""
    incumbent = summary["incumbent"]
    models = ([("incumbent", incumbent["scores"])] if incumbent else []) + [(b["name"], b.get("scores", {})) for b in summary["baselines"]]
    names = [name for name in next((scores for _, scores in models if scores), {}) if not name.endswith("_loss")]
    table = Table(title=f"scores on {summary['task']}", title_justify="left")
    table.add_column("")
    for model, _ in models:
        table.add_column(model, justify="right")
    for name in names:
        table.add_row(name, *(f"{scores[name]:.4f}" if name in scores else "–" for _, scores in models))
    return table
