"""Predict the rows of a file with the model that a run kept: ``python -m pipeline.predict RUN new.csv``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import pandas as pd

from lcbench.errors import UserError, exit_code
from pipeline.predictor import Predictor
from pipeline.table import SUFFIXES, read_file


def main(arguments: list[str] | None = None) -> int:
    """Write labels and probabilities, or numbers, of every row; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description=__doc__)
    parser.add_argument("run", help="directory of a finished run, or its folder predictor")
    parser.add_argument(
        "table", help="CSV or Parquet file with the columns of the training table; more columns and another order do no harm"
    )
    parser.add_argument("--to", help="file to write, .csv or .parquet; without it the predictions are printed as CSV")
    options = parser.parse_args(arguments)
    return exit_code(partial(predict, options))


def predict(options: argparse.Namespace) -> None:
    """Read, predict and write."""
    if options.to and not options.to.lower().endswith(SUFFIXES):
        raise UserError(f"`--to` is {options.to!r}, but must end in one of {', '.join(SUFFIXES)}")
    predictor = Predictor.load(options.run)
    table, _ = read_file(Path(options.table), predictor.columns.text, predictor.columns.names)
    _write(_predicted(predictor, table), options.to)


def _predicted(predictor: Predictor, table: pd.DataFrame) -> pd.DataFrame:
    """One row per row of the table: ``prediction``, and ``probability_<label>`` of every class."""
    if not predictor.classes:
        return pd.DataFrame({"prediction": predictor.predict(table)})
    probabilities = predictor.predict_proba(table)
    labels = pd.Series([predictor.classes[code] for code in probabilities.argmax(1)], dtype=object)
    return pd.DataFrame({"prediction": labels} | {f"probability_{label}": probabilities[:, i] for i, label in enumerate(predictor.classes)})


def _write(predictions: pd.DataFrame, to: str | None) -> None:
    if to is None:
        predictions.to_csv(sys.stdout, index=False)
    elif Path(to).suffix.lower() in (".parquet", ".pq"):
        predictions.to_parquet(to, index=False)
    else:
        predictions.to_csv(to, index=False)


if __name__ == "__main__":
    sys.exit(main())
