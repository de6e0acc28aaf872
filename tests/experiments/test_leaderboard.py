"""What a finished run holds, as tables for people."""

import pytest

from experiments.leaderboard import models_table
from pipeline.predictor import Part, Predictor
from pipeline.preprocessing.columns import Columns
from pipeline.tasks import bundled_task
from pipeline.traditional.model import ORDER, build

TASKS = {"classification": "iris", "regression": "diabetes"}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in ORDER.items() for name in names])
def test_every_traditional_model_is_named_and_keeps_its_preprocessing_to_itself(kind, name):
    task = bundled_task(TASKS[kind])
    columns = Columns.of(task.X)
    parts = tuple(Part(build(name, task.info, columns.nominal, seed)) for seed in range(3))
    table = models_table(Predictor(task.info.name, columns, task.classes, ("its_name",), (1.0,), (parts,), {}))
    assert table.splitlines()[2:] == [f"| its_name | its own | {name} × 3 folds | 1.00 |"]
