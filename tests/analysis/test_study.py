"""A study read and laid on a grid: equal to looking up row by row, whatever the trajectories."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.options import AXES, Options
from analysis.study import COLUMNS, Study
from lcbench.errors import UserError
from tests.analysis.fakes import BUDGET, OPTIMIZERS, TASKS, about, fake_study, luck, write_study


def by_hand(study, axis, shares, column):
    """What `Study.at` says, with a loop over runs, shares and rows."""
    frame = study.trajectories
    values = np.full((*study.shape, len(shares)), np.nan)
    for o, optimizer in enumerate(study.optimizers):
        for t, task in enumerate(study.tasks):
            on_task = frame[frame["task"] == task]
            declared = study.about["budget"]["epochs"] if axis == "epochs_continued" else None
            end = declared or min(rows[axis].iloc[-1] for _, rows in on_task.groupby(["optimizer", "seed"], observed=True))
            for s, seed in enumerate(study.seeds):
                run = on_task[(on_task["optimizer"] == optimizer) & (on_task["seed"] == seed)]
                for g, share in enumerate(shares):
                    for x, y in zip(run[axis], run[column], strict=True):
                        if x <= end * share:
                            values[o, t, s, g] = y if np.isfinite(y) else np.nan
    return values


@st.composite
def studies(draw):
    """Whole studies with runs of any length, equal places on an axis, missing and infinite values."""
    rows = []
    for optimizer in ("a", "random"):
        for task in ("x", "y"):
            for seed in (3, 7):
                places = sorted(draw(st.lists(st.integers(1, 30), min_size=1, max_size=5)))
                for n, place in enumerate(places):
                    loss = draw(st.sampled_from([0.5, 0.25, np.nan, np.inf]))
                    axes = {"epochs_continued": place, "epochs_from_scratch": 2 * place, "seconds": place / 7}
                    others = {"overhead": 0.1, "n_results": n + 1, "trial": n, "epoch": 6, "val_loss": loss, "test_loss": loss}
                    rows.append({"optimizer": optimizer, "task": task, "seed": seed, **axes, **others, "regret": loss - 0.1})
    budget = draw(st.sampled_from([None, 30]))
    return Study(pd.DataFrame(rows), about(budget={"epochs": budget, "seconds": None}))


@settings(max_examples=60)
@given(studies(), st.sampled_from(list(AXES)), st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=4))
def test_the_grid_equals_a_loop(study, axis, shares):
    assert np.array_equal(study.at(axis, shares), by_hand(study, axis, shares, "regret"), equal_nan=True)


def test_values_are_those_of_the_closed_form():
    study = fake_study(3)
    shares = [0.05, 0.5, 1.0]
    values = study.at("epochs_continued", shares)
    for o, optimizer in enumerate(study.optimizers):
        exponent, factor, step = OPTIMIZERS[optimizer]
        for t, task in enumerate(study.tasks):
            for s, seed in enumerate(study.seeds):
                at = [BUDGET * share // step * step for share in shares]
                expected = [0.2 * luck(seed, optimizer, task) * factor * (epochs / 50) ** -exponent for epochs in at]
                np.testing.assert_allclose(values[o, t, s], expected, rtol=1e-12)


def test_a_run_has_no_value_before_its_first_incumbent():
    values = fake_study().at("epochs_continued", [0.015, 0.02, 0.05])
    names = sorted(OPTIMIZERS)
    assert np.isnan(values[names.index("random")]).all(axis=(0, 1)).tolist() == [True, True, False]
    assert np.isnan(values[names.index("bohb")]).all(axis=(0, 1)).tolist() == [True, False, False]


def test_the_set_budget_is_share_1_on_its_own_axis_and_the_smallest_end_on_others():
    study = fake_study()
    assert study.set_budget("epochs_continued") == BUDGET
    assert study.budgets("epochs_continued").tolist() == [BUDGET] * len(TASKS)
    assert study.set_budget("seconds") is None
    ends = study.trajectories.groupby(["optimizer", "task", "seed"], observed=True)["seconds"].max()
    assert study.budgets("seconds").tolist() == ends.groupby("task", observed=True).min().tolist()


@pytest.mark.parametrize(
    ("changes", "axis", "expected"),
    [
        ({"continue_trials": False}, "epochs_continued", None),
        ({"continue_trials": False}, "epochs_from_scratch", BUDGET),
        ({"budget": {"epochs": BUDGET, "seconds": 5.0}}, "epochs_continued", None),
        ({"budget": {"epochs": None, "seconds": 5.0}}, "seconds", 5.0),
    ],
)
def test_a_budget_counts_on_the_axis_it_was_set_in_and_alone(changes, axis, expected):
    study = fake_study()
    assert Study(study.trajectories, study.about | changes).set_budget(axis) == expected


def test_a_run_that_ended_early_keeps_its_incumbent():
    study = fake_study(2)
    late = (study.trajectories["optimizer"] == "bohb") & (study.trajectories["epochs_continued"] > 900)
    shorter = Study(study.trajectories[~late], study.about)
    values = shorter.at("epochs_continued", [0.9, 1.0])
    o = study.optimizers.index("bohb")
    assert (values[o, ..., 0] == values[o, ..., 1]).all()
    assert shorter.budgets("epochs_continued").tolist() == [BUDGET] * len(TASKS)


def test_constants_are_the_median_first_regret_of_random_search():
    study = fake_study(5)
    for task, constant in study.constants.items():
        assert constant == pytest.approx(np.median([0.2 * luck(seed, "random", task) for seed in range(5)]))
    assert study.reference == "random search"
    normalised = study.normalised("epochs_continued", [0.05])
    assert np.median(normalised[study.optimizers.index("random")], axis=1) == pytest.approx(1)


def test_a_part_of_a_study_has_the_constants_of_the_whole(tmp_path):
    whole = write_study(fake_study(), tmp_path / "s")
    part = Study.read(whole, optimizers=["bohb", "asha"], tasks=["car", "vehicle"], seeds=[0, 4])
    assert part.shape == (2, 2, 2)
    assert part.optimizers == ["asha", "bohb"]
    assert part.constants.to_dict() == {task: value for task, value in Study.read(whole).constants.items() if task != "segment"}


def test_without_random_search_all_optimizers_give_the_constants():
    study = fake_study(3, {"bohb": (1.0, 1.0, 20), "asha": (0.5, 1.0, 20)})
    assert study.reference == "all optimizers"
    assert (study.constants > 0).all()


def test_reading_gives_what_was_written(tmp_path):
    study = fake_study(2)
    again = Study.read(write_study(study, tmp_path / "fake"))
    assert again.optimizers == sorted(OPTIMIZERS)
    assert np.array_equal(again.at("seconds", [0.3, 1.0]), study.at("seconds", [0.3, 1.0]), equal_nan=True)


def test_the_order_of_runs_does_not_matter():
    study = fake_study(3)
    runs = [rows for _, rows in study.trajectories.groupby(["seed", "task", "optimizer"], observed=True)]
    shuffled = Study(pd.concat(runs[::-1], ignore_index=True), study.about)
    assert np.array_equal(shuffled.at("seconds", [0.1, 0.7]), study.at("seconds", [0.1, 0.7]), equal_nan=True)


def refused(tmp_path, trajectories=None, **changes):
    study = fake_study(2)
    path = write_study(study, tmp_path / "s")
    if trajectories is not None:
        trajectories(study.trajectories.copy()).to_parquet(path / "trajectories.parquet")
    if changes:
        (path / "study.json").write_text(json.dumps({k: v for k, v in (study.about | changes).items() if v != "gone"}))
    with pytest.raises(UserError) as error:
        Study.read(path)
    return str(error.value)


def test_what_is_wrong_with_a_study_is_said(tmp_path):
    def without_runs(frame):
        return frame[~((frame["optimizer"] == "bohb") & (frame["task"] == "car") & (frame["seed"] == 1))]

    def backwards(frame):
        return frame.assign(seconds=np.where(frame.index == 3, 0.0, frame["seconds"]))

    def torn(frame):
        return pd.concat([frame.iloc[5:], frame.iloc[:5]])

    assert "1 of the 24 runs" in (said := refused(tmp_path / "a", without_runs))
    assert "bohb on car with seed 1" in said
    assert "--optimizers" in said
    assert "`seconds` goes backwards" in refused(tmp_path / "b", backwards)
    assert "do not stand together" in refused(tmp_path / "c", torn)
    assert "lacks regret" in refused(tmp_path / "d", lambda frame: frame.drop(columns="regret"))
    assert "lacks workers" in refused(tmp_path / "e", workers="gone")
    assert "no runs" in refused(tmp_path / "f", lambda frame: frame.iloc[:0])
    (tmp_path / "g").mkdir()
    with pytest.raises(UserError, match=r"no finished study: it has no study\.json"):
        Study.read(tmp_path / "g")
    (tmp_path / "a" / "s" / "study.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        Study.read(tmp_path / "a" / "s")


def test_a_hole_in_a_study_can_be_left_out(tmp_path):
    study = fake_study(3)
    frame = study.trajectories
    path = write_study(study, tmp_path / "s")
    frame[~((frame["optimizer"] == "bohb") & (frame["seed"] == 2))].to_parquet(path / "trajectories.parquet")
    assert Study.read(path, seeds=[0, 1]).shape == (4, 3, 2)
    assert Study.read(path, optimizers=["asha", "random"]).shape == (2, 3, 3)


def test_a_part_that_is_not_there_is_refused(tmp_path):
    path = write_study(fake_study(2), tmp_path / "s")
    with pytest.raises(UserError, match="`tasks` names higgs, but the study has car, segment, vehicle"):
        Study.read(path, tasks=["car", "higgs"])
    with pytest.raises(UserError, match="`seeds` names 9, but the study has 0, 1"):
        Study.read(path, seeds=[9])


def test_a_task_without_regrets_cannot_be_normalised():
    study = fake_study(2)
    solved = study.trajectories.assign(regret=study.trajectories["regret"].where(study.trajectories["task"] != "car", 0.0))
    with pytest.raises(UserError, match="first regret on car is not above 0"):
        _ = Study(solved, study.about).constants


def test_many_runs_are_laid_on_a_grid_quickly():
    run = fake_study(1, {"bohb": OPTIMIZERS["bohb"]}).trajectories.query("task == 'car'")
    places = np.repeat(np.arange(20 * 5 * 30), len(run))
    names = {
        "optimizer": np.array(list("abcdefghijklmnopqrst"))[places // 150],
        "task": np.array(list("vwxyz"))[places // 30 % 5],
        "seed": places % 30,
    }
    study = Study(pd.concat([run] * 3000, ignore_index=True).assign(**names), about())
    start = time.perf_counter()
    assert study.at("seconds", np.linspace(0.01, 1, 200)).shape == (20, 5, 30, 200)
    assert time.perf_counter() - start < 1.0  # 0.05 s on the machine where it was written


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"axis": "hours"}, "`axis` is 'hours', but must be one of epochs_continued"),
        ({"statistic": "mode"}, "`statistic` is 'mode', but must be one of mean"),
        ({"share": 0.0}, "`share` is 0, but"),
        ({"share": float("nan")}, "`share` is nan, but"),
        ({"n_boot": 0}, "`n_boot` is 0, but"),
        ({"n_points": 1}, "`n_points` is 1, but"),
        ({"level": 1.0}, "`level` is 1, but"),
        ({"seed": -1}, "`seed` is -1, but"),
    ],
)
def test_options_refuse_what_makes_no_figure(option, said):
    with pytest.raises(UserError, match=said):
        Options(**option)


def test_the_columns_are_those_of_the_comparison():
    from experiments.trajectory import COLUMNS as RESULT

    assert set(COLUMNS) - {"optimizer", "task", "seed", "n_results", "regret"} <= set(RESULT)
