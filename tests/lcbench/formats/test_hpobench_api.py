"""HPOBench's call shape: function_value, cost, info."""

import math

import numpy as np
import pytest

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.formats.hpobench_api import HPOBenchmark
from lcbench.space import key
from lcbench.store import write_curves
from lcbench.tabular import TabularBenchmark
from tests.fakes import FakeBenchmark
from tests.lcbench.formats.api_tables import SPACE, table, training

ROW = table().trainings[3]


@pytest.fixture
def bench(tmp_path):
    write_curves(tmp_path / "curves.h5", [table()])
    return HPOBenchmark.load("vehicle", tmp_path / "curves.h5")


def test_the_value_is_one_minus_the_accuracy(bench):
    answer = bench.objective_function(configuration=ROW.configuration, fidelity={"epoch": 10}, rng=1)
    assert answer["function_value"] == 1 - ROW.curve.values["val_accuracy"][10]
    assert answer["cost"] == ROW.curve.seconds[10]
    assert answer["info"]["fidelity"] == {"epoch": 10}
    assert answer["info"]["test_accuracy"] == ROW.curve.values["test_accuracy"][10]
    test = bench.objective_function_test(ROW.configuration, {"epoch": 10})
    assert test["function_value"] == 1 - ROW.curve.values["test_accuracy"][10]
    assert test["cost"] == answer["cost"]


def test_the_default_fidelity_is_the_last_epoch(bench):
    last = 1 - ROW.curve.values["val_accuracy"][51]
    assert bench.objective_function(ROW.configuration)["function_value"] == bench(ROW.configuration) == last
    assert bench.get_fidelity_space().get_default_configuration()["epoch"] == 51
    default = bench.get_fidelity_space().get_default_configuration()
    assert bench.objective_function(ROW.configuration, default)["function_value"] == last


def test_spaces_and_meta_information(bench):
    space = bench.get_configuration_space(seed=3)
    assert space == SPACE and space is not bench.benchmark.space
    assert space.sample_configuration(4) == bench.get_configuration_space(seed=3).sample_configuration(4)
    fidelity = bench.get_fidelity_space(seed=1)["epoch"]
    assert (fidelity.lower, fidelity.upper) == (1, 51)
    assert bench.get_meta_information()["openml_task_id"] == 167168


@pytest.mark.parametrize(
    ("fidelity", "message"),
    [
        ({"epoch": 0}, r"`epoch` is 0, but must be a whole number in 1\.\.51"),
        ({"budget": 3}, "`fidelity` has budget, but only 'epoch' can be given"),
        ({"epoch": "3"}, "`epoch` is '3', but"),
    ],
)
def test_a_wrong_fidelity_is_refused(bench, fidelity, message):
    with pytest.raises(UserError, match=message):
        bench.objective_function(ROW.configuration, fidelity)


def test_a_failed_training_costs_and_has_no_value():
    short = training(1, entries=4, status="crashed", error="Boom")
    answer = HPOBenchmark(TabularBenchmark(table(training(0), short))).objective_function(short.configuration, {"epoch": 9})
    assert answer["function_value"] == math.inf
    assert (answer["cost"], answer["info"]["status"], answer["info"]["error"]) == (short.curve.seconds[-1], "crashed", "Boom")


def test_configurations_with_all_digits_are_found():
    """As LCBench's files have them: ConfigSpace keeps 13 decimals."""
    digits = ROW.configuration | {"momentum": 0.46269226264944247, "max_dropout": 0.00910225473215609}
    bench = HPOBenchmark(TabularBenchmark(table(training(0, configuration=digits, key=key(digits)))))
    assert bench(digits) == 1 - training(0).curve.values["val_accuracy"][51]


def test_any_benchmark_can_be_asked_and_only_what_was_measured():
    bench = HPOBenchmark(FakeBenchmark(epochs=9), rng=np.random.RandomState(0))
    configuration = bench.get_configuration_space(seed=0).sample_configuration()
    assert 0 <= bench(configuration, fidelity={"epoch": 3}) <= 1
    curve = LearningCurve(np.arange(3), [0, 1, 2], {"val_accuracy": [0, 0.5, 0.75]})
    bench = HPOBenchmark(TabularBenchmark(table(training(0, curve=curve))))
    with pytest.raises(UserError, match="there is no 'test_accuracy', but only val_accuracy"):
        bench.objective_function_test(training(0).configuration)


def test_an_unknown_configuration(tmp_path, bench):
    drawn = bench.get_configuration_space(seed=0).sample_configuration()
    with pytest.raises(UserError, match="was not recorded"):
        bench(drawn)
    assert 0 <= HPOBenchmark.load("vehicle", tmp_path / "curves.h5", unknown="nearest")(drawn) <= 1
    with pytest.raises(UserError, match="`unknown` is 'guess', but must be 'refuse' or 'nearest'"):
        HPOBenchmark.load("vehicle", tmp_path / "curves.h5", unknown="guess")
