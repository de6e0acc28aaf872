"""Bad input through the real door: one sentence, exit code 2, no traceback, and nothing recorded is lost."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lcbench.rundir import read_run
from tests.experiments.conftest import ONE, OPTIMIZERS, ROOT, SMALL

FAST = ("debug=fast", "budget.trials=2")
AS_RECORDED = (*SMALL, ONE)
"""What `door` adds and `door_here` does not."""


def _refused(answer):
    """The one sentence on stderr."""
    assert answer.returncode == 2, answer.stdout + answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("task=adlt", "`task` is 'adlt', but must be one of .*adult.*; did you mean 'adult'?"),
        ("optimizer=bobh", f"`optimizer` is 'bobh', but must be one of {', '.join(OPTIMIZERS)}; did you mean 'bohb'?"),
        ("seeed=3", "there is no key `seeed`; did you mean 'seed'?"),
        ("budget.second=3", "there is no key `budget.second`; did you mean 'seconds'?"),
        ("optimizer.table_=x", "there is no key `optimizer.table_`; did you mean 'table'?"),
        ("budget.seconds=lots", "`budget.seconds`: value 'lots' of type 'str' could not be converted to Float"),
        ("budget.seconds=-3", "`budget.seconds` is -3.0, but must be positive and finite, or null for no limit of this kind"),
        ("budget.trials=0", "`budget.trials` is 0, but must be positive"),
        ("budget.seconds=inf", "`budget.seconds` is inf, but must be positive and finite"),
        ("fidelity.eta=2.5", "`fidelity.eta` is 2.5, but must be a whole number"),
        ("optimizer.random_fraction=nan", "`optimizer.random_fraction` is nan, but must be a finite number"),
        ("optimizer.n_candidates=many", "`optimizer.n_candidates` is 'many', but must be a whole number"),
        ("runs=/proc/nope", "/proc/nope"),
        ("plan=maybe", "`plan`: value 'maybe' is not a valid bool"),
        ("task.name=../../escape", "`task.name` is '../../escape', but must be the name of a folder"),
        ("seed=4294967296", "`seed` is 4294967296, but must be 0 or larger, and below 4294967296"),
        ("seed=-1", "`seed` is -1, but must be 0 or larger"),
        ("metric=rmse", "`metric` is 'rmse', but task 'digits' is a classification task: choose one of accuracy, "),
        ("metric=acuracy", "`metric` is 'acuracy'"),
        ("incumbent=best", "`incumbent` is 'best', but must be one of max_budget, highest_seen, any, every_epoch"),
        ("fidelity.eta=1", "`fidelity` cannot be built: `eta` is 1, but must be an integer of at least 2"),
        ("fidelity.min_epochs=99", "`min_epochs` is 99, but must lie in 1.."),
        ("optimizer.table=mine", "`table` is 'mine', but must be 'hpbandster' or 'li2018'"),
        ("trial.memory_mb=-5", "`memory_mb` of a trial is -5, but must be positive"),
        ("executor=cloud", "`executor` is 'cloud', but must be one of dask, local, serial"),
        ("benchmark.anneal=rung", "set `benchmark.continue_trials=false`"),
        ("task=openml", "`task.id` has no value: give one"),
        ("refit=test", "`refit` is 'test', but must be train (the training and the validation rows), all (the test rows too), or null"),
        ("cross_validation=1", "`cross_validation` is 1, but must be 2..1203 folds, or null to hold out 33 % for validation"),
        ("cross_validation=many", "`cross_validation` is 'many', but must be auto, a number of folds, or null"),
        ("task=iris=3", "the override 'task=iris=3' cannot be read: write name=value"),
    ],
)
def test_a_bad_override_is_one_sentence(door_here, override, sentence):
    options = [word for word in FAST if word.split("=")[0] not in override]
    text = _refused(door_here(*options, override))
    assert re.search(re.escape(sentence).replace(r"\.\*", ".*"), text), text


def _csv(tmp_path, table, name="table.csv"):
    pd.DataFrame(table).to_csv(tmp_path / name, index=False)
    return str(tmp_path / name)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return {"age": rng.integers(18, 80, 60), "city": rng.choice(["Bonn", "Kiel"], 60), "label": rng.choice(["yes", "no"], 60)}


def test_a_file_of_ones_own_runs(door, tmp_path, table):
    answer = door(*FAST, "task=file", f"task.path={_csv(tmp_path, table, 'people.csv')}", "task.target=label")
    assert answer.returncode == 0, answer.stderr
    assert door.summaries()[0]["task"] == "people"


def test_a_missing_target_names_the_columns(door_here, tmp_path, table):
    text = _refused(door_here(*FAST, "task=file", f"task.path={_csv(tmp_path, table)}", "task.target=lable"))
    assert "'lable'" in text
    assert "label" in text


def test_a_refit_without_an_ensemble_is_refused(door_here):
    text = _refused(door_here(*FAST, "refit=train", "ensemble.size=0"))
    assert "`refit` is 'train', but with ensemble.size=0 no model is kept: set one of the two" in text


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        ("1", "`test_share` is 1, but must be a share of the rows below 1, or 0 for no test rows"),
        ("0.99", "the test rows leave 0 to train and validate, but at least 2 are needed"),
        ("lots", "`task.test_share` is 'lots', but must be a finite number"),
    ],
)
def test_a_share_of_test_rows_that_cannot_be_is_refused(door_here, tmp_path, table, share, sentence):
    file = f"task.path={_csv(tmp_path, table)}"
    assert sentence in _refused(door_here(*FAST, "task=file", file, "task.target=label", f"task.test_share={share}"))


def test_a_second_file_without_a_column_of_the_first_is_refused(door_here, tmp_path, table):
    files = f"task.path={_csv(tmp_path, table)}", f"task.test_path={_csv(tmp_path, {'age': [1], 'label': ['yes']}, 'later.csv')}"
    assert "later.csv has no column 'city', which" in _refused(door_here(*FAST, "task=file", *files, "task.target=label"))


def test_a_target_with_one_class_is_refused(door_here, tmp_path, table):
    path = _csv(tmp_path, table | {"label": ["yes"] * 60})
    assert "one class" in _refused(door_here(*FAST, "task=file", f"task.path={path}", "task.target=label"))


def test_text_in_a_numeric_column_names_it_and_its_values(door_here, tmp_path, table):
    path = _csv(tmp_path, table)
    text = _refused(door_here(*FAST, "task=file", f"task.path={path}", "task.target=label", "task.numeric=[city]"))
    assert "city" in text
    assert "Bonn" in text or "Kiel" in text


def test_a_numeric_target_with_spoilt_cells_is_refused(door_here, tmp_path, table):
    price = [str(round(i * 1.7, 2)) for i in range(58)] + ["?", "12,5"]
    text = _refused(door_here(*FAST, "task=file", f"task.path={_csv(tmp_path, table | {'price': price})}", "task.target=price"))
    assert "target 'price' holds numbers, but 2 of 60 cells are none" in text
    assert "task.kind=classification" in text


def test_a_start_that_fails_leaves_nothing(door, door_here, tmp_path):
    _refused(door_here(*FAST, "task=adult", f"openml.cache_dir={tmp_path / 'nowhere'}"))
    assert not list(door.runs.rglob(".lock"))


@pytest.mark.slow
def test_a_running_experiment_is_not_repaired(door):
    first = door.start("budget.seconds=30")
    try:
        while not list(door.runs.rglob("table.json")):
            assert first.poll() is None
        directory = next(door.runs.rglob("table.json")).parent
        repair = [sys.executable, "-m", "lcbench", "repair", str(directory)]
        answer = subprocess.run(repair, cwd=ROOT, check=False, capture_output=True, text=True)
        assert (answer.returncode, "a running experiment must not be repaired" in answer.stderr) == (2, True)
    finally:
        first.kill()
        first.communicate()


def test_a_task_that_cannot_be_had_names_cache_remedy_and_alternatives(door_here, tmp_path):
    text = _refused(door_here(*FAST, "task=adult", f"openml.cache_dir={tmp_path / 'nowhere'}"))
    for part in (str(tmp_path / "nowhere"), "openml.cache_dir=DIR", "OPENML_CACHE_DIR", "digits, breast_cancer, wine, iris, diabetes"):
        assert part in text


def test_an_unreadable_cache_is_one_sentence(door_here, tmp_path, openml_cache):
    shutil.copytree(openml_cache / "org/openml/www/tasks/126025", tmp_path / "org/openml/www/tasks/126025")
    broken = tmp_path / "org/openml/www/tasks/126025/task.xml"
    broken.write_bytes(b"<not xml")
    text = _refused(door_here(*FAST, "task=adult", f"openml.cache_dir={tmp_path}"))
    assert str(broken) in text
    assert broken.read_bytes() == b"<not xml"


@pytest.fixture
def unfinished(finished):
    """The directory of a run that was recorded and not finished."""
    (finished / "DONE").unlink()
    return finished


def _damage(path, share=0.5):
    """Flip a byte at this share of the length."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 0xFF
    path.write_bytes(bytes(data))
    return bytes(data)


