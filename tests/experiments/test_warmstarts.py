"""Ways to begin on a new task, judged from recorded curves: against what the definitions say, step by step."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.warmstarts import by_task, differences, frame, main
from experiments.candidates import candidates_of
from experiments.warmstarts import GREEDY, HYPERBAND, RANDOM, TRIED, warm_starts
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.merge import choose_metrics
from lcbench.query import Result
from lcbench.space import lcbench_space
from lcbench.store import write_curves
from lcbench.table import CurveTable
from optimizers.greedy import greedy, random_by_size, regrets_of
from optimizers.hyperband import Hyperband
from optimizers.rungs import ladder
from tests.lcbench.curve_strategies import TASK
from tests.lcbench.tables import fake_table, fake_training

N, SEEDS = 40, 30
NAMES = ("one", "two", "three")


def _tables(more=()):
    """Three tasks on which the same configurations are good to different degrees."""
    tables = []
    for t, name in enumerate(NAMES):
        table = fake_table(N, task=replace(TASK, name=name), more=more)
        fields = {field: getattr(table, field) for field in CurveTable.__dataclass_fields__}
        noise = np.random.default_rng(t).normal(0, 0.05, (N + len(more), 1)).astype(np.float32)
        tables.append(CurveTable(**{**fields, "curves": table.curves + noise}))
    return tables


def _members(*trials, **changes):
    return [fake_training(trial, origin="portfolio", **changes) for trial in trials]


@pytest.fixture(scope="module")
def found():
    return warm_starts(_tables(_members(101, 100, 102)), size=3, seeds=SEEDS)


def test_the_greedy_portfolio_has_not_seen_its_task(found):
    tables = _tables(_members(101, 100, 102))
    candidates = candidates_of([table.take(range(N)) for table in tables])
    members = np.array([[_last(table, N + place) for table in tables] for place in range(3)])
    regrets = regrets_of(np.concatenate([candidates.scores, members]))[:N]
    for t in range(3):
        chosen = greedy(np.delete(regrets_of(candidates.scores), t, axis=1), 3)
        assert found.regrets[GREEDY][:, t] == pytest.approx([regrets[chosen[: k + 1], t].min() for k in range(3)])
    assert found.regrets[RANDOM] == pytest.approx(random_by_size(regrets, 3))
    assert (found.tasks, found.n_candidates, found.epoch) == (list(NAMES), N, 12)


def _last(table, row):
    return float(table.curves[table.plane("val_accuracy"), row, 12])


def test_members_count_in_the_order_of_their_numbers(found):
    tables = _tables(_members(101, 100, 102))
    for t, table in enumerate(tables):
        scores = [_last(table, row) for row in range(N + 3)]
        unit = max(scores) - min(scores)
        by_trial = [scores[N + 1], scores[N], scores[N + 2]]  # 100, 101, 102
        expected = [(max(scores) - max(by_trial[: k + 1])) / unit for k in range(3)]
        assert found.regrets[TRIED][:, t] == pytest.approx(expected, abs=1e-6)


def _n_draws():
    from experiments.vectorised import n_draws, schedule

    return n_draws(schedule("hyperband", ladder(12, 1, 2), 3 * 12))


def test_every_training_of_hyperband_counts_as_often_as_its_epochs(found):
    """After k trainings' worth of epochs the best of the longest of what a plain simulation has told."""
    for t, table in enumerate(_tables(_members(101, 100, 102))):
        scores = table.curves[table.plane("val_accuracy")].astype(float)
        best, unit = scores[:, 12].max(), np.ptp(scores[:, 12])
        rng, regrets = np.random.default_rng([0, t]), []
        for _ in range(SEEDS):
            regrets.append(_hyperband(rng.permutation(N)[: _n_draws()], (best - scores) / unit))
        assert found.regrets[HYPERBAND][:, t] == pytest.approx(np.mean(regrets, axis=0), abs=1e-6)


