"""The surrogate benchmark: the laws of a benchmark, seconds that never go backwards, and no quality that is not stated."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.__main__ import main
from lcbench.benchmark import CurveBenchmark
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.query import Query
from lcbench.salvage import repair_curves, verify_curves
from lcbench.space import sample
from lcbench.store import write_curves
from lcbench.surrogate_benchmark import SurrogateBenchmark, bounds_of, is_maximised
from lcbench.tabular import TabularBenchmark
from tests.lcbench.tables import SPACE, fake_table

COLUMNS = "val_accuracy,val_cross_entropy,seconds"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A database whose task has closed-form curves, with its fitted surrogate."""
    path = tmp_path_factory.mktemp("surrogate") / "db.h5"
    write_curves(path, [fake_table(60)])
    assert main(["fit-surrogate", str(path), "--columns", COLUMNS, "--workers", "1"]) == 0
    return path


@pytest.fixture(scope="module")
def benchmark(database):
    return SurrogateBenchmark.load("vehicle", database)


def _query(epoch, seed=0, number=5):
    return Query(sample(SPACE, np.random.default_rng(number)), epoch, 0, seed)


def test_it_is_a_curve_benchmark(benchmark):
    assert isinstance(benchmark, CurveBenchmark)
    assert (benchmark.first, benchmark.epochs, benchmark.task.name) == (1, 12, "vehicle")


def test_the_same_query_gives_the_same_curve_and_a_shorter_one_a_prefix(benchmark):
    short, long = benchmark.evaluate(_query(4)), benchmark.evaluate(_query(12))
    assert benchmark.evaluate(_query(12)).curve == long.curve
    assert short.curve == long.curve.prefix(4)
    assert long.loss == 1 - long.curve.values["val_accuracy"][-1]
    assert long.seconds == long.curve.seconds[-1]


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_seconds_never_go_backwards_and_values_stay_in_bounds(benchmark, number):
    curve = benchmark.curve(_query(12, number=number))
    assert np.all(np.diff(curve.seconds) >= 0)
    assert curve.seconds[0] >= 0
    assert 0 <= curve.values["val_accuracy"].min() <= curve.values["val_accuracy"].max() <= 1
    assert curve.values["val_cross_entropy"].min() >= 0


def test_it_predicts_configurations_that_it_has_not_seen(benchmark):
    unseen = TabularBenchmark(fake_table(160))
    truth = [unseen.value(row, 12) for row in range(60, 160)]
    predicted = [1 - benchmark.evaluate(_query(12, number=row)).loss for row in range(60, 160)]
    assert np.corrcoef(truth, predicted)[0, 1] > 0.9
    assert benchmark.best_loss <= min(1 - value for value in predicted)


def test_noise_belongs_to_the_configuration_and_the_seed(database):
    noisy = SurrogateBenchmark.load("vehicle", database, noise=True)
    assert noisy.curve(_query(12)) == noisy.curve(_query(12))
    assert noisy.curve(_query(12)) != noisy.curve(_query(12, seed=1))
    assert np.all(np.diff(noisy.curve(_query(12)).seconds) >= 0)


def test_a_model_below_the_stated_quality_is_refused_unless_forced(database):
    loaded = Database(database)
    models = loaded.fitted("vehicle")
    for model in models:
        model.about["report"]["nested_spearman_final"] = 0.3
    with pytest.raises(UserError, match=r"Spearman correlation of 0\.300, but at least 0\.5 is asked for: .*force=True"):
        SurrogateBenchmark(loaded.table("vehicle"), models)
    SurrogateBenchmark(loaded.table("vehicle"), models, force=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "balanced_accuracy"}, "has no model of 'val_balanced_accuracy', only of seconds, val_accuracy, val_cross_entropy"),
        ({"metric": "acuracy"}, "has no model of 'val_acuracy', only of seconds, val_accuracy"),
        ({"view": "all"}, "`view` is 'all', but must be one of"),
    ],
)
def test_bad_options_say_what_there_is(database, options, message):
    with pytest.raises(UserError, match=message):
        SurrogateBenchmark.load("vehicle", database, **options)


def test_an_epoch_outside_the_view_is_refused(benchmark):
    with pytest.raises(IndexError, match=r"`epoch` is 13, but 'vehicle' can be asked for epochs 1\.\.12"):
        benchmark.evaluate(_query(13))


def test_a_task_without_models_says_how_to_fit_them(tmp_path):
    write_curves(tmp_path / "c.h5", [fake_table(5)])
    with pytest.raises(UserError, match=r"has no surrogate of 'vehicle' .*python -m lcbench fit-surrogate"):
        SurrogateBenchmark.load("vehicle", tmp_path / "c.h5")


def test_what_is_fitted_is_kept_unless_its_curves_changed(database, tmp_path, capsys):
    path = tmp_path / "c.h5"
    path.write_bytes(database.read_bytes())
    assert main(["fit-surrogate", str(path), "--columns", COLUMNS, "--workers", "1"]) == 0
    assert "0 models fitted" in capsys.readouterr().out
    write_curves(path, [fake_table(25)], models=Database(database).fitted("vehicle"))
    assert main(["fit-surrogate", str(path), "--columns", "val_accuracy", "--workers", "1"]) == 0
    assert "1 models fitted" in capsys.readouterr().out


def test_the_quality_is_printed(database, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["info", str(database)]) == 0
    shown = capsys.readouterr().out
    assert "on configurations held out by cross-validation; mean" in shown
    assert all(word in shown for word in ("Spear-", "line", "R²", "MAE", "@6", "80", "val_cross_entropy"))
    assert main(["info", str(database), "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert {model["column"] for model in models} == set(COLUMNS.split(","))
    assert all(-1 <= model["scores"]["Spearman"] <= 1 for model in models)


def test_models_are_verified_and_kept_in_a_repair(database, tmp_path):
    path = tmp_path / "c.h5"
    path.write_bytes(database.read_bytes())
    assert verify_curves(path) == []
    data = bytearray(path.read_bytes())
    at = data.index(b'"chosen"')
    data[at + 1] ^= 1
    path.write_bytes(data)
    assert "the checksum of /models/vehicle/lcbench/" in verify_curves(path)[0]
    assert "a damaged model was dropped" in " ".join(repair_curves(path))
    assert verify_curves(path) == []
    assert len(Database(path).fitted("vehicle")) == 2


def test_serving_needs_no_training_library(database):
    program = (
        "import sys; from lcbench.surrogate_benchmark import SurrogateBenchmark; from lcbench.query import Query; "
        f"b = SurrogateBenchmark.load('vehicle', {str(database)!r}); "
        "b.evaluate(Query(b.space.get_default_configuration(), 5, 0)); "
        "print([m for m in ('torch', 'sklearn', 'pandas') if m in sys.modules])"
    )
    answer = subprocess.check_output([sys.executable, "-c", program], text=True, env={**os.environ, "PYTHONPATH": "."})
    assert answer.strip() == "[]"


@pytest.mark.parametrize(
    ("column", "bounds", "maximised"),
    [
        ("val_accuracy", (0, 1), True),
        ("test_cross_entropy", (0, math.inf), False),
        ("val_r2", (-math.inf, 1), True),
        ("val_top_k_accuracy", (-math.inf, math.inf), True),
        ("val_neg_median_absolute_error", (-math.inf, 0), True),
        ("gradient_norm", (-math.inf, math.inf), False),
        ("seconds", (0, math.inf), False),
    ],
)
def test_every_column_knows_its_worse_side(column, bounds, maximised):
    """What crashed is learnt as the worst of it."""
    assert bounds_of(column) == bounds
    assert is_maximised(column) is maximised
