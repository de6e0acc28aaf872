"""The laws of every benchmark, on the closed-form fake, on a table of it, and on real trainings of two bundled tasks."""

import math
import re

import numpy as np
import pytest
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.benchmark import CurveBenchmark
from lcbench.metric import metric_named
from lcbench.query import Query, Status
from lcbench.rundir import read_run, write_header
from lcbench.space import encode, key, lcbench_space, plain, sample
from lcbench.store import write_curves
from lcbench.table import CurveTable
from lcbench.tabular import TabularBenchmark, UnknownConfigurationError
from lcbench.training import Training
from lcbench.wrappers import NearestRecorded
from pipeline.live import LiveBenchmark
from pipeline.sandbox import Limits, Sandbox
from pipeline.spaces import lcbench
from pipeline.tasks import bundled_task
from tests.fakes import FAKE_TASK, FakeBenchmark

SPACE = lcbench_space()


def _live(directory, task_name, metric, **options):
    task = bundled_task(task_name)
    benchmark = LiveBenchmark(task.info, lcbench.space(task.info), 8, metric_named(metric), directory, **options)
    benchmark.set_up(task)
    return benchmark


def _tabular(path):
    """The fake benchmark as it would have been recorded, through a file; the queries below ask for its first rows."""
    trainings = []
    for trial in range(20):
        query = _query(8, trial)
        about = {"configuration": plain(query.configuration), "key": key(query.configuration), "seed": query.seed, "horizon": 8}
        how = {"origin": "random", "n_parameters": -1, "status": "success", "error": ""}
        trainings.append(Training(trial=trial, **about, **how, curve=FakeBenchmark(SPACE, 8).evaluate(query).curve))
    write_curves(path, [CurveTable.of(task=FAKE_TASK, space=SPACE, objective="val_accuracy", trainings=trainings)])
    return TabularBenchmark.load(FAKE_TASK.name, path)


@pytest.fixture(params=["fake", "tabular", "nearest recorded", "live classification", "live regression", "sandboxed"])
def benchmark(request, tmp_path):
    if request.param == "fake":
        return FakeBenchmark(SPACE, 8)
    if request.param in ("tabular", "nearest recorded"):
        exact = _tabular(tmp_path / "curves.h5")
        return exact if request.param == "tabular" else NearestRecorded(exact)
    if request.param == "sandboxed":
        return Sandbox(_live(tmp_path, "iris", "accuracy"), Limits())
    return _live(tmp_path, *(("diabetes", "r2") if "regression" in request.param else ("iris", "balanced_accuracy")))


def test_an_interrupted_rung_is_charged_whole_and_once(tmp_path):
    live, query = _live(tmp_path, "iris", "accuracy"), _query(6)
    first = live.evaluate(_query(2))
    training = live._begin(query)
    paid = training.spent_before(6)
    for _ in range(2):
        training.advance()
    training.save(live._checkpoint(query))  # and then it was killed
    second = live.evaluate(query)
    assert second.seconds == second.curve.seconds[-1] - paid > second.curve.seconds[-1] - training.entries[-1].seconds
    assert paid == pytest.approx(first.seconds)
    assert live.evaluate(query).seconds == second.seconds  # killed before it was told


def _query(epoch, trial=0, seed=3):
    return Query(sample(SPACE, np.random.default_rng(trial)), epoch, trial, seed)


def _equal_but_for_seconds(one, other):
    return one.values.keys() == other.values.keys() and all(
        np.array_equal(one.values[name], other.values[name], equal_nan=True) for name in one.values
    )


def test_it_is_a_curve_benchmark(benchmark):
    assert isinstance(benchmark, CurveBenchmark)


def test_the_same_query_twice_gives_the_same_curve(benchmark):
    first, second = benchmark.evaluate(_query(3)), benchmark.evaluate(_query(3))
    assert _equal_but_for_seconds(first.curve, second.curve)
    assert first.loss == second.loss


def test_a_shorter_curve_is_a_prefix_of_a_longer_one(benchmark):
    short, long = benchmark.evaluate(_query(2)), benchmark.evaluate(_query(5))
    assert _equal_but_for_seconds(short.curve, long.curve.prefix(2))


def test_the_curve_ends_at_the_query_and_its_seconds_increase(benchmark):
    result = benchmark.evaluate(_query(4))
    assert result.curve.epochs.tolist() == [0, 1, 2, 3, 4]
    assert np.all(np.diff(result.curve.seconds) >= 0)
    assert result.loss == benchmark.metric.loss(result.curve.at(4)[benchmark.metric.on("val")])


def test_a_table_answers_with_the_seconds_of_a_training_from_scratch_every_time(tmp_path):
    exact = _tabular(tmp_path / "curves.h5")
    for benchmark in (exact, NearestRecorded(exact)):
        short, long = benchmark.evaluate(_query(2)), benchmark.evaluate(_query(5))
        assert short.seconds == long.curve.seconds[2] < long.seconds == long.curve.seconds[5]


