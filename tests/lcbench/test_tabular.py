"""The tabular benchmark gives exactly what was recorded, and says what it has when it is asked for something else."""

import dataclasses

import numpy as np
import pytest
from ConfigSpace import Configuration

from lcbench.benchmark import CurveBenchmark
from lcbench.curve import LearningCurve
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.metric import METRICS
from lcbench.query import Query, Status
from lcbench.space import encode, key, sample
from lcbench.store import write_curves
from lcbench.tabular import TabularBenchmark, UnknownConfigurationError
from lcbench.wrappers import NearestRecorded
from tests.lcbench.tables import SPACE, fake_table, fake_training


@pytest.fixture(scope="module")
def benchmark():
    return TabularBenchmark(fake_table())


def _query(row, epoch, trial=0):
    return Query(sample(SPACE, np.random.default_rng(row)), epoch, trial)


def test_it_is_a_curve_benchmark(benchmark):
    assert isinstance(benchmark, CurveBenchmark)
    assert isinstance(NearestRecorded(benchmark), CurveBenchmark)
    assert (benchmark.first, benchmark.epochs, benchmark.metric.name, len(benchmark)) == (1, 12, "accuracy", 30)


def test_an_answer_is_the_recorded_curve(benchmark):
    recorded = fake_training(7).curve
    result = benchmark.evaluate(_query(7, 5))
    assert result.ok
    assert result.curve.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(result.curve.values["val_accuracy"], recorded.values["val_accuracy"][:6].astype(np.float32))
    np.testing.assert_array_equal(result.curve.seconds, recorded.seconds[:6])
    assert result.seconds == recorded.seconds[5]
    assert result.loss == 1 - result.curve.values["val_accuracy"][-1]


def test_values_are_those_of_the_file_bit_by_bit(tmp_path):
    table = fake_table()
    for layout in ("serving", "compressed"):
        write_curves(tmp_path / f"{layout}.h5", [table], layout=layout)
        served = TabularBenchmark.load("vehicle", tmp_path / f"{layout}.h5")
        for name in table.metrics:
            np.testing.assert_array_equal(served.column(name).values, table.curves[table.plane(name)])
        np.testing.assert_array_equal(served.column("seconds").values, table.seconds)


def test_every_way_to_ask_gives_the_same(benchmark):
    configuration = benchmark.configuration(4)
    assert benchmark.row(configuration) == benchmark.row(Configuration(SPACE, values=configuration)) == 4
    plane = benchmark.column("val_accuracy")
    assert benchmark.value(configuration, 3) == benchmark.value(4, 3) == plane.at(4, 3) == plane.take([4], [3])[0]


def test_the_encoded_table_is_the_encoded_configurations(benchmark):
    expected = encode([Configuration(SPACE, values=benchmark.configuration(i)) for i in range(30)], SPACE)
    np.testing.assert_allclose(benchmark.encoded, expected, atol=1e-12)


def test_percent_becomes_a_fraction():
    table = fake_table(units={"val_accuracy": "percent"})
    percent = dataclasses.replace(table, curves=table.curves * 100)
    served, plain = TabularBenchmark(percent), TabularBenchmark(fake_table())
    assert served.column("val_accuracy").at(3, 4) == pytest.approx(plain.column("val_accuracy").at(3, 4))
    assert served.evaluate(_query(3, 4)).loss == pytest.approx(plain.evaluate(_query(3, 4)).loss)
    assert served.best_loss == pytest.approx(plain.best_loss)
    assert served.to_frame()["val_accuracy"].max() <= 1


# ---- views, seeds, horizons


@pytest.mark.parametrize(("view", "first", "last"), [("raw", 0, 59), ("trained", 1, 59), ("syne-tune", 1, 50)])
def test_a_view_says_which_epochs_can_be_asked_for(view, first, last):
    benchmark = TabularBenchmark(fake_table(3, horizons=(59,)), view=view)
    assert (benchmark.first, benchmark.epochs) == (first, last)
    plane = benchmark.column("val_accuracy")
    assert len(plane.curve(0)) == last - first + 1
    for epoch in (first - 1, last + 1):
        with pytest.raises(IndexError, match=rf"`epoch` is {epoch}, but the epochs of this view are {first}\.\.{last}"):
            plane.at(0, epoch)
    with pytest.raises(IndexError, match=rf"can be asked for epochs 1\.\.{last} \(view {view!r}\)"):
        benchmark.evaluate(_query(0, last + 1))
    assert benchmark.evaluate(_query(0, 1)).curve.seconds[0] == (0.0 if view == "syne-tune" else 0.25)


