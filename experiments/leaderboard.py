"""What a finished run holds, for people at a prompt: its models, the members of its ensemble, how its trainings ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the report of a simulated run needs `ranked` and neither of these
    import pandas as pd

    from pipeline.predictor import Part, Predictor

ENDS = {"crashed": "crashed", "diverged": "diverged", "timeout": "hit the time limit", "memout": "hit the memory limit"}
"""How a training can fail, in words."""
PREPROCESSING = ("imputer.numerical", "coalescer", "encoder", "scaler", "preprocessor", "embedding")
"""Settings that name the steps of a preprocessing, in their order."""


def ranked(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every model that the ensemble could choose from, as the summary has it: the best on the validation rows first, of equals members."""
    sign = -1 if summary["metric"]["direction"] == "maximize" else 1
    return sorted(summary["ensemble"]["models"], key=lambda model: (sign * model["validation_score"], -model["weight"], model["name"]))


def leaderboard(summary: Mapping[str, Any]) -> pd.DataFrame:
    """The models of `ranked`, one row each.

    Columns: ``name``, ``validation_score``, ``test_score`` (NaN without test rows), ``fit_seconds``, ``predict_seconds_per_1000``,
    ``weight``.
    """
    import pandas as pd

    return pd.DataFrame(ranked(summary)).astype({"test_score": float})


def models_table(predictor: Predictor) -> str:
    """The members as a table in Markdown, the heaviest first."""
    lines = ["| Name | Preprocessing | Estimator | Weight |", "|:--|:--|:--|--:|"]
    for name, weight, parts in zip(predictor.names, predictor.weights, predictor.members, strict=True):
        preprocessing, estimator = _words(parts)
        lines.append(f"| {name} | {preprocessing} | {estimator} | {weight:.2f} |")
    return "\n".join(lines)


def _words(parts: Sequence[Part]) -> tuple[str, str]:
    """Preprocessing and estimator of a member."""
    from pipeline.predictor import FittedNetwork

    folds = f" × {len(parts)} folds" if len(parts) > 1 else ""
    model = parts[0].model
    if not isinstance(model, FittedNetwork):
        return "its own", f"{getattr(model, 'name', '')}{folds}"
    steps = [str(model.settings[name]) for name in PREPROCESSING]
    return ", ".join(step for step in steps if step != "none"), f"{model.settings['network']}, {model.settings['optimizer']}{folds}"


def statistics(summary: Mapping[str, Any]) -> str:
    """Metric, best score, and how the trainings ended, as lines."""
    failed = summary["n_failed"]
    lines = [
        f"Dataset name: {summary['task']}",
        f"Optimisation metric: {summary['metric']['name']}",
        f"Best validation score of a single model: {ranked(summary)[0]['validation_score']:.4f}",
        f"Validation score of the ensemble: {summary['ensemble']['scores']['val_' + summary['metric']['name']]:.4f}",
        f"Number of trainings: {summary['n_results']}",
        f"Number of successful trainings: {summary['n_results'] - sum(failed.values())}",
        *(f"Number of trainings that {words}: {failed.get(end, 0)}" for end, words in ENDS.items()),
    ]
    return "\n".join(lines)