@pytest.mark.parametrize("name", ["events.journal", "journals/worker-0.journal"])
def test_a_damaged_journal_is_refused_whole_and_can_be_repaired(door_here, unfinished, name):
    damaged = _damage(unfinished / name)
    text = _refused(door_here(*FAST, *AS_RECORDED))
    assert f"{unfinished / name} is damaged at byte" in text
    assert f"python -m lcbench repair {unfinished}" in text
    assert (unfinished / name).read_bytes() == damaged


def test_after_a_repair_the_run_goes_on_or_says_why_not(door, unfinished):
    repair = [sys.executable, "-m", "lcbench", "repair", str(unfinished)]
    _damage(unfinished / "journals/worker-0.journal", 0.95)  # the last epoch
    assert subprocess.run(repair, cwd=ROOT, check=False, capture_output=True).returncode == 0
    assert door(*FAST).returncode == 0
    (unfinished / "DONE").unlink()
    _damage(unfinished / "events.journal")
    assert subprocess.run(repair, cwd=ROOT, check=False, capture_output=True).returncode == 0
    assert "has lost records in a repair, so this run cannot be continued; its curves are whole" in _refused(door(*FAST))
    assert len(read_run(unfinished).trainings) == 2


def test_a_table_that_has_changed_is_not_mixed_with_the_old_one(door, tmp_path, table):
    options = (*FAST, "task=file", f"task.path={_csv(tmp_path, table)}", "task.target=label")
    (directory,) = door(*options).directories
    (directory / "DONE").unlink()
    _csv(tmp_path, table | {"age": table["age"][::-1]})
    assert "the table of task 'table' has changed since the run" in _refused(door(*options))


