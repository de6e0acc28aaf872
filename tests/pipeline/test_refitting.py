"""The pair refitted = fitted: on the rows that a member was trained on, training it again gives the same member to the last bit."""

import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from ConfigSpace import Configuration

from lcbench.metric import METRICS
from lcbench.query import Query
from pipeline.constant import Constant
from pipeline.live import LiveBenchmark, member_name
from pipeline.members import read_kept
from pipeline.predictor import load_parts, load_states, replacing_folder
from pipeline.preprocessing.raw import RawTable
from pipeline.refitting import refit
from pipeline.spaces import lcbench
from pipeline.tasks import bundled_task
from pipeline.traditional.model import build, names

KINDS = {"classification": bundled_task("wine"), "regression": bundled_task("diabetes")}


def refitted(folder, name, rows, to):
    """Refit a member of a predictor on the training rows of a table; returns its parts and the folder that holds them."""
    rows.save(to / "table")
    with replacing_folder(to / "refitted") as new:
        told = refit(folder, name, to / "table", rows.info, new)
    parts, X = load_parts(to / "refitted", name), rows.values[rows.rows["test"]]
    view = parts[0].view
    answers = parts[0].model.predict(unpickled(to / "refitted", view).transform(X) if view else X)
    assert told.seconds > 0
    assert np.array_equal(told.test, answers)  # what was told of the test rows is what the stored model says
    assert told.test.shape == (len(X), rows.info.n_outputs)
    return parts, to / "refitted"


def unpickled(folder, view):
    return pickle.loads((folder / "preprocessors" / f"{view}.pkl").read_bytes())


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def check_same_network(folder, name, rows, fold, to):
    """The part of a fold, trained again on that fold's rows alone, has the same weights and the same view of all rows."""
    (part,), new = refitted(folder, name, rows, to)
    (state,), before = load_states(new / "members" / f"{name}.pt"), load_states(folder / "members" / f"{name}.pt")[fold]
    assert equal(state["weights"], before["weights"])
    assert {key for key in state if key != "weights" and state[key] != before[key]} == {"view"}
    views = [unpickled(new, state["view"]).transform(rows.values), unpickled(folder, before["view"]).transform(rows.values)]
    assert np.array_equal(*views)
    assert np.array_equal(part.model.predict(views[0]), load_parts(folder, name)[fold].model.predict(views[1]))
    return state


@pytest.mark.parametrize("target", ["label", "amount"])
@pytest.mark.parametrize("member", [0, 1], ids=["learned embeddings", "default"])
def test_a_network_refitted_on_its_own_rows_is_the_same_to_the_last_bit(small_run, target, member, tmp_path):
    folder, task, members = small_run(target)
    state = check_same_network(folder / "predictor", members[member], RawTable.of(task).whole("train"), 0, tmp_path)
    assert bool(state["cardinalities"]) == (member == 0)
    assert state["epoch"] == (2, 6)[member]


@pytest.mark.parametrize("fold", [0, 2])
def test_a_network_of_one_fold_refitted_on_the_rows_of_the_others_is_the_same(small_run, fold, tmp_path):
    folder, task, members = small_run("label", 3)
    check_same_network(folder / "predictor", members[0], RawTable.of(task).fold(fold).whole("train"), fold, tmp_path)


def test_a_network_that_stopped_early_is_refitted_to_its_best_epoch(tmp_path):
    task = KINDS["classification"]
    search_space = lcbench.space(task.info)
    chosen = {"weight_averaging": "moving_average", "moving_average.decay": 0.5, "augmentation": "mixup", "mixup.alpha": 0.3}
    live = LiveBenchmark(task.info, replace(search_space, fixed=search_space.fixed | chosen), 60, METRICS["accuracy"], tmp_path, patience=2)
    live.set_up(task)
    fast = dict(live.space.get_default_configuration()) | {"learning_rate": 0.1}
    query = Query(Configuration(live.space, values=fast), 60, 0, 5)
    result = live.evaluate(query)
    rows = RawTable.of(task).whole("train")
    state = check_same_network(tmp_path, member_name(query), rows, 0, tmp_path / "again")
    assert state["epoch"] == result.curve.last_epoch - 2
    assert set(chosen.items()) <= set(state["settings"].items())
    assert result.curve.last_epoch < 60


def test_a_schedule_that_looks_at_the_validation_loss_is_not_asked_again(tmp_path):
    """A refit has no validation rows; on all rows it takes the rates that the search has found."""
    task = KINDS["classification"]
    space = lcbench.space(task.info)
    plateau = {"schedule": "plateau", "plateau.factor": 0.1, "plateau.patience": 1}
    live = LiveBenchmark(task.info, replace(space, fixed=space.fixed | plateau), 16, METRICS["accuracy"], tmp_path)
    live.set_up(task)
    fast = dict(live.space.get_default_configuration()) | {"learning_rate": 0.1, "batch_size": 16}
    query = Query(Configuration(live.space, values=fast), 16, 0, 5)
    rates = live.evaluate(query).curve.values["learning_rate"]
    assert len(set(rates.tolist())) > 2
    rows = RawTable.of(task)
    state = check_same_network(tmp_path, member_name(query), rows.whole("train"), 0, tmp_path / "again")
    assert state["rates"] == rates.tolist()
    _, new = refitted(tmp_path, member_name(query), rows.whole("train", "val"), tmp_path / "all")
    assert load_states(new / "members" / f"{member_name(query)}.pt")[0]["rates"] == rates.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", names(KINDS["classification"].info))
