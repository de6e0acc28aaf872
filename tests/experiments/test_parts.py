"""Small parts of the harness: costs, incumbents, plans, sentences, sparklines."""

import subprocess
import sys
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from experiments.config import Budget, BudgetConfig
from experiments.cost import Account, Spent, WallClock
from experiments.display import LiveDisplay, PlainDisplay, clock_text
from experiments.incumbent import check_policy, incumbent, judged
from experiments.plan import plan, plan_table, show_plan
from experiments.progress import Progress
from experiments.report import _best_table, describe_incumbent
from lcbench.commands.words import spark
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.metric import METRICS
from lcbench.query import Query, Result, Status
from lcbench.space import lcbench_space, sample
from optimizers.asha import ASHA, StoppingASHA
from optimizers.dehb import DEHB
from optimizers.hyperband import Hyperband
from optimizers.random_search import RandomSearch
from optimizers.rungs import ladder

ROOT = Path(__file__).resolve().parents[2]
SPACE = lcbench_space()
CONFIGURATION = sample(SPACE, np.random.default_rng(0))


def _query(trial, epoch):
    return Query(CONFIGURATION, epoch, trial)


def _result(trial, epoch, loss):
    return Result(_query(trial, epoch), LearningCurve.empty(), loss, 1.0)


def test_a_continued_trial_costs_only_its_new_epochs():
    account = Account(Budget(epochs=100), continues=True)
    account.commit(_query(0, 6))
    assert account.cost(_query(0, 25)) == 19
    account.commit(_query(0, 25))
    assert account.epochs == 25
    assert account.admits(_query(1, 75))
    assert not account.admits(_query(1, 76))


def test_a_repeated_trial_costs_all_its_epochs():
    account = Account(Budget(epochs=100), continues=False)
    account.commit(_query(0, 6))
    assert account.cost(_query(0, 25)) == 25


def test_the_clock_counts_earlier_sessions():
    clock = WallClock(limit=100.0, spent=90.0, start=7.0)
    assert clock.deadline == 17.0
    assert not WallClock(limit=100.0, spent=90.0).over
    assert WallClock(limit=10.0, spent=10.5).over
    assert not WallClock(limit=None, spent=1e9).over


def test_an_extra_epoch_is_charged_once_per_trial():
    account = Account(Budget(epochs=100), continues=True, extra_epochs=1)
    account.commit(_query(0, 6))
    account.commit(_query(0, 12))
    assert account.epochs == 13


def test_a_run_counts_its_seconds_from_its_own_beginning_whatever_its_process_was_before():
    code = "import time; begun = time.monotonic(); from experiments.door import Door; print(Door()._start - begun)"
    shell = f'sleep 1; exec "{sys.executable}" -c "{code}"'  # the process is a second old when it becomes Python
    before = float(subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, check=True).stdout)
    assert 0 <= before < 0.5


def test_without_any_budget_a_run_takes_a_minute():
    assert Budget.of(BudgetConfig()) == Budget(seconds=60)
    assert Budget.of(BudgetConfig(trials=3)) == Budget(trials=3)


def test_incumbent_policies_differ_where_they_should():
    results = [_result(0, 6, 0.1), _result(1, 12, 0.3), _result(2, 12, 0.2), Result.failure(_query(3, 50), Status.CRASHED, "x")]
    passed = LearningCurve(np.arange(13), np.arange(13.0), {"val_accuracy": np.where(np.arange(13) == 7, 0.95, 0.5)})
    results.append(Result(_query(4, 12), passed, 0.5, 1.0))

    def best(policy, *more):
        return incumbent([judged(result, policy, METRICS["accuracy"]) for result in [*results, *more]], policy, 50)

    assert best("any").query.trial == 0
    assert best("highest_seen").query.trial == 2
    assert best("max_budget") is None
    assert best("max_budget", _result(5, 50, 0.9)).query.trial == 5
    assert best("any", _result(5, 6, 0.1)).query.trial == 0
    found = best("every_epoch")
    assert (found.query.trial, found.query.epoch, found.loss, found.curve.last_epoch) == (4, 7, pytest.approx(0.05), 7)


def test_an_unknown_policy_is_refused():
    with pytest.raises(UserError, match="`incumbent` is 'last', but must be one of max_budget, highest_seen, any, every_epoch"):
        check_policy("last")


def _hyperband(levels):
    return Hyperband(SPACE, levels, np.random.default_rng(0))


def test_a_plan_is_one_round_with_exact_costs():
    levels = ladder(50, 1, 3)
    rungs = plan(_hyperband(levels), Account(Budget(seconds=9), continues=False), levels)
    assert [(rung.bracket, rung.epoch, rung.trials) for rung in rungs][:4] == [(0, 1, 27), (0, 5, 9), (0, 16, 3), (0, 50, 1)]
    assert sum(rung.epochs for rung in rungs) == sum(rung.epochs_from_scratch for rung in rungs)
    assert sum(rung.epochs for rung in rungs) == 27 + 45 + 48 + 50 + 45 + 48 + 50 + 96 + 100 + 200


def test_a_plan_obeys_a_budget_of_epochs():
    levels = ladder(50, 6, 2)
    rungs = plan(_hyperband(levels), Account(Budget(epochs=60), continues=True), levels)
    assert sum(rung.epochs for rung in rungs) == 60


def test_a_plan_of_random_search_counts_its_trials():
    levels = ladder(50, 6, 2)
    rungs = plan(RandomSearch(SPACE, levels, np.random.default_rng(0)), Account(Budget(trials=7), continues=True), levels)
    assert sum(rung.epochs for rung in rungs) == 350


