"""The quality report of a surrogate in the few numbers that fit a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """Name of the chosen model, and its scores on configurations that it had not seen.

    ``Spearman`` is of the final values, ``@e`` of the values after e epochs, ``in 80 %`` the share of recorded values inside
    the interval that should hold 80 % of them, ``best baseline`` the largest Spearman among k-NN, random forest and row network.
    """
    chosen = report["candidates"][report["chosen"]]
    last = report["n_entries"] - 1
    by_epoch = {f"@{epoch}": value for epoch, value in chosen["spearman_at"].items() if int(epoch) != last}
    baselines = {name: scores["spearman_final"] for name, scores in report["baselines"].items()}
    return {
        "model": report["chosen"],
        "n": report["n_configurations"],
        "scores": {
            "Spearman": chosen["spearman_final"],
            "best baseline": max(baselines.values()) if baselines else None,
            "R²": chosen["r2"],
            "MAE": chosen["mae"],
            **by_epoch,
            "in 80 %": chosen["coverage"]["80"],
        },
        "baselines": baselines,
    }