def _hyperband(rows, regrets):
    """Regret after 12, 24 and 36 epochs of the real optimizer, which is asked and told one network at a time."""
    optimizer = Hyperband(lcbench_space(), ladder(12, 1, 2), np.random.default_rng(0))
    fresh, place, trained, spent, best, highest, told = iter(rows), {}, {}, 0, 1.0, 0, []
    while True:
        query = optimizer.ask()
        if query.trial not in place:
            place[query.trial] = next(fresh)
        spent += query.epoch - trained.get(query.trial, 0)
        while spent > 12 * (len(told) + 1):
            told.append(np.clip(best, 0, 1))
            if len(told) == 3:
                return told
        trained[query.trial] = query.epoch
        regret = regrets[place[query.trial], query.epoch]
        best = regret if query.epoch > highest else min(best, regret) if query.epoch == highest else best
        highest = max(highest, query.epoch)
        curve = LearningCurve(np.arange(query.epoch + 1), np.arange(query.epoch + 1.0))
        optimizer.tell(Result.measured(query, curve, regret, 1.0))


def test_a_network_that_failed_counts_as_the_worst_for_hyperband_too():
    broken = LearningCurve(np.arange(1), [0.0], {"val_accuracy": [0.1]})
    failed = [fake_training(trial, status="diverged", curve=broken) for trial in range(100, 160)]
    found = warm_starts(_tables(failed), size=3, seeds=SEEDS)
    assert np.isfinite(found.regrets[HYPERBAND]).all()
    assert found.regrets[HYPERBAND].max() <= 1


def test_what_one_task_lacks_is_nowhere_a_candidate_but_regrets_are_to_the_best_of_all():
    tables = _tables()
    ragged = warm_starts([*tables[:2], tables[2].take(range(34))], size=3, seeds=SEEDS)
    even = warm_starts([table.take(range(34)) for table in tables], size=3, seeds=SEEDS)
    assert ragged.n_candidates == even.n_candidates == 34
    for t, known in enumerate((N, N, 34)):
        scores = np.array([_last(tables[t], row) for row in range(known)])
        unit, behind = np.ptp(scores), scores.max() - scores[:34].max()
        assert ragged.regrets[RANDOM][:, t] == pytest.approx((behind + even.regrets[RANDOM][:, t] * np.ptp(scores[:34])) / unit)
    for name, regrets in even.regrets.items():
        assert ragged.regrets[name][:, 2] == pytest.approx(regrets[:, 2])


def test_some_tasks_are_judged_by_what_was_chosen_from_all(found):
    some = found.on(["three", "one"])
    assert some.tasks == ["three", "one"]
    for name, regrets in found.regrets.items():
        assert np.array_equal(some.regrets[name], regrets[:, [2, 0]])
    with pytest.raises(UserError, match="`--tasks` names four, but there are one, two, three"):
        found.on(["four"])


def test_a_portfolio_is_needed_only_on_the_tasks_that_are_judged(found):
    tables = _tables(_members(101, 100, 102))
    some = warm_starts([*tables[:2], tables[2].take(range(N))], size=3, seeds=SEEDS, tasks=["two", "one"])
    for name, regrets in found.regrets.items():
        assert some.regrets[name] == pytest.approx(regrets[:, [1, 0]])


def test_no_training_is_no_comparison(capsys, tmp_path):
    assert main([str(tmp_path / "any.h5"), "--size", "0"]) == 2
    assert "`--size` is 0, but must be at least 1 training" in capsys.readouterr().err


def test_a_member_that_failed_counts_as_the_worst():
    broken = LearningCurve(np.arange(3), [0.0, 1.0, 2.0], {"val_accuracy": [0.1, np.nan, np.nan]})
    found = warm_starts(_tables([*_members(100, status="diverged", curve=broken), *_members(101)]), size=2, seeds=3)
    assert found.regrets[TRIED][0] == pytest.approx([1.0] * 3)
    assert np.all(found.regrets[TRIED][1] < 1)


def test_what_runs_out_of_configurations_keeps_its_best_one():
    found = warm_starts(_tables(_members(100, 101)), size=4, seeds=3)
    assert {name: len(regrets) for name, regrets in found.regrets.items()} == dict.fromkeys(found.regrets, 4)
    assert found.regrets[TRIED][3].tolist() == found.regrets[TRIED][1].tolist()


