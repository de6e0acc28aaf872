"""What runs reached beside what anybody gets without a search: ``python -m experiments.yardstick RUNS``.

The references are what people would fit first, with the defaults of their libraries, on *all* rows that are not tested on; the models of a
run have been trained on a part of these unless the run was refitted. What references answer is kept in ``RUNS/yardstick``, so that a second
look fits nothing. ``--csv FILE`` adds the scores to those of other runs in a file, so that several machines make one table; without RUNS
the table of the file is printed.

A difference of two models has two errors: other seeds would give other models, and other test rows other scores. The first is estimated
over the seeds, which share their test rows, the second for every run by a paired bootstrap of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
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
from lcbench.errors import UserError, exit_code
from lcbench.files import replacing
from lcbench.metric import Metric
from pipeline.ensemble import combine
from pipeline.members import read_kept
from pipeline.metrics import Judge, metric_for, score
from pipeline.predictor import REFITTED, Predictor, description
from pipeline.tasks import Task

MODELS = ("network", "single", "ensemble", "refitted")
"""Of a run: the best network and the best single model by their validation scores, and the ensemble as it was chosen and refitted."""
RUN = ("task", "space", "optimizer", "seed")
"""What tells runs apart."""
SAMPLES, MOST = 400, 10_000
"""Bootstrap samples of the test rows, and rows of a sample at most; errors are scaled to all of them."""
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
    """One row for every run and model, the wanted references and `MODELS`.

    ``score`` is that on the test rows, ``error_ensemble`` and ``error_refitted`` the standard error over the test rows of its difference
    to these, NaN where there are none.

    Raises:
        UserError: if no run kept its models and has test rows.
    """
    runs = [(path, summary) for path, summary in finished_runs(folder) if summary.get("ensemble") and summary["split"]["n_test"]]
    if not runs:
        raise UserError(f"{folder} holds no finished run that kept its models and has test rows: give what `runs=` was")
    start = time.monotonic()
    for number, (path, summary) in enumerate(runs):
        gone = time.monotonic() - start
        left = f", about {clock_text(gone / number * (len(runs) - number))} left" if number else ""
        console.print(f"{clock_text(gone)} gone{left}: {summary['task']}, seed {summary['seed']}", highlight=False)
        task, raw = build.searched_table(path)
        metric = metric_for(summary["metric"]["name"], task.info)
        about = {**{name: summary[name] for name in (*RUN, "seconds")}, "metric": metric.name, "direction": metric.direction}
        about |= {"budget": build.config_of(path).budget.seconds or np.nan, "commit": str(summary["versions"].get("commit"))[:7]}
        file = folder / "yardstick" / f"{summary['task']}-{summary['seed']}-{raw.checksum():08x}.npz"
        answers = {**references(task, summary["seed"], wanted, file), **models(path, summary, task)}
        yield from ({**about, **row} for row in judged(metric, task.y[task.test], answers))


def references(task: Task, seed: int, names: Sequence[str], file: Path) -> dict[str, NDArray[Any]]:  # name -> (n_test, C)
    """What references answer on the test rows of a task; what is not in the file yet is fitted and put there."""
    kept = dict(np.load(file)) if file.exists() else {}
    missing = [name for name in names if name not in kept]
    if missing:
        kept |= {name: REFERENCES[name](task, seed) for name in missing}
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **kept)
    return {name: kept[name] for name in names}


def models(path: Path, summary: Mapping[str, Any], task: Task) -> dict[str, NDArray[Any]]:  # name -> (n_test, C)
    """What the models of a run answer on the test rows, see `MODELS`; without what it has not.

    An ensemble that was refitted on the test rows, too, is left out.
    """
    best = [model["name"] for model in ranked(summary)]
    network = next((name for name in best if name[0].isdigit()), None)
    kept = {name: one.test for name in best if (one := read_kept(path, name))}
    members = summary["ensemble"]["members"]
    found: dict[str, NDArray[Any]] = {"network": kept[network]} if network else {}
    found["single"] = kept[best[0]]
    found["ensemble"] = combine(list(members.values()), [kept[name] for name in members])
    if (path / REFITTED).exists() and description(path / REFITTED)["rows"] == "train":
        predictor = Predictor.load(path / REFITTED)
        found["refitted"] = predictor.answer(predictor.columns.read(task.X.iloc[task.test]))
    return found


def judged(metric: Metric, y: NDArray[Any], answers: Mapping[str, NDArray[Any]]) -> Iterator[dict[str, Any]]:
    """The row of each model, see `rows`."""
    scale = np.sqrt(min(len(y), MOST) / len(y))
    again = dict(zip(answers, resampled(metric, y, list(answers.values())), strict=True))
    for name, answer in answers.items():
        errors = {f"error_{best}": scale * np.nanstd(again[name] - again[best]) if best in again else np.nan for best in ENSEMBLES}
        yield {"model": name, "score": score(metric, y, answer), **errors}


def resampled(metric: Metric, y: NDArray[Any], answers: Sequence[NDArray[Any]]) -> NDArray[np.float64]:  # (m, SAMPLES)
    """Scores of m models on test rows drawn with replacement, the same for all of them; NaN where a draw has no score."""
    rng = np.random.default_rng(0)
    values = np.empty((len(answers), SAMPLES))
    for sample in range(SAMPLES):
        drawn = rng.integers(0, len(y), min(len(y), MOST))
        judge = Judge(metric, y[drawn])
        values[:, sample] = [judge.values(judge.seen(answer[drawn])[None])[0] for answer in answers]
    return values


def table(scores: pd.DataFrame, best: str) -> pd.DataFrame:
    """One row per task and method: mean test scores over the seeds, and how `best` stands among the references and single models.

    ``place`` is *first*, *within 1 s.e.* of the first by the standard error over the seeds of the difference of the two means, *within 1
    s.e. of the test rows* by the mean of the seeds' standard errors over the rows, or *behind* by how much.
    """
    lines = []
    methods = scores.drop_duplicates(["task", "space", "optimizer"])["task"].value_counts()
    for (task, space, optimizer), group in scores.groupby(["task", "space", "optimizer"], sort=False):
        models = {str(name): part for name, part in group.groupby("model", sort=False)}
        means = {name: models[name]["score"].mean() if name in models else np.nan for name in (*REFERENCES, *MODELS)}
        seeds, metric = len(models[best]) if best in models else 0, group["metric"].iloc[0]
        name = task if methods[task] == 1 else f"{task}, {optimizer} in {space}"
        lines.append({"task": name, "metric": metric, "seeds": seeds, **means, "place": _place(models, best)})
    return pd.DataFrame(lines).dropna(axis=1, how="all")


def _place(models: Mapping[str, pd.DataFrame], best: str) -> str:
    measured = {name: part for name, part in models.items() if part["score"].notna().any()}
    rivals = {name: part for name, part in measured.items() if name == best or name not in ENSEMBLES}
    if best not in rivals:
        return "not measured"
    sign = 1 if rivals[best]["direction"].iloc[0] == "maximize" else -1
    leader = max(rivals, key=lambda name: (sign * rivals[name]["score"].mean(), name == best))
    ahead, judged = (rivals[name].set_index("seed")["score"] for name in (leader, best))
    behind, together = sign * (ahead.mean() - judged.mean()), ahead - judged if leader in MODELS else None  # of the same runs
    chance = [together.dropna()] if together is not None else [ahead, judged]
    seeds = float(np.sqrt(sum(one.var(ddof=1) / len(one) for one in chance))) if len(judged) > 1 else 0.0
    if leader == best:
        return "first"
    if behind <= seeds:
        return "within 1 s.e."
    if behind <= rivals[leader][f"error_{best}"].mean():
        return f"within 1 s.e. of the test rows ({leader} +{behind:.2g})"
    return f"behind {leader} by {behind:.2g}"


def joined(scores: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The scores beside those of a file, into which they are written; a run that was measured anew replaces all its rows.

    Raises:
        UserError: if the file holds runs of another budget.
    """
    if scores.empty:
        return pd.read_csv(file)
    if file.exists():
        before = pd.read_csv(file)
        if budgets := set(before["budget"].dropna()) - set(scores["budget"]):
            raise UserError(f"{file} holds runs of {min(budgets):g} seconds, which these are not: give `--csv` another file")
        again = pd.MultiIndex.from_frame(before[[*RUN]]).isin(pd.MultiIndex.from_frame(scores[[*RUN]]))
        scores = pd.concat([before[~again], scores])
    order = scores["model"].map([*REFERENCES, *MODELS].index)
    scores = scores.assign(order=order).sort_values([*RUN, "order"], ignore_index=True).drop(columns="order")
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