def test_what_was_not_recorded_is_answered_by_the_nearest_or_refused(tmp_path):
    exact = _tabular(tmp_path / "curves.h5")
    near = NearestRecorded(exact)
    for trial in range(20, 40):
        distances = ((exact.encoded - encode([_query(5, trial).configuration], SPACE)) ** 2).sum(axis=1)
        assert near.evaluate(_query(5, trial)).curve == exact.curve(int(distances.argmin())).prefix(5)
        with pytest.raises(UnknownConfigurationError) as refusal:
            exact.evaluate(_query(5, trial))
        assert refusal.value.nearest == distances.argmin()
    for benchmark in (exact, near):
        with pytest.raises(IndexError, match=r"`epoch` is 9, but 'fake' can be asked for epochs 1\.\.8 \(view 'trained'\)"):
            benchmark.evaluate(_query(9))


def test_nothing_in_a_table_is_better_than_its_best_loss(tmp_path):
    exact = _tabular(tmp_path / "curves.h5")
    losses = [exact.evaluate(_query(epoch, trial)).loss for trial in range(20) for epoch in range(1, 9)]
    assert min(losses) == exact.best_loss == NearestRecorded(exact).best_loss


def test_continued_equals_trained_from_scratch(tmp_path):
    continued = _live(tmp_path / "a", "iris", "accuracy")
    continued.evaluate(_query(2))
    result = continued.evaluate(_query(6))
    again = _live(tmp_path / "b", "iris", "accuracy", continue_trials=False)
    again.evaluate(_query(2))
    scratch = again.evaluate(_query(6))
    assert _equal_but_for_seconds(result.curve, scratch.curve)
    assert result.seconds < result.curve.seconds[-1] or result.curve.seconds[-1] == 0
    assert scratch.seconds == scratch.curve.seconds[-1]


def test_what_is_journalled_is_what_was_answered(tmp_path):
    benchmark = _live(tmp_path, "iris", "accuracy")
    results = [benchmark.evaluate(_query(epoch, trial)) for trial, epoch in ((0, 2), (1, 2), (0, 5))]
    write_header(tmp_path, task=benchmark.task, space=SPACE, objective="val_accuracy", provenance={})
    trainings = {training.trial: training for training in read_run(tmp_path).trainings}
    for trial, result in ((0, results[2]), (1, results[1])):
        stored = trainings[trial].curve.values  # a table holds float32; columns of layers that a network does not have are NaN
        assert all(np.array_equal(stored[name], np.float32(column), equal_nan=True) for name, column in result.curve.values.items())
    assert trainings[0].seed == 3
    assert trainings[0].n_parameters > 0


def test_annealing_to_the_rung_is_another_training(tmp_path):
    full = _live(tmp_path / "a", "iris", "accuracy").evaluate(_query(4)).curve.values["learning_rate"]
    rung = _live(tmp_path / "b", "iris", "accuracy", continue_trials=False, anneal="rung").evaluate(_query(4)).curve.values["learning_rate"]
    assert full[1] == rung[1]
    assert full[4] > 2 * rung[4]


def test_annealing_to_the_rung_cannot_continue(tmp_path):
    with pytest.raises(ValueError, match="every rung is a training of its own"):
        _live(tmp_path, "iris", "accuracy", anneal="rung")


@pytest.mark.parametrize(("budget", "n_entries"), [(6, 8), (12, 14), (25, 27), (50, 52)])
def test_published_defects_give_the_published_number_of_entries(tmp_path, budget, n_entries):
    task = bundled_task("iris")
    benchmark = LiveBenchmark(task.info, lcbench.space(task.info), 50, metric_named("accuracy"), tmp_path, published_defects=True)
    benchmark.set_up(task)
    assert len(benchmark.evaluate(_query(budget)).curve) == n_entries


def test_divergence_is_a_status_with_its_epoch(tmp_path):
    benchmark = _live(tmp_path, "diabetes", "r2")
    wild = ConfigurationSpace({"batch_size": (16, 512), "learning_rate": (1e-4, 1e6), "momentum": (0.1, 0.99), "weight_decay": (0.0, 0.1)})
    wild.add(ConfigurationSpace({"num_layers": (1, 5), "max_units": (64, 1024), "max_dropout": (0.0, 1.0)}).values())
    values = dict(sample(SPACE, np.random.default_rng(0))) | {"learning_rate": 1e6, "max_dropout": 0.0, "num_layers": 3}
    result = benchmark.evaluate(Query(Configuration(wild, values=values), 8, 0))
    assert result.status is Status.DIVERGED
    assert math.isinf(result.loss)
    assert re.search(rf" is (nan|-?inf) after epoch {result.curve.last_epoch}$", result.error)
    assert 1 <= result.curve.last_epoch < 8
