"""mf-prior-bench's call shape: query, trajectory, sample; results with error, score, cost and columns as attributes."""

import copy
import math
import pickle

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.formats.mfpbench_api import MFPBenchmark
from lcbench.store import write_curves
from lcbench.tabular import TabularBenchmark
from tests.fakes import FakeBenchmark
from tests.lcbench.formats.api_tables import SPACE, N, table, training

ROW = table().trainings[3]


@pytest.fixture
def path(tmp_path):
    write_curves(tmp_path / "curves.h5", [table()])
    return tmp_path / "curves.h5"


@pytest.fixture
def bench(path):
    return MFPBenchmark.load("vehicle", path)


def test_what_it_says_of_itself(bench):
    assert (bench.start, bench.end, bench.step, bench.fidelity_name) == (1, 51, 1, "epoch")
    assert bench.fidelity_range == (1, 51, 1)
    assert bench.space == SPACE
    assert bench.name == "lcbench-vehicle"


def test_a_result_has_error_score_cost_and_the_columns(bench):
    result = bench.query(ROW.configuration, at=25)
    at = {name: column[25] for name, column in ROW.curve.values.items()}
    assert result.fidelity == 25 and result.config == ROW.configuration
    assert (result.score, result.error) == (at["val_balanced_accuracy"], 1 - at["val_balanced_accuracy"])
    assert (result.test_score, result.test_error) == (at["test_balanced_accuracy"], 1 - at["test_balanced_accuracy"])
    assert (result.val_score, result.val_error) == (result.score, result.error)
    assert result.cost == result.time == ROW.curve.seconds[25]
    assert (result.val_accuracy, result.test_cross_entropy) == (100 * at["val_accuracy"], at["test_cross_entropy"])
    assert result.dict()["val_balanced_accuracy"] == at["val_balanced_accuracy"]
    with pytest.raises(AttributeError, match="a result has no 'f1', but time, "):
        _ = result.f1


def test_results_can_be_copied_and_compared(bench):
    result = bench.query(ROW.configuration, at=25)
    assert copy.deepcopy(result) == pickle.loads(pickle.dumps(result)) == result


def test_a_network_that_has_diverged_is_not_right_by_chance(tmp_path):
    row = training(1, entries=30, status="diverged")
    row.curve.values["val_balanced_accuracy"][-1] = 1.0
    write_curves(tmp_path / "curves.h5", [table(training(0), row)])
    bench = MFPBenchmark.load("vehicle", tmp_path / "curves.h5")
    at_the_end, best, before = (bench.query(row.configuration, **asked) for asked in ({"at": 29}, {"argmin": "error"}, {"at": 28}))
    assert at_the_end.error == math.inf
    assert math.isnan(at_the_end.val_accuracy)
    assert best.fidelity < 29
    assert before.error == 1 - row.curve.values["val_balanced_accuracy"][28]


def test_the_metric_can_be_chosen(path):
    result = MFPBenchmark.load("vehicle", path, metric="cross_entropy").query(ROW.configuration)
    last = ROW.curve.values["val_cross_entropy"][-1]
    assert (result.error, result.score) == (last, -last)


def test_a_trajectory_is_made_of_queries(bench):
    curve = bench.trajectory(ROW.configuration)
    assert [result.fidelity for result in curve] == list(range(1, 52))
    assert [result.fidelity for result in bench.trajectory(ROW.configuration, frm=3, to=10, step=3)] == [3, 6, 9]
    assert curve[24] == bench.query(ROW.configuration, at=25)
    assert curve[-1] == bench.query(ROW.configuration)


def test_the_best_up_to_an_epoch(bench):
    curve = bench.trajectory(ROW.configuration, to=20)
    assert bench.query(ROW.configuration, at=20, argmax="score").score == max(result.score for result in curve)
    assert bench.query(ROW.configuration, at=20, argmin="val_cross_entropy") == min(curve, key=lambda r: r.val_cross_entropy)
    with pytest.raises(UserError, match="only one of them"):
        bench.query(ROW.configuration, argmax="score", argmin="error")


def test_samples_of_a_table_were_recorded(bench):
    assert bench.sample(seed=1) == bench.sample(1, seed=1)[0]
    drawn = bench.sample(20, seed=1)
    assert drawn == bench.sample(20, seed=1) and len(drawn) == 20
    assert all(bench.query(configuration).cost > 0 for configuration in drawn)
    assert bench.sample(3, seed=np.random.RandomState(0)) == bench.sample(3, seed=np.random.RandomState(0))


def test_table_and_configurations(bench):
    assert bench.configs == {str(i): row.configuration for i, row in enumerate(table().trainings)}
    assert len(bench.table) == 51 * N


@pytest.mark.parametrize("at", [0, 52, 3.5, "3"])
def test_a_wrong_epoch_is_refused(bench, at):
    with pytest.raises(UserError, match=r"`epoch` is .*, but must be a whole number in 1\.\.51"):
        bench.query(ROW.configuration, at=at)


def test_a_training_that_ended_before_has_no_values():
    short = training(1, entries=4, status="crashed")
    curve = MFPBenchmark(TabularBenchmark(table(training(0), short))).trajectory(short.configuration, to=5)
    assert [math.isinf(result.error) for result in curve] == [False] * 3 + [True] * 2
    assert math.isnan(curve[-1].val_accuracy) and math.isnan(curve[-1].cost)


def test_any_benchmark_can_be_asked(path):
    bench = MFPBenchmark(FakeBenchmark(epochs=9))
    assert bench.end == 9
    assert 0 <= bench.query(bench.sample(seed=0), at=3).error <= 1
    assert len(bench.sample(2, seed=0)) == 2
    with pytest.raises(UserError, match="it has no table; use `sample`"):
        _ = bench.configs
    near = MFPBenchmark.load("vehicle", path, unknown="nearest")
    assert near.query(near.sample(seed=0)).error >= 0 and len(near.configs) == N
