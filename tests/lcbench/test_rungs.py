"""Rank correlations between rungs, against scipy's."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lcbench.__main__ import main
from lcbench.curve import LearningCurve
from lcbench.formats.croissant import card
from lcbench.rungs import correlations, horizon_correlations, prefix_correlations
from lcbench.store import write_curves
from lcbench.table import CurveTable
from tests.lcbench.tables import fake_table, fake_training


def _noisy(table, seed=0):
    """The same table with curves that cross."""
    noise = np.random.default_rng(seed).normal(0, 0.1, table.curves.shape).astype(np.float32)
    fields = {name: getattr(table, name) for name in CurveTable.__dataclass_fields__}
    return CurveTable(**{**fields, "curves": table.curves + noise})


def test_prefixes_are_ranked_as_scipy_ranks_them():
    table = _noisy(fake_table(40))
    values = table.curves[table.plane("val_accuracy")]
    found = prefix_correlations(table)
    assert list(found) == [1, 3, 6]
    for epoch, value in found.items():
        assert value == pytest.approx(spearmanr(values[:, epoch], values[:, 12]).statistic)
    other = table.curves[table.plane("val_cross_entropy")]
    assert prefix_correlations(table, "val_cross_entropy")[3] == pytest.approx(spearmanr(other[:, 3], other[:, 12]).statistic)
    assert len(set(found.values())) == 3


def test_shorter_trainings_are_compared_at_their_own_end_by_configuration_and_seed():
    table = _noisy(fake_table(30, seeds=(1, 2), horizons=(6, 12)))
    values, columns = table.curves[table.plane("val_accuracy")], table.columns
    short, long = (
        {(columns["key"][i], columns["seed"][i]): values[i, h] for i in np.flatnonzero(columns["horizon"] == h)} for h in (6, 12)
    )
    assert len(short) == 60
    expected = spearmanr([short[name] for name in sorted(short)], [long[name] for name in sorted(short)]).statistic
    assert horizon_correlations(table) == {6: pytest.approx(expected)}
    assert prefix_correlations(table).keys() == {1, 3, 6}
    assert list(correlations(table)) == ["@1", "@3", "@6", "6 of 12"]


def test_what_did_not_come_to_the_end_is_left_out():
    broken = LearningCurve(np.arange(3), [0.0, 1.0, 2.0], {"val_accuracy": [0.1, np.inf, np.nan]})
    more = [fake_training(90, status="diverged", curve=broken), fake_training(91, status="crashed", curve=LearningCurve.empty())]
    assert prefix_correlations(fake_table(20, more=more)) == prefix_correlations(fake_table(20))
    assert horizon_correlations(fake_table(20, more=more)) == {}


def test_a_horizon_that_nothing_came_to_the_end_of_is_none():
    crashed = fake_training(90, status="crashed", horizon=50, curve=LearningCurve.empty())
    table = fake_table(20, horizons=(6, 12))
    assert correlations(fake_table(20, horizons=(6, 12), more=[crashed])) == correlations(table)
    assert list(correlations(table)) == ["@1", "@3", "@6", "6 of 12"]


@pytest.mark.parametrize("n", [0, 1])
def test_one_training_ranks_nothing(n):
    assert correlations(fake_table(n)) == {}


def test_a_database_says_it(tmp_path, capsys):
    path = tmp_path / "a.h5"
    write_curves(path, [_noisy(fake_table(30, horizons=(6, 12)))])
    assert main(["info", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "how well short trainings rank" in shown
    assert "6 of" not in shown.partition("how well")[0]
    assert "| @1 | @3 | @6 | 6 of 12 |" in card(path).partition("## How well short trainings rank")[2]