def versions(scores: pd.DataFrame) -> str:
    """Which versions of the code made how many of the runs."""
    runs = scores.drop_duplicates([*RUN]).groupby("commit").size()
    return "runs by version: " + ", ".join(f"{commit} {count}" for commit, count in runs.items())


def failures(folder: Path) -> Iterator[str]:
    """How many runs have ended, and a line for each that has not or in which something failed."""
    begun = sorted(path.parent for path in folder.glob("live/**/config.yaml"))
    ended = [path for path in begun if (path / "DONE").exists()]
    yield f"{len(ended)} of {len(begun)} runs have ended"
    yield from (f"{path}: has not ended" for path in begun if path not in ended)
    for path in ended:
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        parts = [f"{count} of {summary['n_results']} trainings {end}" for end, count in summary["n_failed"].items() if count]
        parts += [f"{model['name']}: {model['error'].strip().splitlines()[-1]}" for model in summary["traditional"] if "error" in model]
        if parts:
            yield f"{path}: {'; '.join(parts)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what is missing, print the table, and return the exit code: 0 all is well, 2 it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m experiments.yardstick", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="?", help="what `runs=` was; OpenML tasks are read from OPENML_CACHE_DIR")
    parser.add_argument("--of", choices=ENSEMBLES, default="ensemble", help="whose place is said")
    parser.add_argument(
        "--references", nargs="*", choices=list(REFERENCES), default=list(REFERENCES), help="only some of them: CatBoost takes longest"
    )
    parser.add_argument("--csv", type=Path, help="file for the test scores of every run; what it holds of other tasks and seeds stays")
    options = parser.parse_args(arguments)
    if not options.runs and not (options.csv and options.csv.exists()):
        parser.error("give what `runs=` was, or --csv with a file of scores")
    return exit_code(partial(report, options))


def report(options: argparse.Namespace) -> None:
    """Fit what is missing, and print the table."""
    scores = pd.DataFrame(rows(options.runs, options.references, Console(markup=False)) if options.runs else [])
    scores = joined(scores, options.csv) if options.csv else scores
    print(markdown(table(scores, options.of)))
    print(versions(scores))
    if options.runs:
        print("\n".join(failures(options.runs)))


if __name__ == "__main__":
    sys.exit(main())
