"""What runs reached beside what anybody gets without a search: ``python -m experiments.yardstick RUNS``.

The references are what people would fit first, with the defaults of their libraries, on *all* rows that are not tested on; the models of a
run have been trained on a part of these unless the run was refitted. What was fitted is kept in ``RUNS/yardstick``, so that a second look
takes no time. ``--csv FILE`` adds the scores to those of other runs in a file, so that several machines make one table; without RUNS the
table of the file is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from experiments import build
from experiments.display import clock_text
from experiments.leaderboard import ranked
from experiments.records import finished_runs
from lcbench.errors import UserError, in_words
from lcbench.files import replacing
from pipeline.metrics import metric_for, score
from pipeline.tasks import Task

MODELS = ("network", "single", "ensemble", "refitted")
"""Of a run: the best network and the best single model by their validation scores, and the ensemble as it was chosen and refitted."""
KEY = ("task", "space", "optimizer", "seed")
"""What tells runs apart."""
ENSEMBLES = ("ensemble", "refitted")
"""Two states of one model, which are no rivals."""


def frames(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to learn from and the test rows, with categories as codes, a missing one as -1, and plain names (LightGBM wants them)."""
    X = task.X.set_axis([f"x{i}" for i in range(task.X.shape[1])], axis=1)
    for name in X.columns[[isinstance(dtype, pd.CategoricalDtype) for dtype in X.dtypes]]:
        X[name] = pd.Categorical(X[name].cat.codes)
    return X.iloc[task.rest], X.iloc[task.test]


def constant(task: Task, seed: int) -> NDArray[Any]:
    """The majority class, or the mean."""
    y = task.y[task.rest]
    answer = np.bincount(y, minlength=len(task.classes)) / len(y) if task.classes else [y.mean()]
    return np.tile(answer, (len(task.test), 1))


def linear(task: Task, seed: int) -> NDArray[Any]:
    """Logistic or ridge regression of scikit-learn on standardised numbers and indicators of categories."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_exclude="category")),
    )
    return _answers(make_pipeline(columns, LogisticRegression(max_iter=1000) if task.classes else Ridge()), task)


def lightgbm(task: Task, seed: int) -> NDArray[Any]:
    """LightGBM with its defaults, categories as such."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    return _answers((LGBMClassifier if task.classes else LGBMRegressor)(random_state=seed, verbose=-1), task)


def catboost(task: Task, seed: int) -> NDArray[Any]:
    """CatBoost with its defaults, categories as such."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    nominal = [name for name, dtype in frames(task)[0].dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    about = {"random_seed": seed, "verbose": False, "allow_writing_files": False, "cat_features": nominal}
    return _answers((CatBoostClassifier if task.classes else CatBoostRegressor)(**about), task)


def _answers(model: Any, task: Task) -> NDArray[Any]:  # (n_test, C)
    train, test = frames(task)
    model.fit(train, task.y[task.rest])
    if not task.classes:
        return np.asarray(model.predict(test)).reshape(-1, 1)
    known = np.asarray(model.classes_, np.int64)  # a class without rows to learn from is not known
    answers = np.zeros((len(test), len(task.classes)))
    answers[:, known] = model.predict_proba(test)
    return answers


REFERENCES: dict[str, Callable[[Task, int], NDArray[Any]]] = {
    "constant": constant,
    "linear": linear,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
}


def rows(folder: Path, wanted: Sequence[str], console: Console) -> Iterator[dict[str, Any]]:
    """One row per run: task, seed, metric, and the test score of every wanted reference and of the run's models.

    Raises:
        UserError: if no run kept its models and has test rows.
    """
    runs = [(path, summary) for path, summary in finished_runs(folder) if summary.get("ensemble") and summary["split"]["n_test"]]
    if not runs:
        raise UserError(f"{folder} holds no finished run that kept its models and has test rows: give what `runs=` was")
    start = time.monotonic()
    for number, (path, summary) in enumerate(runs):
        file = folder / "yardstick" / f"{summary['task']}-{summary['seed']}-{summary['metric']['name']}.json"
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        missing = [name for name in wanted if name not in kept]
        if missing:
            gone = time.monotonic() - start
            left = f", about {clock_text(gone / number * (len(runs) - number))} left" if number else ""
            console.print(
                f"{clock_text(gone)} gone{left}: {', '.join(missing)} on {summary['task']}, seed {summary['seed']}", highlight=False
            )
            kept |= references(path, summary, missing)
            file.parent.mkdir(exist_ok=True)
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(kept), encoding="utf-8")
        metric = {"metric": summary["metric"]["name"], "direction": summary["metric"]["direction"]}
        yield {**{name: summary[name] for name in (*KEY, "seconds")}, **metric, **{name: kept[name] for name in wanted}, **models(summary)}


def references(path: Path, summary: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Test scores of references on the task of a run."""
    task = build.build_task(build.config_of(path))
    metric = metric_for(summary["metric"]["name"], task.info)
    return {name: score(metric, task.y[task.test], REFERENCES[name](task, summary["seed"])) for name in names}


