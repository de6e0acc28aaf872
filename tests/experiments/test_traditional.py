"""Traditional models beside the search: which are fitted, and which are left for the next session."""

import pytest

from experiments.cost import WallClock
from experiments.executors import Local, Serial
from experiments.traditional import Traditional
from lcbench.metric import METRICS
from pipeline.live import LiveBenchmark
from pipeline.sandbox import Limits, Sandbox
from pipeline.spaces import lcbench
from pipeline.tasks import bundled_task

NAMES = ("constant", "linear", "knn")


def traditional(folder, limit=None, seconds=3600.0):
    task = bundled_task("iris")
    live = LiveBenchmark(task.info, lcbench.space(task.info), 4, METRICS["accuracy"], folder)
    live.set_up(task)
    fitted = []
    return Traditional(folder, Sandbox(live, Limits(seconds)), WallClock(limit), NAMES, 0, fitted.append), fitted


def names_of(models):
    return [record["name"] for record in models.records]


def test_a_session_that_is_stopped_leaves_its_models_to_the_next(tmp_path):
    models, fitted = traditional(tmp_path)
    executor = Local(models.sandbox, workers=2)
    models.sandbox.stop()  # what Ctrl-C does, and an error
    models.start(executor)
    executor.close()
    assert names_of(models) == fitted == ["constant"]
    models, fitted = traditional(tmp_path)
    executor = Local(models.sandbox, workers=2)
    models.start(executor)
    models.wait(executor)
    executor.close()
    assert names_of(models) == fitted == list(NAMES)
    assert not [record for record in models.records if "error" in record]


@pytest.mark.parametrize(("more", "again"), [(3600.0, True), (0.01, False)])
def test_what_was_killed_for_its_time_is_fitted_again_where_there_is_more(tmp_path, more, again):
    for seconds in (0.01, more):
        models, fitted = traditional(tmp_path, seconds=seconds)
        executor = Serial(models.sandbox)
        models.start(executor)
        models.wait(executor)
        executor.close()
        if seconds == 0.01:
            assert [record.get("status") for record in models.records] == [None, "timeout", "timeout"]
    assert fitted == (list(NAMES) if again else ["constant"])


@pytest.mark.parametrize("workers", [None, 1, 2])
@pytest.mark.parametrize("limit", [None, 120.0])
def test_a_search_that_ends_before_its_time_waits_for_every_model(tmp_path, workers, limit):
    models, fitted = traditional(tmp_path, limit)
    executor = Local(models.sandbox, workers=workers) if workers else Serial(models.sandbox)
    models.start(executor)
    models.wait(executor)
    executor.close()
    assert fitted == list(NAMES)


def test_when_the_time_is_over_nothing_is_waited_for(tmp_path):
    models, fitted = traditional(tmp_path, 0.0)
    executor = Local(models.sandbox, workers=2)
    models.start(executor)
    models.wait(executor)
    executor.close()
    assert fitted == ["constant"]
