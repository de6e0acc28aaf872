"""A small run without a search: two networks, one with learned embeddings, and two traditional models, saved as a predictor."""

import numpy as np
import pandas as pd
import pytest
from ConfigSpace import Configuration

from lcbench.metric import METRICS
from lcbench.query import Query
from pipeline.fitting import fit
from pipeline.live import LiveBenchmark, member_name
from pipeline.predictor import assemble
from pipeline.spaces import apt2021
from pipeline.tasks import cross_validated, file_task

LEARNED = {"embedding": "learned", "learned.min_unique_values": 3, "learned.dimension_reduction": 0.5}
WEIGHTS = (0.4, 0.3, 0.2, 0.1)
TRADITIONAL = ("linear", "lightgbm")


def mixed_table(n=160):
    """A number, a category and a date, with missing cells; a label and an amount to predict."""
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=n), rng.choice(["red", "green", "blue", "grey"], n).astype(object)
    label = np.where(size + (colour == "red") > 0.2, "yes", "no")
    size[::9] = np.nan
    colour[::11] = None
    return pd.DataFrame(
        {"size": size, "colour": colour, "when": pd.date_range("2020-01-01", periods=n), "label": label, "amount": size * 3 + 1}
    )


def _train(folder, target, folds):
    mixed_table().drop(columns=["amount" if target == "label" else "label"]).dropna(subset=[target]).to_parquet(folder / "table.parquet")
    task = file_task(folder / "table.parquet", target)
    task = cross_validated(task, folds) if folds else task
    search_space = apt2021.space(task.info)
    metric = METRICS["accuracy" if target == "label" else "r2"]
    live = LiveBenchmark(task.info, search_space, 6, metric, folder, folds=folds or 1)
    live.set_up(task)
    default = search_space.space.get_default_configuration()
    queries = [Query(Configuration(search_space.space, values=dict(default) | LEARNED), 2, 0, 1), Query(default, 6, 1, 1)]
    assert all(live.evaluate(query).ok for query in queries)
    for name in TRADITIONAL:
        fit(folder, task.info, name, metric, 30.0, 0)
    names = [*map(member_name, queries), *TRADITIONAL]
    assemble(folder, names, WEIGHTS, task.info.name)
    return folder, task, names


@pytest.fixture(scope="session")
def table():
    """The table of the small runs."""
    return mixed_table


@pytest.fixture(scope="session")
def weights():
    """The weights of the members of the small runs."""
    return WEIGHTS


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """``small_run(target, folds)``: folder, task and names of the members; each is trained once and not to be changed."""
    made = {}

    def run(target, folds=None):
        if (target, folds) not in made:
            made[target, folds] = _train(tmp_path_factory.mktemp(f"{target}-{folds}"), target, folds)
        return made[target, folds]

    return run
