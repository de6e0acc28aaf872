"""The outcome of a run: summary.json for programs, two tables and a few lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from experiments.incumbent import POLICIES
from experiments.leaderboard import ranked
from experiments.progress import Progress
from lcbench.commands.words import duration, short
from lcbench.header import provenance_now
from lcbench.metric import Metric
from lcbench.query import Result, Status
from lcbench.space import key, plain
from lcbench.table import CurveTable
from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from experiments.recorded import Recorded

REFERENCES = {
    "constant": {"classification": "majority class", "regression": "mean"},
    "linear": {"classification": "logistic regression", "regression": "ridge regression"},
}
"""Traditional models of every run, by the names that people know: what a score has to be compared with."""
BEST_MODELS = 12
"""Models in the leaderboard, beside the members of the ensemble."""
BEST, FEW, WIDE = 5, 3, 120
"""Configurations in the final table; few where a line has fewer characters than a wide one."""


def summarise(
    progress: Progress, table: CurveTable, names: dict[str, Any], traditional: list[dict[str, Any]], ensemble: dict[str, Any] | None
) -> dict[str, Any]:
    """The content of summary.json; everything but the values of keys with ``seconds`` in their name repeats with the seed.

    Args:
        progress: the run.
        table: its curves.
        names: what names the run.
        traditional: what `fitting.fit` said of every traditional model, or why it failed.
        ensemble: what `Ensembling.finish` said, None without an ensemble.
    """
    recorded = sum(max(training.curve.last_epoch, 0) for training in table.trainings)
    return {
        **names,
        **_about(progress, table.task),
        "seconds": progress.clock.elapsed,
        **_counts(progress),
        "epochs_trained": recorded if progress.continues else max(recorded, progress.epochs_trained),
        "seconds_trained": sum(result.seconds for result in progress.results),
        **_best(progress),
        "baselines": _baselines(traditional, table.task),
        "traditional": traditional,
        "ensemble": ensemble,
        "versions": provenance_now("")["versions"],
    }


def summarise_simulation(progress: Progress, recorded: Recorded, names: dict[str, Any], wall_seconds: float) -> dict[str, Any]:
    """The content of summary.json of a simulated run; everything but ``wall_seconds`` repeats with the seed, to the last bit.

    ``regret`` is the simple regret on the validation rows: the incumbent's loss at the epoch where it was compared, minus the
    smallest loss of any recorded configuration at any epoch of the view. Of a model that is the smallest loss that it expects
    among the recorded and 2000 random configurations, so there regret can be below 0, with noise all the more.
    ``incumbent.recorded`` is the training that answered for the incumbent.
    """
    best, found = progress.best, _best(progress)
    if best:
        found["incumbent"]["recorded"] = recorded.source(best.query.configuration)
    return {
        **names,
        **recorded.about,
        **_about(progress, recorded.benchmark.task),
        "simulated_seconds": progress.clock.elapsed,
        "wall_seconds": wall_seconds,
        **_counts(progress),
        "continue_trials": recorded.continues,
        "epochs_trained": progress.epochs_trained,
        "epochs_continued": progress.spent.continued,
        "epochs_from_scratch": progress.spent.from_scratch,
        **found,
        "best_loss": recorded.best_loss,
        "regret": best.loss - recorded.best_loss if best else None,
        "versions": provenance_now("")["versions"],
    }


def _baselines(traditional: list[dict[str, Any]], task: TaskInfo) -> list[dict[str, Any]]:
    """The references under the names that people know."""
    found = {record["name"]: record for record in traditional}
    return [found[name] | {"name": REFERENCES[name][task.kind]} for name in REFERENCES if name in found]


def _about(progress: Progress, task: TaskInfo) -> dict[str, Any]:
    return {
        "metric": {"name": progress.metric.name, "direction": progress.metric.direction, "unit": progress.metric.unit},
        "split": {"rule": task.split, "n_train": task.n_train, "n_val": task.n_val, "n_test": task.n_test},
    }


def _counts(progress: Progress) -> dict[str, Any]:
    failed = Counter(str(result.status) for result in progress.results if not result.ok)
    return {
        "n_trials": len({result.query.trial for result in progress.results}),
        "n_results": len(progress.results),
        "n_failed": {str(status): failed[status] for status in Status if status is not Status.SUCCESS},
    }


def _best(progress: Progress) -> dict[str, Any]:
    best = progress.best
    return {"incumbent_policy": progress.policy, "incumbent": describe_incumbent(best, progress.metric) if best else None}


def describe_incumbent(best: Result, metric: Metric) -> dict[str, Any]:
    """The incumbent with its scores; ``scores`` holds every recorded metric of the validation and test part.

    A foreign table may hold no test values; ``test_score`` is then null.
    """
    scores = _judged(best, metric)
    return {
        "trial": best.query.trial,
        "key": key(best.query.configuration),
        "config": plain(best.query.configuration),
        "epoch": best.query.epoch,
        "validation_score": scores[metric.on("val")],
        "test_score": scores.get(metric.on("test")),
        "scores": {name: value for name, value in scores.items() if name.startswith(("val_", "test_"))},
    }


def _judged(result: Result, metric: Metric) -> dict[str, float]:
    """All columns at the epoch whose loss was told: the last one, unless the training was stopped early."""
    curve = result.curve
    told = [
        epoch
        for epoch, value in zip(curve.epochs, curve.values.get(metric.on("val"), ()), strict=False)
        if metric.loss(value) == result.loss
    ]
    return curve.at(int(told[-1]) if told else curve.last_epoch)


def print_report(summary: dict[str, Any], results: Sequence[Result], metric: Metric, console: Console, directory: Path) -> None:
    """The best configurations, the incumbent beside the baselines, and where everything lies."""
    _print_tables(summary, results, metric, console)
    if summary["ensemble"]:
        console.print(_leaderboard(summary))
        console.print(summary["ensemble"]["words"], highlight=False, soft_wrap=True)
        for name, reason in summary["ensemble"].get("refit", {}).get("kept", {}).items():
            console.print(f"{_model_name(name)} was not refitted and stays as it was: {reason}", highlight=False, soft_wrap=True)
    failures = _failures(summary)
    console.print(
        f"{summary['n_trials']} trials, {summary['epochs_trained']} epochs, {summary['seconds']:.1f} s; failed: {failures}", highlight=False
    )
    _print_what_is_missing(summary, results, console)
    console.print(
        f"everything lies in {directory}: summary.json, curves.h5 (python -m lcbench info {directory})", highlight=False, soft_wrap=True
    )
    if summary["ensemble"]:
        console.print(f"predict a table: python -m pipeline.predict {directory} new.csv", highlight=False, soft_wrap=True)


def print_simulation(summary: dict[str, Any], results: Sequence[Result], metric: Metric, console: Console, directory: Path) -> None:
    """The best configurations, the incumbent's scores and regret, simulated against real time, and where everything lies."""
    _print_tables(summary, results, metric, console)
    policy, simulated, wall = summary["incumbent_policy"], summary["simulated_seconds"], summary["wall_seconds"]
    lines = [
        f"incumbent by {policy}: {POLICIES[policy]}",
        f"{summary['n_trials']} trials, {summary['n_results']} results, {summary['epochs_trained']} epochs trained "
        f"({summary['epochs_from_scratch']} from scratch); failed: {_failures(summary)}",
        f"simulated time {duration(simulated)} in {duration(wall)} of real time: {simulated / max(wall, 1e-3):.3g} times as fast",
        _about_text(summary),
    ]
    if summary["incumbent"]:
        lines.insert(1, _regret_text(summary, metric))
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    _print_what_is_missing(summary, results, console)
    console.print(f"everything lies in {directory}: summary.json, events.journal", highlight=False, soft_wrap=True)


