"""The table of whole runs beside the defaults of other libraries."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from experiments import yardstick
from experiments.yardstick import MODELS, REFERENCES, constant, failures, joined, judged, linear, main, markdown, models, table
from lcbench.errors import UserError
from lcbench.metric import METRICS
from pipeline.predictor import describe
from pipeline.tasks import bundled_task, file_task


def _scores(task="t", seed=0, optimizer="bohb", rows_error=0.0, direction="maximize", **models):
    """Rows of one task, seeds from `seed` on; a model that is not given has 0.5."""
    n = len(next(iter(models.values())))
    about = {
        "task": task,
        "space": "apt2021",
        "optimizer": optimizer,
        "metric": "accuracy",
        "direction": direction,
        "budget": 600.0,
        "commit": "abc",
    }
    errors = dict.fromkeys(("error_ensemble", "error_refitted"), rows_error)
    scores = dict.fromkeys((*REFERENCES, *MODELS), [0.5] * n) | models
    return pd.DataFrame(
        {**about, "seed": seed + number, "model": name, "score": values[number], **errors}
        for number in range(n)
        for name, values in scores.items()
    )


def test_the_references_are_those_of_the_libraries():
    task = bundled_task("iris")
    X, y = task.X.to_numpy(), task.y
    scaler = StandardScaler().fit(X[task.rest])
    plain = LogisticRegression(max_iter=1000).fit(scaler.transform(X[task.rest]), y[task.rest])
    np.testing.assert_allclose(linear(task, 0), plain.predict_proba(scaler.transform(X[task.test])))
    assert constant(task, 0).argmax(1).tolist() == [np.bincount(y[task.rest]).argmax()] * len(task.test)


def test_every_reference_takes_text_gaps_and_both_kinds(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "b": rng.choice(["x", "y", None], 90), "c": rng.choice([*"pqr"], 90)})
    frame.loc[::7, "a"] = np.nan
    frame.assign(target=np.where(frame["b"] == "x", "yes", "no"), amount=np.arange(90.0)).to_parquet(tmp_path / "t.parquet")
    for target, width in (("target", 2), ("amount", 1)):
        task = file_task(tmp_path / "t.parquet", target)
        answers = {name: answer(task, 0) for name, answer in REFERENCES.items()}
        assert {answer.shape for answer in answers.values()} == {(len(task.test), width)}
        assert all(np.isfinite(answer).all() for answer in answers.values())


@pytest.mark.parametrize(
    ("ensemble", "rival", "rows_error", "place"),
    [
        ([0.9, 0.8], [0.8, 0.7], 0.1, "first"),
        ([0.80, 0.90], [0.86, 0.86], 0.0, "within 1 s.e."),
        ([0.80, 0.81], [0.86, 0.86], 0.05, "behind CatBoost by 0.055"),
        ([0.80, 0.81], [0.86, 0.86], 0.06, "within 1 s.e. of the test rows (CatBoost +0.055)"),
    ],
)
def test_a_place_is_first_near_or_behind(ensemble, rival, rows_error, place):
    found = table(_scores(ensemble=ensemble, CatBoost=rival, rows_error=rows_error), "ensemble")
    assert found["place"].tolist() == [place]
    assert found["ensemble"].iloc[0] == pytest.approx(np.mean(ensemble))
    assert markdown(found).splitlines()[2].endswith(f"| {place} |")


def test_an_ensemble_is_no_rival_of_itself():
    assert table(_scores(ensemble=[0.8], refitted=[0.9]), "ensemble")["place"].iloc[0] == "first"
    assert table(_scores(ensemble=[0.9], refitted=[0.8]), "refitted")["place"].iloc[0] == "first"
    assert table(_scores(ensemble=[0.9], refitted=[0.8], single=[0.85]), "refitted")["place"].iloc[0] == "behind single by 0.05"


def test_models_of_the_same_runs_are_compared_seed_by_seed():
    found = table(_scores(ensemble=[0.80, 0.90], single=[0.81, 0.91]), "ensemble")
    assert found["place"].iloc[0] == "behind single by 0.01"
    found = table(_scores(ensemble=[0.80, 0.90], single=[0.88, 0.86]), "ensemble")
    assert found["place"].iloc[0] == "within 1 s.e."


def test_two_methods_on_a_task_are_two_lines():
    one, other = _scores(ensemble=[0.8, 0.9], CatBoost=[0.7, 0.7]), _scores(ensemble=[0.6, 0.5], CatBoost=[0.7, 0.7])
    found = table(pd.concat([one, other.assign(optimizer="random")]), "ensemble").set_index("task")
    names = [f"{one['task'].iloc[0]}, {optimizer} in {one['space'].iloc[0]}" for optimizer in (one["optimizer"].iloc[0], "random")]
    assert found.loc[names, "place"].tolist() == ["first", "behind CatBoost by 0.15"]
    assert found["seeds"].tolist() == [2, 2]


def test_smaller_is_better_where_errors_are_measured():
    scores = _scores(ensemble=[1.0], CatBoost=[0.4], direction="minimize")
    assert table(scores, "ensemble")["place"].iloc[0] == "behind CatBoost by 0.6"


def test_the_error_over_the_rows_is_that_of_paired_differences():
    """Of two models that err on other rows; for the same predictions there is none, however often both are wrong."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 2000)
    right = {name: rng.random(2000) < share for name, share in {"ensemble": 0.9, "CatBoost": 0.85}.items()}
    answers = {name: np.eye(2)[np.where(hit, y, 1 - y)] for name, hit in right.items()}
    found = pd.DataFrame(judged(METRICS["accuracy"], y, {**answers, "single": answers["ensemble"]})).set_index("model")
    assert found["score"].to_dict() == pytest.approx(
        {name: hit.mean() for name, hit in right.items()} | {"single": right["ensemble"].mean()}
    )
    differences = right["CatBoost"].astype(float) - right["ensemble"]
    assert found.loc["CatBoost", "error_ensemble"] == pytest.approx(differences.std() / np.sqrt(len(y)), rel=0.12)
    assert found.loc["single", "error_ensemble"] == 0
    assert found["error_refitted"].isna().all()


