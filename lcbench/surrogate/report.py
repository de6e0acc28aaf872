"""The quality report of a surrogate in the few numbers that fit a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """Name of the chosen model, and scores on configurations that were not seen.

    ``Spearman`` is of the final values, with the model chosen anew in every fold without the judged fold: the chosen model's
    own number is the best of several, so it is too large. The rest is of the chosen model: ``@e`` the Spearman of the values
    after e epochs, ``of the best`` the same among the 20 % that are recorded as the best, ``in 80 %`` the share of recorded values
    inside the interval that should hold 80 % of them. ``best baseline`` is the largest Spearman of the final values among k-NN,
    random forest and row network.
    """
    chosen = report["candidates"][report["chosen"]]
    last = report["n_entries"] - 1
    by_epoch = {f"@{epoch}": value for epoch, value in chosen["spearman_at"].items() if int(epoch) != last}
    baselines = {name: scores["spearman_final"] for name, scores in report["baselines"].items()}
    return {
        "model": report["chosen"],
        "n": report["n_configurations"],
        "scores": {
            "Spearman": report["nested_spearman_final"],
            "of the best": chosen["spearman_top"],
            "best baseline": max(baselines.values()) if baselines else None,
            "R²": chosen["r2"],
            "MAE": chosen["mae"],
            **by_epoch,
            "in 80 %": chosen["coverage"]["80"],
        },
        "baselines": baselines,
    }