def _regret_text(summary: dict[str, Any], metric: Metric) -> str:
    regret, best, source = summary["regret"], summary["best_loss"], summary["incumbent"]["recorded"]
    answered = f"; the scores are those of row {source['row']}, {source['distance']:.2g} away in the unit cube" if source else ""
    return f"regret {regret:.4g}: {metric.on('val')} loss {regret + best:.4g}, the best at any epoch {best:.4g}{answered}"


def _about_text(summary: dict[str, Any]) -> str:
    choices = {"recorded_seed": "recorded seed", "horizon": "horizon", "unknown": "unknown configurations"}
    said = "".join(f", {words} {summary[name]}" for name, words in choices.items() if name in summary)
    return f"{summary['n_configurations']} configurations of {summary['database']}: view {summary['view']}{said}"


def _print_tables(summary: dict[str, Any], results: Sequence[Result], metric: Metric, console: Console) -> None:
    console.print(_best_table(results, metric, BEST if console.width >= WIDE else FEW))
    console.print(_score_table(summary))


def _failures(summary: dict[str, Any]) -> str:
    return ", ".join(f"{n} {status}" for status, n in summary["n_failed"].items() if n) or "none"


def _print_what_is_missing(summary: dict[str, Any], results: Sequence[Result], console: Console) -> None:
    """Why there is no incumbent, or no baseline, and the first failure."""
    if summary["incumbent"] is None:
        console.print(f"there is no incumbent: no trial ended with a score that `incumbent={summary['incumbent_policy']}` counts")
    for model in summary.get("traditional", []):
        if "error" in model:
            console.print(f"{model['name']}: {model['error'].strip().splitlines()[-1]}", highlight=False)
    for failure in dict.fromkeys(result.error for result in results if not result.ok):
        console.print(f"first failure of its kind:\n{failure}", style="red", highlight=False, markup=False)
        break