def models(summary: Mapping[str, Any]) -> dict[str, float]:
    """Test scores of what a run found, see `MODELS`."""
    best = ranked(summary)
    test = f"test_{summary['metric']['name']}"
    networks = [model["test_score"] for model in best if model["name"][0].isdigit()]
    refitted = summary["ensemble"].get("refit", {}).get("scores", {}).get(test, np.nan)
    found = (networks[0] if networks else np.nan, best[0]["test_score"], summary["ensemble"]["scores"][test], refitted)
    return dict(zip(MODELS, found, strict=True))


def table(scores: pd.DataFrame, best: str) -> pd.DataFrame:
    """One row per task: mean test scores over the seeds, and how `best` stands among the references and the single models of the run.

    ``place`` is *first*, *within 1 s.e.* of the first, or *behind* by how much; the standard error is that of the difference of the two
    means over the seeds.
    """
    columns = [name for name in (*REFERENCES, *MODELS) if name in scores and scores[name].notna().any()]
    rivals = [name for name in columns if name == best or name not in ENSEMBLES]
    lines = []
    for task, group in scores.groupby("task", sort=False):
        sign = 1 if group["direction"].iloc[0] == "maximize" else -1
        means = group[columns].mean()
        leader = str((sign * means[rivals]).idxmax())
        behind = sign * (means[leader] - means[best])
        error = float(np.sqrt((group[leader].var(ddof=1) + group[best].var(ddof=1)) / len(group))) if len(group) > 1 else 0.0
        place = "first" if leader == best or behind <= 0 else "within 1 s.e." if behind <= error else f"behind {leader} by {behind:.2g}"
        lines.append({"task": task, "metric": group["metric"].iloc[0], "seeds": len(group), **means, "place": place})
    return pd.DataFrame(lines)


def joined(scores: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The scores beside those of a file, into which they are written; a run that was measured anew replaces its row."""
    if scores.empty:
        return pd.read_csv(file)
    scores = pd.concat([pd.read_csv(file), scores]) if file.exists() else scores
    scores = scores.drop_duplicates([*KEY], keep="last").sort_values([*KEY], ignore_index=True)
    with replacing(file) as temporary:
        scores.to_csv(temporary, index=False)
    return scores


def markdown(found: pd.DataFrame) -> str:
    """The table for a page."""
    head = [str(name) for name in found.columns]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(':--' if name in ('task', 'metric', 'place') else '--:' for name in head)}|"]
    for row in found.itertuples(index=False):
        lines.append(f"| {' | '.join(f'{value:.4f}' if isinstance(value, float) else str(value) for value in row)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what is missing, print the table, and return the exit code: 0 all is well, 2 it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m experiments.yardstick", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="?", help="what `runs=` was; OpenML tasks are read from OPENML_CACHE_DIR")
    parser.add_argument("--of", choices=MODELS, default="ensemble", help="whose place is said")
    parser.add_argument(
        "--references", nargs="*", choices=list(REFERENCES), default=list(REFERENCES), help="only some of them: CatBoost takes longest"
    )
    parser.add_argument("--csv", type=Path, help="file for the test scores of every run; what it holds of other tasks and seeds stays")
    options = parser.parse_args(arguments)
    if not options.runs and not (options.csv and options.csv.exists()):
        parser.error("give what `runs=` was, or --csv with a file of scores")
    try:
        scores = pd.DataFrame(rows(options.runs, options.references, Console(markup=False)) if options.runs else [])
        print(markdown(table(joined(scores, options.csv) if options.csv else scores, options.of)))
    except (UserError, OSError) as error:
        print(in_words(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
