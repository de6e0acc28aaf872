"""Merging: nothing recorded is lost, nothing is counted twice."""

import dataclasses

import numpy as np
import pytest

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.merge import choose_metrics, merge
from lcbench.table import CurveTable
from tests.lcbench.tables import SPACE, fake_table, fake_training


def _without_origin(table):
    return dataclasses.replace(table, provenance={})


def test_a_table_cut_in_two_and_merged_is_the_table():
    whole = fake_table(10, seeds=(1, 2))
    parts = [whole.take(range(7)), whole.take(range(7, 20))]
    assert merge(parts) == whole
    assert merge([whole]) is whole
    assert merge([whole, whole]) == whole
    assert merge(parts[::-1]) == whole


def test_the_longer_of_two_trainings_counts():
    short = LearningCurve(np.arange(2), [0.0, 1.0], {"val_accuracy": [0.1, 0.2]})
    cut = fake_table(2, more=[fake_training(2, curve=short, status="unfinished")])
    merged = merge([cut, fake_table(4)])
    assert merged.columns["length"].tolist() == [13, 13, 13, 13]
    assert [row.configuration for row in merged.trainings] == [fake_training(i).configuration for i in (0, 1, 2, 3)]


@pytest.mark.parametrize(("then", "now"), [("unfinished", "crashed"), ("unfinished", "success"), ("success", "timeout")])
def test_a_training_that_has_ended_since_counts_although_it_is_no_longer(then, now):
    short = LearningCurve(np.arange(2), [0.0, 1.0], {"val_accuracy": [0.1, 0.2]})
    old, new = (fake_table(2, more=[fake_training(2, curve=short, status=status, error=status)]) for status in (then, now))
    for tables in ((old, new), (new, old)):
        last = merge(tables).trainings[-1]
        assert (last.status, last.error) == (now, now)


def test_of_two_equal_endings_the_earlier_counts():
    ended, again = (fake_table(1, more=[fake_training(1, status="crashed", error=error)]) for error in ("first", "second"))
    assert merge([ended, again]).trainings[-1].error == "first"


def test_trials_are_numbered_anew_only_where_they_collide():
    other = CurveTable.of(
        task=fake_table(0).task, space=SPACE, objective="val_accuracy", trainings=[dataclasses.replace(fake_training(7), trial=0)]
    )
    assert merge([fake_table(2), other]).columns["trial"].tolist() == [0, 1, 2]
    assert merge([fake_table(2), fake_table(9).take([8])]).columns["trial"].tolist() == [0, 1, 8]


def test_a_metric_that_one_table_lacks_is_nan_there():
    one, other = fake_table(2), fake_table(4).take([2, 3], ["val_accuracy"])
    merged = merge([one, other])
    assert merged.metrics == one.metrics
    assert np.isnan(merged.curves[merged.plane("test_accuracy"), 2:]).all()
    assert np.isfinite(merged.curves[merged.plane("val_accuracy")]).all()


def test_tables_of_different_lengths_are_padded():
    merged = merge([fake_table(2), fake_table(2, horizons=(5,))])
    assert merged.columns["length"].tolist() == [6, 13, 6, 13]
    assert np.isnan(merged.curves[:, ::2, 6:]).all()
    assert np.isnan(merged.seconds[::2, 6:]).all()


def test_provenance_keeps_what_differs():
    merged = merge([fake_table(1, created="2026-02-01", host={"cores": 2}), fake_table(2, created="2026-01-01", host={"cores": 2})])
    assert merged.provenance["host"] == {"cores": 2}
    assert merged.provenance["created"] == "2026-01-01"
    assert merged.provenance["created (of each part)"] == ["2026-02-01", "2026-01-01"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": dataclasses.replace(fake_table(0).task, n_val=7)}, "tables of 'vehicle' do not belong together: task"),
        ({"provenance": {"table_crc32": 2}}, r"rows or splits differ \(checksums 1 and 2\)"),
        ({"objective": "val_cross_entropy"}, "were recorded for"),
        ({"units": ("percent", "fraction", "nat")}, "'val_accuracy' on 'vehicle' is stored in fraction and in percent"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        merge([fake_table(2, table_crc32=1), dataclasses.replace(fake_table(3), **changes)])


def test_chosen_metrics_and_the_objective_stay():
    assert choose_metrics(fake_table(2), ["test_*"]).metrics == ("val_accuracy", "test_accuracy")
    with pytest.raises(
        UserError, match="`metrics` has 'tset_*', but 'vehicle' has val_accuracy, test_accuracy, val_cross_entropy".replace("*", r"\*")
    ):
        choose_metrics(fake_table(2), ["tset_*"])


def test_what_one_part_does_not_say_is_not_said_of_the_whole():
    one, other = fake_table(1, licence="CC-BY-4.0"), dataclasses.replace(fake_table(2), provenance={})
    merged = merge([one, other])
    assert "licence" not in merged.provenance
    assert merged.provenance["licence (of each part)"] == ["CC-BY-4.0", "not stated"]
    again = merge([merged, fake_table(3, licence="MIT")])
    assert again.provenance["licence (of each part)"] == ["CC-BY-4.0", "not stated", "MIT"]


def test_one_trial_never_names_two_configurations():
    other = [dataclasses.replace(fake_training(7, seed=2), trial=0)]
    table = CurveTable.of(task=fake_table(0).task, space=SPACE, objective="val_accuracy", trainings=other)
    assert merge([fake_table(2), table]).columns["trial"].tolist() == [0, 1, 2]


def test_rows_of_another_split_are_refused_wherever_they_stand():
    tables = [fake_table(2), fake_table(2, table_crc32=1), fake_table(3, table_crc32=2)]
    for order in (tables, tables[::-1], [*tables[1:], tables[0]]):
        with pytest.raises(UserError, match="their rows or splits differ"):
            merge(order)
    some = merge(tables[:2])
    assert len(merge([some, fake_table(4, table_crc32=1)])) == 4
    with pytest.raises(UserError, match="their rows or splits differ"):
        merge([some, tables[2]])


def test_a_table_that_does_not_know_how_many_columns_are_categories_fits_one_that_does():
    old = fake_table(2, task=dataclasses.replace(fake_table(0).task, n_categorical=-1))
    new = fake_table(3, task=dataclasses.replace(fake_table(0).task, n_categorical=5))
    for order in ([old, new], [new, old]):
        merged = merge(order)
        assert (merged.task.n_categorical, len(merged)) == (5, 3)
    with pytest.raises(UserError, match="do not belong together: task"):
        merge([new, fake_table(3, task=dataclasses.replace(new.task, n_categorical=4))])


def test_curves_with_the_published_defects_are_never_mixed_with_others():
    with pytest.raises(UserError, match="one was recorded with LCBench's published defects"):
        merge([fake_table(2), fake_table(2, published_defects=True)])
    assert merge([fake_table(2, published_defects=True), fake_table(3, published_defects=True)]).provenance["published_defects"] is True


def test_of_equally_long_trainings_the_earlier_counts():
    one, other = fake_table(3), fake_table(3)
    other = dataclasses.replace(other, curves=other.curves + 0.01)
    assert merge([one, other]) == one
    assert np.array_equal(merge([other, one]).curves, other.curves)