def test_a_portfolio_that_is_still_trained_or_lacks_the_metric_is_refused():
    unfinished = replace(fake_training(100, origin="portfolio"), status="unfinished")
    with pytest.raises(UserError, match="members of the portfolio are still being trained on 'one'"):
        warm_starts(_tables([unfinished]), size=2, seeds=3)
    members = [choose_metrics(table, ["val_accuracy"]) for table in _tables(_members(100))]
    drawn = _tables()
    with pytest.raises(UserError, match=r"`--metric` is 'val_cross_entropy', but the portfolio was recorded on 'one' with val_accuracy"):
        warm_starts([*drawn, *(table.take([N]) for table in members)], size=2, metric="val_cross_entropy", seeds=3)


def test_without_a_portfolio_there_is_no_line_of_it():
    assert set(warm_starts(_tables(), size=2, seeds=3).regrets) == {GREEDY, RANDOM, HYPERBAND}


def _of_rows(checksum):
    return replace(_tables()[0], provenance={"table_crc32": checksum})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (lambda: _tables()[:1], "at least two tables"),
        (lambda: [], "at least two tables"),
        (lambda: [_tables()[0].take(range(9)), _tables()[1].take(range(9, 18))], "all trained on at least two tables"),
        (lambda: [*_tables(_members(100))[:1], *_tables()[1:]], "not on two, three: train it there, leave it out, or judge on others"),
        (lambda: _tables([fake_training(100, origin="portfolio", horizon=6)]), "for 6 epochs on one, but the random configurations for 12"),
        (lambda: [table.take(range(9)) for table in _tables()], "Hyperband needs"),
        (lambda: _tables([*_members(100), fake_training(100, origin="portfolio", seed=2)]), "more than once on one"),
        (lambda: [*_tables(), *_tables(_members(100)), *_tables(_members(101))], "more than once on one"),
        (lambda: [_of_rows(7), _of_rows(8), *_tables()], "checksums 7 and 8"),
    ],
)
def test_what_is_missing_is_said(tables, said):
    with pytest.raises(UserError, match=said):
        warm_starts(tables(), size=4, seeds=3)


def test_bands_lie_around_the_mean_over_tasks(found):
    table = frame(found)
    assert set(table["optimizer"]) == {GREEDY, TRIED, RANDOM, HYPERBAND}
    assert np.all((table["low"] <= table["value"]) & (table["value"] <= table["high"]))
    for name, rows in table.groupby("optimizer"):
        assert rows["value"].to_numpy() == pytest.approx(found.regrets[name].mean(axis=1))


def test_differences_are_those_of_the_tasks(found):
    tasks = by_task(found).set_index(["optimizer", "task", "trainings"])["value"]
    more = np.mean([tasks[RANDOM, name, 1] - tasks[GREEDY, name, 1] for name in NAMES])
    assert differences(found).loc[f"{RANDOM} - {GREEDY}", 1].startswith(f"{more:+.4f} [")
    assert GREEDY not in differences(found).index


def test_the_command_writes_a_figure_and_its_numbers(tmp_path, capsys):
    write_curves(tmp_path / "a.h5", _tables(_members(100, 101, 102, 103)))
    assert main([str(tmp_path / "a.h5"), "--to", str(tmp_path / "out"), "--size", "4"]) == 0
    assert (tmp_path / "out/warmstarts.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "out/warmstarts.csv")) == 16
    tasks = pd.read_csv(tmp_path / "out/warmstarts_tasks.csv")
    assert len(tasks) == 16 * len(NAMES)
    said = capsys.readouterr().out
    assert GREEDY in said
    assert f"{RANDOM} - {GREEDY}" in said
    assert main([str(tmp_path / "a.h5"), "--to", str(tmp_path / "out"), "--size", "4", "--portfolio", "ours"]) == 0
    assert set(pd.read_csv(tmp_path / "out/warmstarts.csv")["optimizer"]) == {GREEDY, "ours", RANDOM, HYPERBAND}
    capsys.readouterr()
    assert main([str(tmp_path / "a.h5"), "--metric", "val_luck"]) == 2
    assert "val_luck" in capsys.readouterr().err