def test_a_traditional_model_refitted_on_its_own_rows_is_the_same_to_the_last_bit(name, kind, tmp_path):
    raw = RawTable.of(KINDS[kind])
    model = build(name, raw.info, raw.columns.nominal, seed=3)
    seconds = 1 if name in ("catboost", "lightgbm") else 100  # the rounds of a booster are counted, whatever ended them
    model.fit(*raw.part("train"), *raw.part("val"), deadline=time.monotonic() + seconds)
    (tmp_path / "members").mkdir()
    (tmp_path / "members" / f"{name}.pkl").write_bytes(pickle.dumps([model]))
    (again,), _ = refitted(tmp_path, name, raw.whole("train"), tmp_path / "again")
    assert (again.view, again.model.rounds_kept, again.model.seed) == ("", model.rounds_kept, 3)
    assert np.array_equal(again.model.predict(raw.values), model.predict(raw.values))


@pytest.mark.parametrize("folds", [None, 3])
@pytest.mark.parametrize("target", ["label", "amount"])
def test_refitted_on_all_rows_every_member_has_one_part_that_differs_from_those_before(small_run, target, folds, tmp_path):
    folder, task, members = small_run(target, folds)
    rows = RawTable.of(task).whole("train", "val")
    for name in members:
        (part,), new = refitted(folder / "predictor", name, rows, tmp_path / name)
        seen = unpickled(new, part.view).transform(rows.values) if part.view else rows.values
        before = read_kept(folder, name).test
        now = part.model.predict(seen[task.test])
        assert now.shape == before.shape
        assert not np.allclose(now, before, atol=1e-6)
        if folds and name == "lightgbm":
            found = [one.model.rounds_kept for one in load_parts(folder, name)]
            assert part.model.rounds_kept == round(np.mean(found))
            assert len(set(found)) > 1


def test_another_seed_adds_a_part_and_changes_none(small_run, tmp_path):
    folder, task, members = small_run("label")
    rows = RawTable.of(task).whole("train", "val")
    rows.save(tmp_path / "table")
    for name in members:
        with replacing_folder(tmp_path / name) as new:
            tests = [refit(folder / "predictor", name, tmp_path / "table", rows.info, new, repeat) for repeat in range(3)]
        parts, X = load_parts(tmp_path / name, name), rows.values[rows.rows["test"]]
        if name == "linear":
            assert (len(parts), tests[1:]) == (1, [None, None])
            continue
        answers = [part.model.predict(unpickled(tmp_path / name, part.view).transform(X) if part.view else X) for part in parts]
        assert len(parts) == 3
        for told, answer in zip(tests, answers, strict=True):
            assert np.array_equal(told.test, answer)
        assert name == "lightgbm" or not np.array_equal(answers[0], answers[1])  # whose seed draws columns, of which there are few


def test_rows_that_are_left_out_do_not_reach_what_is_refitted(small_run, tmp_path):
    folder, task, members = small_run("label")
    raw, y = RawTable.of(task), task.y.copy()
    y[task.test] = 1 - y[task.test]
    for name in (members[0], "linear"):
        one, other = (
            refitted(folder / "predictor", name, table.whole("train", "val"), tmp_path / name / str(number))
            for number, table in enumerate((raw, replace(raw, y=y)))
        )
        seen = [unpickled(new, part.view).transform(raw.values) if part.view else raw.values for (part,), new in (one, other)]
        assert np.array_equal(one[0][0].model.predict(seen[0]), other[0][0].model.predict(seen[1]))


def test_the_constant_is_counted_again(tmp_path):
    raw = RawTable.of(KINDS["classification"])
    (tmp_path / "members").mkdir()
    (tmp_path / "members" / "constant.pkl").write_bytes(pickle.dumps([Constant(raw.info)] * 2))
    (part,), _ = refitted(tmp_path, "constant", raw.whole("train", "val", "test"), tmp_path / "again")
    np.testing.assert_allclose(part.model.predict(raw.values[:1])[0], np.bincount(raw.y) / len(raw.y), rtol=1e-6)


@pytest.mark.parametrize(
    ("epoch", "said"), [(2, r"its loss is (nan|inf) after epoch"), (1, "what it predicts is not finite after epoch 1")]
)
def test_a_network_that_diverges_is_no_refit(tmp_path, epoch, said):
    """Also one that does so in its very last step, of which its loss does not know yet."""
    task = KINDS["classification"]
    live = LiveBenchmark(task.info, lcbench.space(task.info), 3, METRICS["accuracy"], tmp_path)
    live.set_up(task)
    query = Query(live.space.get_default_configuration(), 2, 0)
    live.evaluate(query)
    file = tmp_path / "members" / f"{member_name(query)}.pt"
    (state,) = load_states(file)
    rates = [1e38 if epoch == 1 else 1e30] * (epoch + 1)
    torch.save([state | {"settings": state["settings"] | {"batch_size": 100_000}, "epoch": epoch, "rates": rates}], file)
    RawTable.of(task).save(tmp_path / "table")
    with replacing_folder(tmp_path / "refitted") as new, pytest.raises(ValueError, match=said):
        refit(tmp_path, member_name(query), tmp_path / "table", task.info, new)