def test_a_few_trainings_of_another_seed_do_not_hide_the_others():
    more = [fake_training(10 + i, seed=0) for i in range(2)]
    table = fake_table(4, seeds=(1,), more=more)
    assert (TabularBenchmark(table).seed, len(TabularBenchmark(table))) == (1, 4)
    assert TabularBenchmark(fake_table(4, seeds=(2, 1))).seed == 1


def test_seeds_and_horizons_are_separate_trainings():
    table = fake_table(4, seeds=(1, 2, 3), horizons=(6, 12))
    values = {(seed, horizon): TabularBenchmark(table, seed=seed, horizon=horizon).value(2, 6) for seed in (1, 2, 3) for horizon in (6, 12)}
    assert len(set(values.values())) == 6
    assert TabularBenchmark(table).value(2, 6) == values[1, 12]
    assert TabularBenchmark(table, horizon=6).epochs == 6


def test_the_default_seed_is_one_of_the_default_horizon():
    """Most trainings may have been short ones, with another seed."""
    table = fake_table(4, seeds=(0,), horizons=(6,), more=[fake_training(i, seed=5, horizon=12) for i in range(2)])
    chosen = TabularBenchmark(table)
    assert (chosen.seed, chosen.horizon) == (5, 12)
    assert (TabularBenchmark(table, seed=0).horizon, TabularBenchmark(table, horizon=6).seed) == (6, 0)
    with pytest.raises(UserError, match="has both `seed` 0 and `horizon` 12"):
        TabularBenchmark(table, seed=0, horizon=12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "lcbench50"}, "`view` is 'lcbench50', but must be one of 'raw'"),
        ({"seed": 9}, "`seed` is 9, but 'vehicle' was recorded with 1"),
        ({"horizon": 50}, "`horizon` is 50, but 'vehicle' was recorded with 12"),
        ({"metric": "rmse"}, "`metric` is 'rmse', but 'vehicle' was recorded with accuracy, cross_entropy"),
    ],
)
def test_bad_options_say_what_there_is(options, message):
    with pytest.raises(UserError, match=message):
        TabularBenchmark(fake_table(2), **options)


def test_an_empty_table_says_so():
    with pytest.raises(UserError, match="the table of 'vehicle' is empty"):
        TabularBenchmark(fake_table(0))


# ---- what was not recorded


def test_an_unknown_configuration_names_the_nearest(benchmark):
    changed = {**benchmark.configuration(11), "momentum": benchmark.configuration(11)["momentum"] + 1e-4}
    with pytest.raises(
        UnknownConfigurationError, match=r"was not recorded on 'vehicle'; the nearest of the 30 that were is row 11"
    ) as caught:
        benchmark.row(changed)
    assert caught.value.nearest == 11
    result = NearestRecorded(benchmark).evaluate(Query(Configuration(SPACE, values=changed), 5, 3))
    assert result.query.trial == 3
    assert result.curve == benchmark.evaluate(_query(11, 5)).curve


def test_the_nearest_of_a_recorded_configuration_is_itself(benchmark):
    for row in range(0, 30, 7):
        query = Query(Configuration(SPACE, values=benchmark.configuration(row)), 4, 0)
        assert NearestRecorded(benchmark).evaluate(query).curve == benchmark.evaluate(query).curve


def test_digits_that_configspace_does_not_keep_make_no_other_configuration():
    configuration = {**fake_training(0).configuration, "learning_rate": 0.012345678901234567}
    table = fake_table(3, more=[fake_training(3, configuration=configuration, key=key(configuration))])
    benchmark = TabularBenchmark(table)
    rounded = Configuration(SPACE, values=configuration)
    assert rounded["learning_rate"] != configuration["learning_rate"]
    assert benchmark.row(configuration) == benchmark.row(rounded) == 3