@pytest.mark.parametrize(("name", "damage"), [("summary.json", "{"), ("config.yaml", ""), ("config.yaml", "a: [")])
def test_damaged_small_files_are_one_sentence(door_here, unfinished, name, damage):
    (unfinished / "DONE").touch()
    (unfinished / name).write_text(damage)
    assert str(unfinished / name) in _refused(door_here(*FAST, *AS_RECORDED))


@pytest.mark.usefixtures("finished")
def test_an_extension_cannot_shrink_a_run(door):
    assert "`budget.trials` was 2 and is now 1" in _refused(door("debug=fast", "budget.trials=1", "extend=true"))
    assert door(*FAST).returncode == 0


def test_damaged_curves_are_refused_and_kept(door_here, unfinished):
    damaged = (unfinished / "curves.h5").read_bytes()[:5000]
    (unfinished / "curves.h5").write_bytes(damaged)
    text = _refused(door_here(*FAST, *AS_RECORDED))
    assert "curves.h5" in text
    assert f"python -m lcbench repair {unfinished}" in text
    assert (unfinished / "curves.h5").read_bytes() == damaged


def test_two_processes_do_not_share_a_run(door):
    first = door.start("budget.seconds=30")
    try:
        while not list(door.runs.rglob("table.json")):
            assert first.poll() is None
        assert "another process is working in" in _refused(door("budget.seconds=30"))
    finally:
        first.kill()
        first.communicate()