def test_the_models_of_a_run_are_chosen_by_their_validation_scores(tmp_path, monkeypatch):
    listed = {"00000-012": 0.7, "00001-050": 0.8, "linear": 0.9}
    board = [{"name": name, "validation_score": val, "test_score": 0.0, "weight": 0.0} for name, val in listed.items()]
    answers = {name: np.full((2, 1), val, np.float32) for name, val in listed.items()}
    monkeypatch.setattr(yardstick, "read_kept", lambda path, name: SimpleNamespace(test=answers[name]))
    ensemble = {"models": board, "members": {"00000-012": 0.5, "linear": 0.5}}
    summary = {"metric": {"name": "accuracy", "direction": "maximize"}, "ensemble": ensemble}
    found = {role: float(answer[0, 0]) for role, answer in models(tmp_path, summary, None).items()}
    assert found == pytest.approx({"network": 0.8, "single": 0.9, "ensemble": 0.8})
    (tmp_path / "refitted").mkdir()
    describe(tmp_path / "refitted", {"rows": "all"})  # has learnt the test rows
    assert "refitted" not in models(tmp_path, summary, None)


def test_what_has_no_score_leads_nothing():
    found = table(_scores(ensemble=[0.8], constant=[np.nan], linear=[0.7]), "ensemble")
    assert found["place"].tolist() == ["first"] and "constant" not in found