def test_a_misspelt_hyperparameter_or_column_is_corrected(benchmark):
    with pytest.raises(UserError, match=r"has 'batchsize' \(did you mean 'batch_size'\?\)"):
        benchmark.row({"batchsize": 3})
    with pytest.raises(UserError, match=r"is not a configuration of the space 'lcbench'"):
        benchmark.row({**benchmark.configuration(0), "momentum": 7.0})
    with pytest.raises(UserError, match=r"`column` is 'val_acuracy', but 'vehicle' has seconds, .* did you mean 'val_accuracy'"):
        benchmark.column("val_acuracy")
    with pytest.raises(IndexError, match=r"`row` is 30, but there are 30 configurations, 0\.\.29"):
        benchmark.configuration(30)


def test_a_training_that_ended_early_answers_with_its_status():
    short = LearningCurve(np.arange(3), [0.0, 1.0, 2.0], {"val_accuracy": [0.1, 0.2, np.nan]})
    table = fake_table(2, more=[fake_training(2, status="diverged", error="loss is nan", curve=short)])
    benchmark = TabularBenchmark(table)
    late, early = benchmark.evaluate(_query(2, 5)), benchmark.evaluate(_query(2, 1))
    assert (late.status, late.error, late.curve.last_epoch, late.seconds) == (Status.DIVERGED, "loss is nan", 2, 2.0)
    assert early.ok
    assert benchmark.evaluate(_query(2, 2)).status is Status.DIVERGED  # the value itself is no number
    assert np.isnan(benchmark.column("val_accuracy").at(2, 5))
    assert benchmark.query_best()[0] != 2


def test_an_accuracy_that_was_recorded_of_a_network_of_nan_is_no_success():
    broken = LearningCurve(np.arange(3), [0.0, 1.0, 2.0], {"val_accuracy": [0.1, 0.2, 0.9]})
    benchmark = TabularBenchmark(fake_table(2, more=[fake_training(2, status="diverged", error="loss is nan", curve=broken)]))
    assert benchmark.evaluate(_query(2, 1)).ok
    assert (benchmark.evaluate(_query(2, 2)).status, benchmark.evaluate(_query(2, 2)).error) == (Status.DIVERGED, "loss is nan")
    assert np.isnan(benchmark.value(2, 2))
    assert benchmark.query_best()[0] != 2
    assert benchmark.ranking(epoch=2).tolist()[-1] == 2
    assert benchmark.best_loss == TabularBenchmark(fake_table(2)).best_loss
    assert TabularBenchmark(benchmark.table, view="raw").value(2, 2) == pytest.approx(0.9)  # as it was recorded


def test_an_unfinished_training_is_a_failure_beyond_its_end():
    short = LearningCurve(np.arange(3), [0.0, 1.0, 2.0], {"val_accuracy": [0.1, 0.2, 0.3]})
    benchmark = TabularBenchmark(fake_table(1, more=[fake_training(1, status="unfinished", curve=short)]))
    result = benchmark.evaluate(_query(1, 3))
    assert (result.status, result.error) == (Status.CRASHED, "the recorded training ended after 2 epochs")


# ---- the best


def test_query_best_knows_the_direction(benchmark):
    accuracy, loss = benchmark.column("val_accuracy").matrix(), benchmark.column("val_cross_entropy").matrix()
    assert benchmark.query_best() == (int(accuracy.max(axis=1).argmax()), accuracy.max())
    assert benchmark.query_best("val_cross_entropy") == (int(loss.min(axis=1).argmin()), loss.min())
    assert benchmark.query_best("val_cross_entropy", direction="maximize")[1] == loss.max()
    assert benchmark.query_best(epoch=3) == (int(accuracy[:, 2].argmax()), accuracy[:, 2].max())
    assert benchmark.best_loss == pytest.approx(1 - accuracy.max())
    with pytest.raises(UserError, match="`direction` is 'up', but must be"):
        benchmark.query_best(direction="up")


def test_regret_of_a_minimised_metric():
    benchmark = TabularBenchmark(fake_table(), METRICS["cross_entropy"])
    assert benchmark.best_loss == benchmark.column("val_cross_entropy").matrix().min()


# ---- exports


