"""What single figures say, worked out by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures import critical_difference, overhead, pareto, ranks, regret, small_multiples, speedup, wins
from analysis.options import Options
from analysis.quality import power_statement, table, wide
from analysis.study import Study
from lcbench.errors import UserError
from tests.analysis.fakes import BUDGET, OPTIMIZERS, fake_study, luck

OPTIONS = Options(n_points=7, n_boot=50)


def test_regret_is_the_statistic_of_all_runs_on_the_closed_form():
    study = fake_study(4)
    rows = regret.table(study, OPTIONS).set_index(["optimizer", "share"])
    exponent, factor, _ = OPTIMIZERS["bohb"]
    runs = [
        0.2 * luck(seed, "bohb", task) * factor * (BUDGET / 50) ** -exponent / study.constants[task]
        for task in study.tasks
        for seed in study.seeds
    ]
    assert rows.loc[("bohb", 1.0), "value"] == pytest.approx(np.mean(runs))
    assert np.isnan(rows.loc[("random", 1 / 64), "value"])


def test_ranks_by_brute_force():
    study = fake_study(4)
    rows = ranks.table(study, OPTIONS)
    for share, part in rows.groupby("share"):
        values = study.at(OPTIONS.axis, [share])[..., 0]
        ranked = [
            scipy.stats.rankdata([np.inf if np.isnan(value) else value for value in values[:, t, s]])
            for t in range(len(study.tasks))
            for s in range(len(study.seeds))
        ]
        assert part.set_index("optimizer")["value"].loc[study.optimizers].tolist() == pytest.approx(np.mean(ranked, axis=0))
    assert rows.groupby("share")["value"].sum().to_numpy() == pytest.approx(4 * 5 / 2)


def test_the_speed_up_of_a_method_that_is_four_times_as_fast_is_four():
    study = fake_study(3, {"random": (0.5, 1.0, 4), "fast": (0.5, 0.5, 1)})  # 0.5 x^-½ = (4 x)^-½
    same_luck = study.trajectories.assign(
        regret=lambda rows: [
            0.2 * factor * (epochs / 50) ** -0.5
            for factor, epochs in zip(np.where(rows["optimizer"] == "random", 1.0, 0.5), rows["epochs_continued"], strict=True)
        ]
    )
    rows = speedup.table(Study(same_luck, study.about), Options(n_points=50, n_boot=20))
    assert set(rows["optimizer"]) == {"fast"}
    assert rows["value"].iloc[0] < 4  # the quick one got there before the first share that is told apart
    assert rows["value"].iloc[1:].between(3.6, 4.4).all()  # both are steps
    assert rows["value"].median() == pytest.approx(4, rel=0.02)
    assert (rows["low"] <= rows["value"] + 1e-9).all()
    assert (rows["value"] <= rows["high"] + 1e-9).all()


def test_the_speed_up_of_the_same_trajectories_is_one():
    study = fake_study(3, {"random": OPTIMIZERS["random"]})
    other, twin = (study.trajectories.assign(optimizer=name) for name in ("random", "twin"))
    rows = speedup.table(Study(pd.concat([other, twin], ignore_index=True), study.about), OPTIONS)
    assert (rows["value"] == 1).all()
    assert (rows["low"] == 1).all()
    assert (rows["high"] == 1).all()


def test_a_target_that_is_never_reached_has_no_speed_up():
    curve, reference = np.array([np.nan, 3.0, 2.0, 2.0]), np.array([4.0, 2.5, 1.0, 1.5])
    shares = np.array([0.125, 0.25, 0.5, 1.0])
    at = speedup.targets(reference, 10)
    assert at.tolist() == [0, 1, 2]
    assert speedup.speedup(curve, reference, shares, at).tolist()[:2] == [0.5, 0.5]
    assert np.isnan(speedup.speedup(curve, reference, shares, at)[2])


def test_speed_ups_need_random_search():
    with pytest.raises(UserError, match="need 'random' and another optimizer"):
        speedup.table(fake_study(2, {"a": (1.0, 1.0, 20), "b": (1.0, 1.0, 20)}), OPTIONS)


def test_wins_ties_and_losses_add_up_and_mirror():
    study = fake_study(20)
    rows = wins.table(study, OPTIONS).set_index(["optimizer", "opponent"])
    assert (rows[["wins", "ties", "losses"]].sum(axis=1) == 3).all()
    for (a, b), row in rows.iterrows():
        assert row["wins"] == rows.loc[(b, a), "losses"]
        assert row["better"] == pytest.approx(1 - rows.loc[(b, a), "better"])
    assert rows.loc[("bohb", "random"), "wins"] == 3  # their regrets do not overlap: 0.2 · luck in [0.6, 1.4], and a factor of 4
    assert rows.index[0][0] == "bohb"
    one_seed = wins.table(fake_study(1), OPTIONS)
    assert (one_seed["ties"] == 3).all()


def test_the_critical_difference_is_that_of_mean_regrets_by_task():
    study = fake_study(4)
    rows = critical_difference.table(study, OPTIONS)
    means = study.at(OPTIONS.axis, [1.0])[..., 0].mean(axis=2)
    expected = scipy.stats.friedmanchisquare(*means)
    assert rows["friedman"].unique().tolist() == pytest.approx([expected.statistic])
    assert rows["p"].unique().tolist() == pytest.approx([expected.pvalue])
    assert rows["rank"].is_monotonic_increasing
    assert rows["critical_difference"].iloc[0] == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 3)), abs=1e-3)


def test_small_multiples_are_the_regrets_as_they_were_measured():
    study = fake_study(4)
    rows = small_multiples.table(study, OPTIONS).set_index(["task", "optimizer", "share"])
    runs = [0.2 * luck(seed, "random", "car") * (BUDGET / 50) ** -0.5 for seed in study.seeds]
    assert rows.loc[("car", "random", 1.0), "value"] == pytest.approx(np.mean(runs))


def test_overhead_is_milliseconds_a_result():
    rows = overhead.table(fake_study(2), OPTIONS).set_index("optimizer")
    assert rows.loc["bohb", "median"] == pytest.approx(4)  # 0.001 s for every letter of the name
    assert rows.loc["random", "results"] == BUDGET / 50
    assert rows.index.tolist() == ["asha", "bohb", "random", "hyperband"]


def test_the_quality_table_is_the_ranks_at_four_moments():
    study = fake_study(4)
    numbers = table(study, OPTIONS)
    assert numbers["share"].tolist() == [1 / 8, 1 / 4, 1 / 2, 1] * 4
    people = wide(numbers, OPTIONS)
    assert people.columns.tolist() == ["optimizer", *(f"rank at {at}" for at in ("1/8", "1/4", "1/2", "1")), "mean normalised regret at 1"]
    assert people["optimizer"].iloc[0] == "bohb"
    last = numbers[numbers["share"] == 1]
    assert last["value"].is_monotonic_increasing
    assert people["rank at 1"].iloc[0].startswith(f"{last['value'].iloc[0]:.2f} [")


def test_what_a_study_could_find_is_said_with_its_seeds():
    assert "With 4 seeds on 3 tasks" in power_statement(fake_study(4), OPTIONS)
    assert "With one seed" in power_statement(fake_study(1), OPTIONS)


def by_rectangles(cost, regret):
    """The hypervolume as the area of a union of rectangles, on a raster that holds every corner."""
    xs, ys = np.unique([*cost, 1.0]), np.unique([*regret, 1.0])
    area = 0.0
    for x, wider in itertools.pairwise(xs):
        for y, higher in itertools.pairwise(ys):
            if any(c <= x and r <= y for c, r in zip(cost, regret, strict=True)):
                area += (min(wider, 1) - min(x, 1)) * (min(higher, 1) - min(y, 1))
    return area


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0, 1.7])] * 2, st.integers(1, 5)), min_size=1, max_size=8))
def test_the_hypervolume_is_the_area_of_a_union_of_rectangles(results):
    cost, regret, spent = map(np.array, zip(*results, strict=True))
    volumes = pareto.hypervolumes(cost, regret, spent, np.array([0.5, 2.0, 5.0]))
    for moment, volume in zip([0.5, 2.0, 5.0], volumes, strict=True):
        there = spent <= moment
        assert volume == pytest.approx(by_rectangles(cost[there], regret[there]))


def test_a_front_is_the_smallest_regret_for_its_cost():
    cost, regret = np.array([0.5, 0.1, 0.2, 0.05]), np.array([0.1, 0.7, 0.9, 0.01])
    there = np.array([True, True, True, False])
    assert pareto.front(cost, regret, there, np.array([0.01, 0.1, 0.3, 1.0])).tolist() == [1.0, 0.7, 0.7, 0.1]


def test_the_hypervolume_of_a_study_without_results_is_refused():
    with pytest.raises(UserError, match="no results of asha on car"):
        pareto.table(fake_study(2), OPTIONS)
