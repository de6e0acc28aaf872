"""YAHPO Gym's call shape: a list of dicts in its names and units, the epoch counted from 1 = untrained."""

import math

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.formats.yahpo_api import TARGETS, BenchmarkSet
from lcbench.store import write_curves
from tests.fakes import FakeBenchmark
from tests.lcbench.curve_strategies import SPACES
from tests.lcbench.formats.api_tables import HIGGS, N, table, training


@pytest.fixture
def path(tmp_path):
    higgs = table(*(training(trial, seed=3) for trial in range(N)), task=HIGGS)
    write_curves(tmp_path / "curves.h5", [table(), higgs])
    return tmp_path / "curves.h5"


@pytest.fixture
def bench(path):
    return BenchmarkSet("lcbench", instance="167168", path=path, active_session=False, multithread=False)


def test_what_it_says_of_itself(bench):
    assert bench.instances == ["167200", "167168"]
    assert bench.instance == "167168"
    assert bench.targets == list(TARGETS)
    assert repr(bench) == "BenchmarkSet(lcbench)"


@pytest.mark.parametrize("epoch", [1, 2, 52])
def test_epoch_k_is_entry_k_minus_1(bench, epoch):
    row = table().trainings[3]
    [found] = bench.objective_function({**row.configuration, "epoch": epoch})
    assert list(found) == list(TARGETS)
    recorded = {name: column[epoch - 1] for name, column in row.curve.values.items()}
    assert found["time"] == row.curve.seconds[epoch - 1]
    assert found["val_accuracy"] == 100 * recorded["val_accuracy"]
    assert found["val_balanced_accuracy"] == recorded["val_balanced_accuracy"]
    assert found["test_cross_entropy"] == recorded["test_cross_entropy"]


def test_one_or_many_configurations_give_a_list(bench):
    configurations = [{**row.configuration, "epoch": 10.0} for row in table().trainings]
    answers = bench.objective_function(configurations, seed=3, logging=True)
    assert len(answers) == len(bench.archive) == N
    assert answers == [bench.objective_function(one)[0] for one in configurations]
    assert bench.archive[2] == {"time": bench.archive[2]["time"], "x": configurations[2], "y": answers[2]}


def test_spaces(bench, path):
    space = bench.get_opt_space(seed=1)
    assert set(space) == {*table().space, "epoch", "OpenML_task_id"}
    assert space["OpenML_task_id"].value == "167168"
    assert (space["epoch"].lower, space["epoch"].upper) == (1, 52)
    assert set(bench.get_opt_space(drop_fidelity_params=True)) == {*table().space, "OpenML_task_id"}
    assert bench.config_space["OpenML_task_id"].choices == ("167200", "167168")
    assert list(bench.get_fidelity_space(seed=3)) == ["epoch"]
    assert bench.get_opt_space(seed=1).sample_configuration(3) == bench.get_opt_space(seed=1).sample_configuration(3)


def test_any_configuration_is_answered_by_the_nearest_on_demand(path, bench):
    drawn = bench.get_opt_space(seed=0).sample_configuration()
    with pytest.raises(UserError, match="was not recorded on 'vehicle'; the nearest"):
        bench.objective_function(drawn)
    near = BenchmarkSet("lcbench", "167168", path=path, unknown="nearest").objective_function(drawn)
    assert near[0] in [bench.objective_function({**row.configuration, "epoch": drawn["epoch"]})[0] for row in table().trainings]


def test_the_instance_can_stand_in_the_configuration(path):
    bench = BenchmarkSet(path=path)
    configuration = {**table().trainings[0].configuration, "epoch": 3}
    answers = [bench.objective_function({**configuration, "OpenML_task_id": name})[0] for name in bench.instances]
    assert answers[0] != answers[1]
    bench.set_instance(167168)
    assert bench.objective_function({**configuration, "OpenML_task_id": "167200"}) == [answers[1]]  # as in YAHPO


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 0}, r"`epoch` is 0, but must be a whole number in 1\.\.52"),
        ({"epoch": 53}, r"`epoch` is 53, but"),
        ({"epoch": 2.5}, r"`epoch` is 2\.5, but"),
        ({"batchsize": 3, "epoch": 2}, r"the configuration has 'batchsize' \(did you mean 'batch_size'\?\)"),
        ({"momentum": 7.0, "epoch": 2}, "is not a configuration of the space 'lcbench'"),
        ({}, "`epoch` is missing"),
    ],
)
def test_what_cannot_be_asked_is_refused(bench, changes, message):
    with pytest.raises(UserError, match=message):
        bench.objective_function({**table().trainings[0].configuration, **changes})


def test_other_refusals(path):
    with pytest.raises(UserError, match="`instance` is '3945', but the instances of 'lcbench' are 167200, 167168"):
        BenchmarkSet("lcbench", instance="3945", path=path)
    with pytest.raises(UserError, match=r"`scenario` is 'nb301', but the search spaces in .* are lcbench"):
        BenchmarkSet("nb301", path=path)
    with pytest.raises(UserError, match="`noisy` is True"):
        BenchmarkSet(path=path, noisy=True)
    with pytest.raises(UserError, match="`OpenML_task_id` is missing: call set_instance"):
        BenchmarkSet(path=path).objective_function({"epoch": 1})


def test_a_training_that_ended_before_answers_nan(tmp_path):
    write_curves(tmp_path / "short.h5", [table(training(0), training(1, entries=4, status="crashed"))])
    bench = BenchmarkSet(instance=167168, path=tmp_path / "short.h5")
    configuration = training(1).configuration
    assert bench.objective_function({**configuration, "epoch": 4})[0]["val_accuracy"] >= 0
    assert all(math.isnan(value) for value in bench.objective_function({**configuration, "epoch": 5})[0].values())


def test_timed_sleeps_in_proportion(bench, monkeypatch):
    slept = []
    monkeypatch.setattr("lcbench.formats.yahpo_api.time.sleep", slept.append)
    bench.quant = 0.5
    answers = bench.objective_function_timed([{**row.configuration, "epoch": 52} for row in table().trainings[:2]])
    assert slept == [0.5 * sum(answer["time"] for answer in answers)]


def test_stats_of_the_targets(bench, path):
    stats = bench.target_stats
    assert list(stats.columns) == ["metric", "statistic", "value", "scenario", "instance"]
    largest = stats[(stats.metric == "val_accuracy") & (stats.statistic == "max")].value.item()
    assert largest == 100 * max(row.curve.values["val_accuracy"].max() for row in table().trainings)
    assert len(BenchmarkSet(path=path).target_stats) == 2 * len(stats) == 4 * len(TARGETS)


def test_any_benchmark_can_be_asked():
    fake = FakeBenchmark(epochs=9)
    bench = BenchmarkSet(instance="1", benchmarks={"1": fake})
    drawn = bench.get_opt_space(seed=0).sample_configuration()
    assert bench.get_fidelity_space()["epoch"].upper == 10
    assert 0 <= bench.objective_function(dict(drawn))[0]["val_accuracy"] <= 100
    assert np.isfinite(bench.target_stats.value[:2]).all()


def test_spaces_keep_their_conditions():
    space = BenchmarkSet(instance="1", benchmarks={"1": FakeBenchmark(space=SPACES["mixed"])}).get_opt_space()
    assert len(space.conditions) == len(SPACES["mixed"].conditions)
    assert len(space.forbidden_clauses) == len(SPACES["mixed"].forbidden_clauses)