def test_scores_of_several_machines_make_one_table(tmp_path, capsys):
    file = tmp_path / "scores.csv"
    first, again, other = (
        _scores(ensemble=[score], task=task, seed=seed) for score, task, seed in [(0.1, "b", 0), (0.2, "b", 0), (0.7, "a", 1)]
    )
    pd.testing.assert_frame_equal(joined(first, file), first)
    joined(again[again["model"] != "refitted"], file)
    assert "refitted" not in set(pd.read_csv(file)["model"])  # nothing stays of what the run was before
    joined(again, file)
    pd.testing.assert_frame_equal(joined(other, file), pd.concat([other, again], ignore_index=True))
    with pytest.raises(UserError, match=r"scores\.csv holds runs of 600 seconds, which these are not"):
        joined(other.assign(budget=60.0), file)
    assert main(["--csv", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:-1]] == ["| a", "| b"] and lines[-1] == "runs by version: abc 2"


def test_one_command_makes_the_table_and_a_second_look_fits_nothing(door, capsys, monkeypatch, tmp_path):
    small = ("seed=0,1", "budget.trials=2", "fidelity.max_epochs=4", "fidelity.min_epochs=2", "refit=train", "traditional=[linear]")
    assert door("-m", "task=iris", *small).returncode == 0
    assert main([str(door.runs), "--csv", str(tmp_path / "scores.csv")]) == 0
    first = capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["seed"].unique().tolist() == [0, 1]
    by_model = {name: part["score"].tolist() for name, part in scores.groupby("model")}
    summaries = door.summaries()
    assert by_model["ensemble"] == pytest.approx([summary["ensemble"]["scores"]["test_accuracy"] for summary in summaries])
    best = [max(summary["ensemble"]["models"], key=lambda model: (model["validation_score"], model["weight"])) for summary in summaries]
    assert by_model["single"] == pytest.approx([model["test_score"] for model in best])
    assert by_model["refitted"] == pytest.approx([summary["ensemble"]["refit"]["scores"]["test_accuracy"] for summary in summaries])
    assert min(by_model["linear"] + by_model["LightGBM"] + by_model["CatBoost"]) > 0.85
    assert scores.loc[scores["model"] != "ensemble", "error_ensemble"].max() > 0
    monkeypatch.setattr(yardstick, "REFERENCES", dict.fromkeys(REFERENCES))  # nothing could be fitted with them
    assert main([str(door.runs)]) == 0
    assert capsys.readouterr().out.splitlines()[-5:] == first.splitlines()[-5:]
    assert main([str(door.runs), "--references", "linear"]) == 0
    assert "CatBoost" not in capsys.readouterr().out


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no finished run: give what `runs=` was" in capsys.readouterr().err


def test_what_failed_is_listed(tmp_path):
    """A run that is whole, one in which things failed, and one that has not ended."""
    models = [{"name": "knn"}, {"name": "svm", "status": "timeout", "error": "Traceback\nkilled at the time limit of 9 s\n"}]
    for name, failed, traditional in (("a", {"crashed": 0}, models[:1]), ("b", {"crashed": 2, "timeout": 0}, models), ("c", {}, [])):
        run = tmp_path / "live" / name / "apt2021" / "bohb" / "0"
        run.mkdir(parents=True)
        (run / "config.yaml").touch()
        if name != "c":
            (run / "DONE").touch()
            (run / "summary.json").write_text(json.dumps({"n_results": 9, "n_failed": failed, "traditional": traditional}))
    first, unfinished, broken = failures(tmp_path)
    assert first == "2 of 3 runs have ended"
    assert unfinished == f"{tmp_path / 'live/c/apt2021/bohb/0'}: has not ended"
    assert broken == f"{tmp_path / 'live/b/apt2021/bohb/0'}: 2 of 9 trainings crashed; svm: killed at the time limit of 9 s"


def test_two_methods_on_one_task_are_two_rows(tmp_path):
    both = pd.concat([_scores(ensemble=[0.1]), _scores(ensemble=[0.2], optimizer="random")])
    assert len(joined(both, tmp_path / "scores.csv")) == len(both)