@pytest.mark.parametrize(("method", "depends"), [(Hyperband, False), (RandomSearch, False), (ASHA, True), (StoppingASHA, True)])
def test_a_plan_that_depends_on_losses_says_so(method, depends):
    levels, console = ladder(50, 6, 2), Console(file=StringIO(), width=200)
    account = partial(Account, Budget(epochs=1000), continues=True)
    show_plan("plan", lambda: method(SPACE, levels, np.random.default_rng(0)), account, levels, console)
    assert ("an example" in console.file.getvalue()) == depends


def test_trials_that_begin_above_the_lowest_rung_are_new_ones_too():
    levels = ladder(50, 6, 2)
    optimizer, account = DEHB(SPACE, levels, np.random.default_rng(0)), Account(Budget(epochs=1500), continues=True)
    rungs = plan(optimizer, account, levels)
    assert sum(rung.new for rung in rungs) > sum(rung.trials for rung in rungs if rung.rung == 0)
    assert f"{sum(rung.new for rung in rungs)} new trials" in plan_table(rungs, levels, Budget(epochs=1500)).caption


def test_the_best_table_has_every_trial_once_at_its_highest_epoch_best_first():
    def scored(trial, epoch, loss):
        curve = LearningCurve.from_entries([(0, 0.0, {}), (epoch, 1.0, {"val_accuracy": 1 - loss, "test_accuracy": 0.5})])
        return Result(_query(trial, epoch), curve, loss, 1.0)

    results = [scored(0, 6, 0.3), scored(1, 6, 0.1), scored(2, 6, 0.2), scored(0, 12, 0.25), scored(1, 12, 0.4), scored(3, 6, 0.05)]
    table = _best_table(results, METRICS["accuracy"], 4)
    assert [column.header for column in table.columns] == ["trial", "0", "1", "3", "2"]
    assert list(table.columns[1].cells)[:3] == ["0.7500", "0.5000", "12"]


def test_a_plan_that_is_cut_says_so():
    levels = ladder(50, 50, 2)
    search = RandomSearch(SPACE, levels, np.random.default_rng(0))
    rungs = plan(search, Account(Budget(trials=3000), continues=True), levels)
    assert "the plan stops here after 1000 evaluations" in plan_table(rungs, levels, Budget(trials=3000)).caption


def test_a_refused_query_is_not_waited_for():
    progress = Progress(WallClock(None), ladder(50, 6, 2), METRICS["accuracy"], "any", Path())
    progress.asked(_query(0, 6), admitted=True)
    progress.asked(_query(1, 6), admitted=False)
    assert progress.occupation()[0] == (6, 0, 1)


def test_a_display_survives_brackets_in_an_error():
    progress = Progress(WallClock(10), ladder(50, 6, 2), METRICS["accuracy"], "any", Path())
    text = StringIO()
    result = Result.failure(_query(0, 6), Status.CRASHED, "OSError: [/data/x.npy] [enforce fail at alloc.cpp:1]")
    progress.told(result)
    PlainDisplay(progress, Console(file=text, markup=False)).told(result)
    Console(file=text, markup=False, width=200).print(LiveDisplay(progress, "task [/b]"))
    assert text.getvalue().count("[/data/x.npy] [enforce fail at alloc.cpp:1]") == 2
    assert "task [/b]" in text.getvalue()


def test_a_line_of_blocks_draws_the_whole_range_and_shortens_long_curves():
    assert spark(np.array([0.0, 1.0])) == "▁█"
    assert spark(np.array([2.0, 2.0, 2.0])) == "▁▁▁"
    assert spark(np.array([0.0, np.nan, 1.0])) == "▁█"
    assert spark(np.empty(0)) == ""
    assert len(spark(np.linspace(0, 1, 500))) == 40


def test_clock_text():
    assert clock_text(59.9) == "0:59"
    assert clock_text(3661) == "61:01"


def _timed(trial, epoch, *, last=None):
    last = epoch if last is None else last
    curve = LearningCurve(np.arange(last + 1), 2.0 + 3.0 * np.arange(last + 1))
    query = _query(trial, epoch)
    if last < epoch:
        return Result.failure(query, Status.CRASHED, "x", curve=curve, seconds=float(curve.seconds[-1]))
    return Result(query, curve, 0.5, float(curve.seconds[-1]))


def test_both_axes_of_epochs_are_counted_as_far_as_a_training_came():
    spent = Spent()
    for result in (_timed(0, 6), _timed(0, 12), _timed(1, 6, last=4), _timed(2, 6, last=0)):
        spent.add(result)
    assert (spent.continued, spent.from_scratch) == (12 + 4, 6 + 12 + 4)


def test_of_a_training_that_stopped_early_the_judged_epoch_is_reported():
    metric = METRICS["accuracy"]
    values = {"val_accuracy": [0.1, 0.7, 0.9, 0.8, 0.8], "test_accuracy": [0.1, 0.6, 0.5, 0.4, 0.3]}
    curve = LearningCurve(np.arange(5), np.arange(5.0), values)
    query = Query(lcbench_space().get_default_configuration(), 50, 0)
    stopped = describe_incumbent(Result(query, curve, metric.loss(0.9), 1.0), metric)
    assert (stopped["validation_score"], stopped["test_score"]) == (0.9, 0.5)
    ended = describe_incumbent(Result(query, curve, metric.loss(0.8), 1.0), metric)
    assert (ended["validation_score"], ended["test_score"]) == (0.8, 0.3)
