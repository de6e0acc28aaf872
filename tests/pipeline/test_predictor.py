"""A model to keep: saved = in memory to the last bit, loads alone, and reads tables as they come."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ConfigSpace import Configuration

from lcbench.errors import UserError
from lcbench.metric import METRICS
from lcbench.query import Query
from pipeline.fitting import fit
from pipeline.live import LiveBenchmark, member_name
from pipeline.members import read_kept
from pipeline.predict import main
from pipeline.predictor import Predictor, assemble
from pipeline.spaces import apt2021
from pipeline.tasks import file_task

ROOT = Path(__file__).resolve().parents[2]
CHOICES = {"embedding": "learned", "learned.min_unique_values": 3, "learned.dimension_reduction": 0.5}
MEMBERS = ("linear", "lightgbm")


def table(n=160):
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=n), rng.choice(["red", "green", "blue", "grey"], n).astype(object)
    label = np.where(size + (colour == "red") > 0.2, "yes", "no")
    size[::9] = np.nan
    colour[::11] = None
    return pd.DataFrame(
        {"size": size, "colour": colour, "when": pd.date_range("2020-01-01", periods=n), "label": label, "amount": size * 3 + 1}
    )


def trained(folder, target):
    frame = table().drop(columns=["amount" if target == "label" else "label"]).dropna(subset=[target])
    frame.to_parquet(folder / "table.parquet")
    task = file_task(folder / "table.parquet", target)
    search_space = apt2021.space(task.info)
    values = dict(search_space.space.get_default_configuration()) | CHOICES
    metric = METRICS["accuracy" if target == "label" else "r2"]
    live = LiveBenchmark(task.info, search_space, 6, metric, folder)
    live.set_up(task)
    queries = [
        Query(Configuration(search_space.space, values=values), 2, 0, 1),
        Query(search_space.space.get_default_configuration(), 6, 1, 1),
    ]
    assert all(live.evaluate(query).ok for query in queries)
    for name in MEMBERS:
        fit(folder, task.info, name, metric, 30.0, 0)
    names = [*map(member_name, queries), *MEMBERS]
    assemble(folder, names, [0.4, 0.3, 0.2, 0.1], task.info.name)
    return task, names


@pytest.fixture(scope="module", params=["label", "amount"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, *trained(folder, request.param)


def predicted(predictor, frame):
    return predictor.predict_proba(frame) if predictor.classes else predictor.predict(frame)[:, None]


def test_it_predicts_what_its_members_predicted_in_the_run(run):
    folder, task, names = run
    predictor = Predictor.load(folder)
    expected = sum(w * read_kept(folder, name).test.astype(float) for w, name in zip([0.4, 0.3, 0.2, 0.1], names, strict=True))
    np.testing.assert_allclose(predicted(predictor, task.X.iloc[task.test]), expected, rtol=1e-5, atol=1e-6)


def test_saved_is_bit_equal_to_what_is_in_memory(run):
    folder, task, _ = run
    first, second = Predictor.load(folder), Predictor.load(folder / "predictor")
    assert np.array_equal(predicted(first, task.X), predicted(second, task.X))


def test_tables_as_they_come(run):
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


def test_the_command_writes_labels_and_probabilities(run, tmp_path, capsys):
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