def _best_table(results: Sequence[Result], metric: Metric, n: int) -> Table:
    """One column per configuration, because seven hyperparameters side by side fit no terminal."""
    table = Table(title="best configurations (highest epoch first)", title_justify="left")
    ranked = sorted((r for r in results if r.ok), key=lambda result: (-result.query.epoch, result.loss))
    by_trial: dict[int, Result] = {}
    for result in ranked:
        by_trial.setdefault(result.query.trial, result)
    best = list(by_trial.values())[:n]
    table.add_column("trial", no_wrap=True)
    for result in best:
        table.add_column(str(result.query.trial), justify="right")
    for name in (metric.on("val"), metric.on("test")):
        table.add_row(name, *(_number(_judged(result, metric).get(name)) for result in best))
    table.add_row("epochs", *(str(result.query.epoch) for result in best))
    table.add_row("origin", *(str(result.query.origin) for result in best), end_section=True)
    for name in dict.fromkeys(name for result in best for name in result.query.configuration):
        table.add_row(name, *(short(plain(result.query.configuration).get(name, "–")) for result in best))
    return table


def _score_table(summary: dict[str, Any]) -> Table:
    """The incumbent beside the ensemble, the majority class (or mean) and a linear model, on the same split."""
    incumbent = summary["incumbent"]
    models = [("incumbent", incumbent["scores"])] if incumbent else []
    ensemble = summary.get("ensemble")
    models += [("ensemble", ensemble["scores"])] if ensemble else []
    models += [("refitted", ensemble["refit"]["scores"])] if ensemble and ensemble.get("refit", {}).get("scores") else []
    models += [(baseline["name"], baseline.get("scores", {})) for baseline in summary.get("baselines", [])]
    optimised = [f"{split}_{summary['metric']['name']}" for split in ("val", "test")]
    first: dict[str, float] = next((scores for _, scores in models if scores), {})
    names = [name for name in first if name in optimised or not name.endswith("_loss")]
    table = Table(title=f"scores on {summary['task']}", title_justify="left")
    table.add_column("")
    for model, _ in models:
        table.add_column(model, justify="right")
    for name in names:
        table.add_row(name, *(_number(scores.get(name)) for _, scores in models))
    return table


def _number(score: float | None) -> str:
    return "–" if score is None else f"{score:.4f}"


def _leaderboard(summary: dict[str, Any]) -> Table:
    """The ensemble, its members and the best other models: scores, what they cost, and their weight."""
    metric, ensemble = summary["metric"], summary["ensemble"]
    shown = [model for i, model in enumerate(ranked(summary)) if i < BEST_MODELS or model["weight"]]
    table = Table(title=f"models, by {metric['name']} on the validation rows", title_justify="left")
    table.add_column("model", no_wrap=True)
    for column in ("validation", "test", "fit s", "ms / 1,000 rows", "weight"):
        table.add_column(column, justify="right")
    scores, members = ensemble["scores"], [model for model in shown if model["weight"]]
    cost = 1000 * sum(model["predict_seconds_per_1000"] for model in members)
    both = (_number(scores.get(f"{split}_{metric['name']}")) for split in ("val", "test"))
    table.add_row(
        f"ensemble of {len(members)}", *both, f"{sum(m['fit_seconds'] for m in members):.1f}", f"{cost:.1f}", "1", end_section=True
    )
    for model in shown:
        values = (f"{model['validation_score']:.4f}", _number(model["test_score"]), f"{model['fit_seconds']:.1f}")
        weight = f"{model['weight']:.2f}" if model["weight"] else ""
        table.add_row(_model_name(model["name"]), *values, f"{1000 * model['predict_seconds_per_1000']:.1f}", weight)
    return table


def _model_name(name: str) -> str:
    """A model in words.

    >>> _model_name("00003-012"), _model_name("lightgbm")
    ('network 3 at epoch 12', 'lightgbm')
    """
    trial, _, epoch = name.partition("-")
    return f"network {int(trial)} at epoch {int(epoch)}" if trial.isdigit() else name
