"""What is refused before anything is trained, most before a task is loaded: it may be legal for the one kind of task only."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from experiments import build
from experiments.config import Budget, register
from experiments.cost import Spent, WallClock
from experiments.door import CONF
from experiments.records import EventLog, RunDirectory
from experiments.search import _limit, _name_table, check
from lcbench.errors import UserError
from lcbench.metric import METRICS
from lcbench.rundir import read_header
from lcbench.task import TaskInfo
from optimizers.portfolio import Portfolio
from pipeline.live import LiveBenchmark
from pipeline.spaces import apt2021, lcbench
from pipeline.tasks import bundled_task

TASK = TaskInfo("t", "classification", None, 0, "", 1, 1, 1, 4, 3, 2)


def composed(*words):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("run", list(words))


@pytest.mark.parametrize(
    "words",
    [
        ["space.updates={batch_size: 128}"],
        ["space.updates={adam.weight_decay: 0.0, sgd.weight_decay: 0.0}"],
        ["space.updates={optimizer: [sgd], preprocessor: [truncated_svd]}"],
        ["space=tiny", "space.updates={loss: [absolute]}"],
        ["space=full", "space.updates={extra_trees_selection.criterion: [squared_error]}"],
        ["space=tiny", "prior=beliefs", "prior.beliefs={loss: {absolute: 2}}"],
    ],
)
def test_what_is_legal_for_a_kind_of_task_is_not_refused(words):
    check(composed(*words))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["space=tiny", "space.updates={loss: [huber]}"], "cross_entropy, cross_entropy_weighted.*; on a regression: .* squared, absolute"),
        (["space.updates=[batch_size]"], r"`space.updates` is \['batch_size'\], but must be "),
        (["space.updates={optimizer: [sgd], preprocessor: [truncated_svd]}", "portfolio=greedy2021"], "no member of"),
    ],
)
def test_what_is_legal_for_neither_is_refused(words, sentence):
    with pytest.raises(UserError, match=sentence):
        check(composed(*words))


def test_the_default_portfolio_takes_what_the_user_fixes_and_steps_aside_where_nothing_of_it_is_left():
    said = []
    config = composed("space.updates={batch_size: 128}")
    optimizer = build.build_optimizer(config, build.build_space(config, TASK).space, build.build_ladder(config), said.append)
    assert [optimizer.ask().configuration["batch_size"] for _ in range(16)] == [128] * 16
    assert "member 0: batch_size 60 is clipped to 128" in said
    config = composed("space.updates={optimizer: [sgd], preprocessor: [truncated_svd]}")
    said.clear()
    optimizer = build.build_optimizer(config, build.build_space(config, TASK).space, build.build_ladder(config), said.append)
    assert not isinstance(optimizer, Portfolio)
    assert len(said) == 1 and said[0].startswith("no portfolio is tried first: no member of ")


@pytest.mark.parametrize("n_categorical", [0, 2])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_every_member_of_the_default_portfolio_is_legal_as_it_is(kind, n_categorical):
    said = []
    config = composed()
    space = apt2021.space(TaskInfo("t", kind, None, 0, "", 1, 1, 1, 4, 3, n_categorical)).space
    optimizer = build.build_optimizer(config, space, build.build_ladder(config), said.append)
    for _ in range(16):
        optimizer.ask().configuration.check_valid_configuration()
    assert not [words for words in said if "skipped" in words or "clipped" in words]


def test_a_table_is_named_anew_until_something_is_recorded(tmp_path):
    """A process that was killed while it set up may have named it for another metric."""
    task = bundled_task("iris")

    def named(metric, checksum=1):
        live = LiveBenchmark(task.info, lcbench.space(task.info), 4, METRICS[metric], tmp_path)
        with RunDirectory(tmp_path, {}) as directory:
            _name_table(directory, live, checksum)
        return read_header(tmp_path)

    assert named("accuracy").objective == "val_accuracy"
    assert named("cross_entropy").objective == "val_cross_entropy"
    assert named("accuracy", 2).provenance["table_crc32"] == 2
    log = EventLog(tmp_path, WallClock(None), Spent())
    log.note("session")
    log.close()
    with pytest.raises(UserError, match="the table of task 'iris' has changed since the run"):
        named("accuracy", 3)
    assert read_header(tmp_path).provenance["table_crc32"] == 2


def test_rmsle_looks_at_every_row_before_anything_is_trained():
    """Training and test rows have a value of it too."""
    config = SimpleNamespace(metric="rmsle")
    info, y = bundled_task("diabetes").info, np.array([1.0, 2.0, -3.0])
    for rows in ([0], [2]):
        with pytest.raises(UserError, match="its smallest target is -3"):
            build.build_metric(config, SimpleNamespace(info=info, y=y, val=np.array(rows)))
    assert build.build_metric(config, SimpleNamespace(info=info, y=y[:2], val=np.array([0]))).name == "rmsle"


@pytest.mark.parametrize(
    ("seconds", "refit", "limit"),
    [(None, None, None), (None, "train", None), (600, None, 595), (600, "train", 475), (60, None, 57), (60, "all", 45)],
)
def test_a_run_keeps_time_for_its_refit_and_its_report(seconds, refit, limit):
    assert _limit(Budget(seconds=seconds), refit) == (None if limit is None else pytest.approx(limit))


def test_choices_of_this_machine_stand_in_a_folder_of_their_own(tmp_path):
    register()
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "local").mkdir(exist_ok=True)
    for name in ("default", "compare", "collect"):
        (tmp_path / "conf" / "local" / f"{name}.yaml").write_text("space: {updates: {batch_size: 64}}\n")
    with initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        for name in ("run", "compare", "collect"):
            assert compose(name, ["space=lcbench"]).space.updates == {"batch_size": 64}