def test_the_frame_holds_every_recorded_epoch(benchmark):
    frame = benchmark.to_frame()
    assert len(frame) == 30 * 12
    assert frame.loc[(4, 3), "val_accuracy"] == benchmark.value(4, 3)
    assert frame.loc[(4, 3), "batch_size"] == benchmark.configuration(4)["batch_size"]


def test_the_xarray_form_names_its_dimensions(benchmark):
    form = benchmark.to_xarray_dict()
    assert form["data_vars"]["val_accuracy"]["data"].shape == (form["dims"]["row"], form["dims"]["epoch"]) == (30, 12)
    assert form["coords"]["epoch"]["data"].tolist() == list(range(1, 13))


# ---- the database


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "two.h5"
    adult = dataclasses.replace(fake_table().task, name="adult")
    write_curves(path, [fake_table(), fake_table(20, task=adult, horizons=(6,))])
    return Database(path)


def test_tables_by_name(database):
    assert database.tasks == ("adult", "vehicle")
    assert len(database.table("adult")) == 20
    assert [table.task.name for table in database] == ["adult", "vehicle"]
    assert database.table("vehicle", "lcbench") is database.table("vehicle")


def test_what_the_database_does_not_have(database):
    with pytest.raises(UserError, match=r"`task` is 'vehicles', but .* did you mean vehicle, or another of adult, vehicle"):
        database.table("vehicles")
    with pytest.raises(UserError, match=r"`space` is 'full', but .* has 'adult' in lcbench"):
        database.table("adult", "full")
    with pytest.raises(UserError, match=r"`metric` is 'val_acuracy', but .* did you mean 'val_accuracy'"):
        database.plane("adult", "val_acuracy")


def test_curves_are_mapped_and_not_read(database):
    table = database.table("vehicle")
    assert not table.curves.flags.owndata
    assert not table.curves.flags.writeable


@pytest.mark.parametrize("layout", ["serving", "compressed"])
def test_planes_across_tables_equal_single_look_ups(tmp_path, database, layout):
    write_curves(tmp_path / "c.h5", list(database), layout=layout)
    again = Database(tmp_path / "c.h5")
    planes, index = again.planes(), again.index
    for (task, space, metric), number in index.items():
        expected = database.table(task, space).curves[database.table(task).plane(metric)]
        found = planes.take(number, np.arange(len(expected))[:, None], np.arange(1, expected.shape[1]))
        np.testing.assert_array_equal(found, expected[:, 1:])


def test_the_direct_plane_equals_the_table(database):
    plane = database.plane("adult", "val_accuracy")
    np.testing.assert_array_equal(plane.values, database.table("adult").curves[database.table("adult").plane("val_accuracy")])


@pytest.mark.parametrize("n_tables", [1, 2, 5, 7])
def test_planes_across_many_tiny_tables(tmp_path, n_tables):
    """Tables so small that nothing but alignment puts them where planes look."""
    tables = [fake_table(1, task=dataclasses.replace(fake_table(0).task, name=f"t{i}"), horizons=(1 + i,)) for i in range(n_tables)]
    write_curves(tmp_path / "c.h5", tables)
    database = Database(tmp_path / "c.h5")
    planes = database.planes("raw")
    for (task, _, metric), number in database.index.items():
        expected = database.table(task).curves[database.table(task).plane(metric), 0]
        np.testing.assert_array_equal(planes.take(number, 0, np.arange(len(expected))), expected)


def test_rows_may_be_numpy_integers(benchmark):
    row = benchmark.ranking()[0]
    assert benchmark.value(row, 5) == benchmark.value(int(row), 5)


def test_a_scorer_of_scikit_learn_is_better_the_larger_it_is():
    rows = fake_table(5)
    table = dataclasses.replace(
        rows,
        objective="val_average_precision",
        metrics=tuple(name.replace("val_accuracy", "val_average_precision") for name in rows.metrics),
    )
    benchmark = TabularBenchmark(table)
    assert benchmark.metric.direction == "maximize"
    assert benchmark.query_best()[1] == benchmark.column("val_average_precision").matrix().max()
    assert benchmark.ranking()[0] == np.argmax(benchmark.column("val_average_precision").column(12))
