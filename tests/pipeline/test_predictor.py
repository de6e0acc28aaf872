"""A model to keep: saved = in memory to the last bit, loads alone, and reads tables as they come."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lcbench.errors import UserError
from pipeline.ensemble import combine
from pipeline.members import read_kept
from pipeline.predict import main
from pipeline.predictor import ROWS, Predictor
from pipeline.preprocessing.raw import RawTable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["label", "amount"])
def run(request, small_run):
    return small_run(request.param)


@pytest.fixture(scope="module", params=[("label", None), ("amount", None), ("label", 3), ("amount", 3)], ids=str)
def any_run(request, small_run):
    """Held out, and cross-validated with three folds."""
    return small_run(*request.param)


def predicted(predictor, frame):
    return predictor.predict_proba(frame) if predictor.classes else predictor.predict(frame)[:, None]


def test_on_the_test_rows_it_says_to_the_last_bit_what_its_members_said_in_the_run(any_run, weights):
    folder, task, names = any_run
    raw = RawTable.load(folder / "prepared" / "raw", task.info)
    expected = combine(weights, [read_kept(folder, name).test for name in names])
    for predictor in (Predictor.load(folder), Predictor.load(folder / "predictor")):
        assert np.array_equal(predictor.answer(raw.part("test")[0]).astype(np.float32), expected)
        assert np.array_equal(predicted(predictor, task.X.iloc[task.test]).astype(np.float32), expected)


def test_members_have_a_part_for_every_fold_and_all_parts_count_the_same(any_run, weights):
    folder, task, names = any_run
    predictor = Predictor.load(folder)
    assert (predictor.names, predictor.weights) == (tuple(names), weights)
    assert [len(parts) for parts in predictor.members] == [len(task.folds) or 1] * 4
    raw, alone = RawTable.of(task).part("test")[0], []
    for weight, parts in zip(weights, predictor.members, strict=True):
        alone += [weight / len(parts) * replace(predictor, weights=(1.0,), members=((part,),)).answer(raw) for part in parts]
    np.testing.assert_allclose(predictor.answer(raw), sum(alone), rtol=1e-5)


def test_many_rows_are_predicted_as_few_are(any_run):
    folder, task, _ = any_run
    predictor, raw = Predictor.load(folder), RawTable.of(task).values
    rows = np.resize(np.arange(len(raw)), ROWS + 5)
    np.testing.assert_allclose(predictor.answer(raw[rows]), predictor.answer(raw)[rows], rtol=1e-5, atol=1e-6)


def test_what_was_refitted_is_loaded_first(run, tmp_path):
    folder, _, names = run
    shutil.copytree(folder / "predictor", tmp_path / "predictor")
    shutil.copytree(folder / "predictor", tmp_path / "refitted")
    about = json.loads((tmp_path / "refitted" / "predictor.json").read_text())
    (tmp_path / "refitted" / "predictor.json").write_text(json.dumps(about | {"members": {names[2]: 1.0}}))
    assert Predictor.load(tmp_path).names == Predictor.load(tmp_path / "refitted").names == (names[2],)
    assert Predictor.load(tmp_path / "predictor").names == tuple(names)


def test_tables_as_they_come(run, table):
    folder, _, _ = run
    predictor, frame = Predictor.load(folder), table()
    expected = predicted(predictor, frame)
    assert np.array_equal(predicted(predictor, frame[frame.columns[::-1]].assign(more=1)), expected)
    texts = frame.assign(size=frame["size"].astype(str).replace("nan", None), when=frame["when"].astype(str))
    np.testing.assert_allclose(predicted(predictor, texts), expected, rtol=1e-5, atol=1e-6)
    unseen = predicted(predictor, frame.assign(colour="purple", size=np.inf))
    assert np.isfinite(unseen).all()
    assert len(predicted(predictor, frame.iloc[:0])) == 0
    with pytest.raises(UserError, match=r"colour.*size|size.*colour"):
        predictor.predict(frame[["when"]])


def test_the_command_writes_labels_and_probabilities(run, table, tmp_path, capsys):
    folder, task, _ = run
    table().to_csv(tmp_path / "new.csv", index=False)
    assert main([str(folder), str(tmp_path / "new.csv"), "--to", str(tmp_path / "out.csv")]) == 0
    out = pd.read_csv(tmp_path / "out.csv")
    assert len(out) == len(table())
    if task.classes:
        assert list(out.columns) == ["prediction", "probability_no", "probability_yes"]
        assert set(out["prediction"]) <= {"yes", "no"}
        np.testing.assert_allclose(out[["probability_no", "probability_yes"]].sum(axis=1), 1, rtol=1e-5)
    else:
        with pytest.raises(UserError, match="is a regression"):
            Predictor.load(folder).predict_proba(table())
    assert main([str(tmp_path), str(tmp_path / "new.csv")]) == 2
    assert "holds no predictor" in capsys.readouterr().err


def test_it_loads_without_the_search(run):
    folder, _, _ = run
    code = (
        "import sys; from pipeline.predictor import Predictor; import pandas as pd;"
        f"p = Predictor.load({str(folder)!r}); p.predict(pd.read_parquet({str(folder / 'table.parquet')!r}));"
        "print([m for m in ('ConfigSpace', 'hydra', 'optimizers', 'experiments', 'h5py', 'openml') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
