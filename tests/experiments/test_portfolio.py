"""Portfolios on the command line: built from recorded curves, converted from published files, shown; and the one that ships."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ConfigSpace import Categorical, Float
from hydra import compose, initialize_config_dir

from experiments import build
from experiments.candidates import candidates_of
from experiments.config import ROOT, register
from experiments.construction import construct, diagnostics, remarks
from experiments.door import CONF
from experiments.portfolio import main
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.journal import Journal
from lcbench.query import Origin
from lcbench.recording import epoch_record, training_record
from lcbench.rundir import write_header
from lcbench.space import key, lcbench_space, plain
from lcbench.store import write_curves
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from optimizers.greedy import greedy, regrets_of
from optimizers.portfolio import read_members
from optimizers.portfolio_file import read_portfolio
from optimizers.random_search import RandomSearch
from optimizers.rungs import ladder
from pipeline.spaces import apt2021
from tests.lcbench.curve_strategies import TASK
from tests.lcbench.tables import fake_table, fake_training

SHIPPED = ROOT / "experiments/portfolios/greedy2021.json"
OURS = ROOT / "experiments/portfolios/greedy2026.json"
PUBLISHED = Path(os.environ.get("PORTFOLIOS_DIR", "")) / "TPAMI.2021.3067763" / "greedy_portfolio.json"
OTHER = replace(TASK, name="other")


def said(capsys):
    captured = capsys.readouterr()
    return captured.out + captured.err


# ------------------------------------------------------------------------------------------------------------- candidates


def test_the_shipped_curves_as_a_matrix():
    tables = list(Database())
    candidates = candidates_of(tables)
    assert (candidates.scores.shape, candidates.n_apart) == ((200, 17), 800)
    assert (candidates.epoch, candidates.spaces, candidates.licences, candidates.not_shared) == (50, ["lcbench"], ["Apache-2.0"], [])
    for row in (0, 17, 199):
        assert key(candidates.configurations[row]) == tables[5].columns["key"][row]
        assert candidates.scores[row, 5] == pytest.approx(tables[5].curves[tables[5].plane("val_accuracy"), row, 50])


def test_a_metric_that_is_minimised_changes_its_sign_and_percent_are_fractions():
    table = fake_table(5)
    plane = table.curves[table.plane("val_cross_entropy"), :, 6]
    assert candidates_of([table], "val_cross_entropy", 6).scores[:, 0] == pytest.approx(-plane)
    percent = fake_table(5, units={"val_accuracy": "percent"})
    assert candidates_of([percent]).scores == pytest.approx(candidates_of([table]).scores / 100)


def test_seeds_are_averaged_and_other_horizons_do_not_count():
    one, two, both = (candidates_of([fake_table(4, seeds=seeds)]).scores for seeds in ((1,), (2,), (1, 2)))
    assert both == pytest.approx((one + two) / 2)
    assert candidates_of([fake_table(4, horizons=(6, 12))]).scores == pytest.approx(one)
    assert candidates_of([fake_table(4), fake_table(4, seeds=(2,))]).scores == pytest.approx(both)


def test_what_did_not_get_that_far_is_not_known():
    short = fake_training(7, horizon=6)
    candidates = candidates_of([fake_table(3, more=[replace(short, horizon=12)]), fake_table(8, task=OTHER)])
    assert candidates.tasks == [TASK.name, "other"]
    assert np.isnan(candidates.scores).tolist() == [[False, False], [False, False], [False, False], [True, False]]


def test_where_some_were_trained_everywhere_the_others_are_no_candidates():
    ragged = candidates_of([fake_table(5), fake_table(3, task=OTHER)])
    assert ragged.scores == pytest.approx(candidates_of([fake_table(3), fake_table(3, task=OTHER)]).scores)
    assert (len(ragged.configurations), ragged.n_apart) == (3, 2)
    made = construct(ragged, 2)
    assert "2 configurations are no candidates" in remarks(ragged, made)[0]
    everything = fake_table(5).curves[fake_table(5).plane("val_accuracy"), :, 12]
    best = everything.max() - ragged.scores[made.members, 0].max()
    assert made.chosen[-1, 0] == pytest.approx(best / np.ptp(everything))  # of all that is known, not of the candidates


def test_members_of_another_portfolio_are_no_candidates():
    tables = [fake_table(3, task=task, more=[fake_training(9, origin="portfolio")]) for task in (TASK, OTHER)]
    assert candidates_of(tables).configurations == candidates_of([fake_table(3), fake_table(3, task=OTHER)]).configurations


def test_tables_of_other_rows_are_refused():
    with pytest.raises(UserError, match="checksums 1 and 2"):
        candidates_of([fake_table(3, table_crc32=1), fake_table(3, table_crc32=2)])


def with_embedding(task, n=3):
    """A table of a space with a hyperparameter more, of which every configuration was trained twice."""
    space = lcbench_space()
    space.add(Categorical("embedding", ["none", "learned"]), Float("reduction", (0.0, 1.0)))
    rows = [
        replace(row, trial=2 * i + j, configuration={**row.configuration, "embedding": choice, "reduction": 0.5}, key=f"{i}{choice}")
        for i, row in enumerate(fake_training(i) for i in range(n))
        for j, choice in enumerate(["none", "learned"])
    ]
    return CurveTable.of(task=task, space=space, objective="val_accuracy", trainings=rows, provenance={})


def test_what_only_some_tables_have_comes_along_where_they_agree():
    half = with_embedding(OTHER).take([1, 2, 4])  # learned, none, none
    candidates = candidates_of([fake_table(3), half])
    assert candidates.not_shared == []
    assert candidates.configurations == [half.configurations([i])[0] for i in range(3)]
    assert remarks(candidates, construct(candidates, 2)) == remarks(
        candidates_of([fake_table(3), fake_table(3, task=OTHER)]), construct(candidates, 2)
    )


def test_configurations_that_differ_in_what_only_some_tables_have_are_one():
    candidates = candidates_of([fake_table(3), with_embedding(OTHER)])
    assert candidates.not_shared == ["embedding", "reduction"]
    assert candidates.configurations == [plain(row.configuration) for row in fake_table(3).trainings]
    assert candidates.scores[:, 0] == pytest.approx(candidates.scores[:, 1])
    assert "candidates that differ in nothing else count as one" in " ".join(remarks(candidates, construct(candidates, 2)))
    assert len(candidates_of([with_embedding(OTHER)]).configurations) == 6


@pytest.mark.parametrize(
    ("metric", "epoch", "sentence"),
    [
        ("accuracy", None, "`--metric` is 'accuracy', but must be train_, val_ or test_ with one of"),
        ("val_r2", None, "`--metric` is 'val_r2', but .* was recorded with"),
        ("val_accuracy", 0, r"`--epoch` is 0, but every table has the epochs 1\.\.12"),
        ("val_accuracy", 13, "`--epoch` is 13"),
    ],
)
def test_what_was_not_recorded_is_refused(metric, epoch, sentence):
    with pytest.raises(UserError, match=sentence):
        candidates_of([fake_table(2), fake_table(2, task=OTHER)], metric, epoch)


def test_an_empty_table_is_refused():
    with pytest.raises(UserError, match="nothing was recorded yet"):
        candidates_of([fake_table(0)])


# ----------------------------------------------------------------------------------------------------------- construction


def test_a_construction_is_greedy_and_judged_on_what_it_did_not_see():
    candidates = candidates_of(list(Database()))
    made = construct(candidates, 4)
    regrets = regrets_of(candidates.scores, among=candidates.among)
    assert candidates.among.shape == (1000, 17)
    assert made.members == greedy(regrets, 4)
    for t in range(len(candidates.tasks)):
        without = greedy(np.delete(regrets, t, axis=1), 4)
        assert made.left_out[:, t] == pytest.approx(np.minimum.accumulate(regrets[without, t]))
        assert made.winners[t] == np.argmin(regrets[made.members, t])
    assert (made.chosen.mean(axis=1) <= made.left_out.mean(axis=1)).all()
    assert (made.left_out.mean(axis=1) < made.random.mean(axis=1)).all()


def test_one_task_is_built_for_and_said_to_tell_nothing():
    candidates = candidates_of([fake_table(5)])
    made = construct(candidates, 3)
    assert (made.left_out, made.enough) == (None, 1)
    assert "left_out" not in diagnostics(candidates, made)["mean_regret_by_size"]
    sentences = remarks(candidates, made)
    assert "there is only one table" in sentences[0]
    assert "from size 1 on no candidate lowers" in sentences[1]
    assert "--size 1 leaves it out" in sentences[1]


def test_a_fold_does_not_count_as_unseen_where_another_fold_of_its_table_was_seen():
    folds = [fake_table(6), fake_table(6, task=replace(fake_table(1).task, fold=1))]
    assert construct(candidates_of(folds), 2).left_out is None
    candidates = candidates_of([*folds, fake_table(6, task=OTHER)])
    assert candidates.tasks[1] == f"{candidates.tasks[0]}@fold1"
    made, regrets = construct(candidates, 2), regrets_of(candidates.scores)
    elsewhere = greedy(regrets[:, [2]], 2)
    for t in (0, 1):
        assert made.left_out[:, t] == pytest.approx(np.minimum.accumulate(regrets[elsewhere, t]))


# ------------------------------------------------------------------------------------------------------- the command line


def test_build_for_some_tasks(capsys):
    assert main(["build", "--tasks", "vehicle,car", "--size", "2"]) == 0
    text = said(capsys)
    assert "vehicle" in text
    assert "kc1" not in text
    assert main(["build", "--tasks", "vehicle,cars"]) == 2
    assert "`--tasks` names cars, but there are" in said(capsys)


def test_build_prints_and_writes_the_same_bytes_each_time(tmp_path, capsys):
    paths = [tmp_path / name / "mine.json" for name in "ab"]
    for path in paths:
        assert main(["build", "--to", str(path), "--size", "3"]) == 0
    text = said(capsys)
    for words in ("mean regret over tasks", "task left out", "random", "vehicle", "177 of 200 candidates were measured on every task"):
        assert words in text
    assert paths[0].read_bytes() == paths[1].read_bytes()
    file = read_portfolio(paths[0])
    assert (file.header["name"], file.header["space"], file.header["licence"], file.header["epoch"]) == (
        "mine",
        "lcbench",
        "Apache-2.0",
        50,
    )
    assert set(file.header["diagnostics"]["tasks"]) == set(file.header["tasks"]) == set(Database().tasks)
    members, notes = read_members(paths[0], lcbench_space())
    assert [plain(member) for member in members] == file.members
    assert (len(members), notes) == (3, [])


def test_build_takes_databases_and_every_option(tmp_path, capsys):
    write_curves(tmp_path / "mine.h5", [fake_table(6), fake_table(6, task=OTHER)])
    words = ["--size", "2", "--metric", "val_cross_entropy", "--epoch", "4", "--normaliser", "best"]
    assert main(["build", str(tmp_path / "mine.h5"), "--to", str(tmp_path / "out.json"), *words]) == 0
    header = json.loads((tmp_path / "out.json").read_text())
    assert [header[name] for name in ("size", "metric", "epoch", "normaliser")] == [2, "val_cross_entropy", 4, "best"]
    assert header["tasks"] == ["other", TASK.name]
    assert main(["build", str(tmp_path / "mine.h5")]) == 0
    assert "out.json" not in said(capsys).splitlines()[-1]


def test_build_takes_the_directory_of_a_run_beside_a_database(tmp_path, capsys):
    configuration = plain(fake_training(0).configuration)
    (tmp_path / "run" / "journals").mkdir(parents=True)
    write_header(tmp_path / "run", task=OTHER, space=lcbench_space(), objective="val_accuracy", provenance={})
    with Journal(tmp_path / "run" / "journals" / "worker-0.journal") as journal:
        journal.append(training_record(trial=0, horizon=2, seed=1, configuration=configuration, origin="random", n_parameters=7))
        for e in range(3):
            journal.append(epoch_record(trial=0, horizon=2, epoch=e, seconds=e, values={"val_accuracy": e / 7}))
    write_curves(tmp_path / "mine.h5", [fake_table(3)])
    assert main(["build", str(tmp_path / "run"), str(tmp_path / "mine.h5"), "--size", "2", "--to", str(tmp_path / "out.json")]) == 0
    header = json.loads((tmp_path / "out.json").read_text())
    assert (header["tasks"], header["epoch"], header["licence"]) == (["other", TASK.name], 2, "not stated, CC0")
    assert "2 configurations are no candidates, because they were not trained on every task" in said(capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["build", "no.txt"], "`SOURCE` is no.txt, but must be a database"),
        (["build", "none.h5"], "none.h5"),
        (["build", "experiments"], "is not a run directory"),
        (["build", "--size", "0"], "`--size` is 0, but must be 1 or larger"),
        (["build", "--epoch", "99"], "`--epoch` is 99"),
        (["show", "none.json"], "cannot be read"),
        (["convert", "pyproject.toml", "--to", "x.json"], "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["build"], ["convert"], ["show"]])
def test_every_command_has_help(words, capsys):
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    assert "usage: python -m experiments.portfolio" in said(capsys)


@pytest.mark.parametrize("columns", ["60", "200"])
def test_show_prints_every_member_whole_on_any_terminal(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["show", str(SHIPPED)]) == 0
    text = said(capsys)
    assert "licence  Apache-2.0" in text
    assert "…" not in text
    assert text.count("shaped_resnet ") >= 10
    for number in range(16):
        assert f" {number} " in text
    assert max(map(len, text.splitlines()[4:])) <= int(columns)


def test_a_bare_list_is_converted(tmp_path, capsys):
    (tmp_path / "bare.json").write_text('[{"batch_size": 64}]')
    assert main(["convert", str(tmp_path / "bare.json"), "--to", str(tmp_path / "ours.json")]) == 0
    file = read_portfolio(tmp_path / "ours.json")
    assert (file.members, file.header["source"], file.header["licence"]) == ([{"batch_size": 64}], "bare.json", "not stated")


# ---------------------------------------------------------------------------------------------------- the one that ships


def test_the_shipped_portfolio_says_where_it_comes_from():
    """Commit and values as in docs of the published file; learning rates of the first and the last member by every digit."""
    file = read_portfolio(SHIPPED)
    assert (file.header["name"], file.header["licence"], file.header["space"]) == ("greedy2021", "Apache-2.0", "apt2021")
    for words in ("481e9cd69c5da2db264a6bdb2acf081f3fbdbb48", "TPAMI.2021.3067763", "hpbandster_extensions/greedy_portfolio.json", "facts"):
        assert words in file.header["source"]
    assert [member["batch_size"] for member in file.members] == [60, 240, 165, 299, 183, 21, 159, 442, 140, 48, 168, 21, 163, 150, 151, 42]
    assert file.members[0]["adam.learning_rate"] == 0.00020060142055000713
    assert file.members[15]["adam.learning_rate"] == 0.0021530021937535334


@pytest.mark.skipif(
    not (os.environ.get("PORTFOLIOS_DIR") and PUBLISHED.exists()),
    reason="PORTFOLIOS_DIR is not set to a folder with Auto-PyTorch's TPAMI.2021.3067763/greedy_portfolio.json",
)
def test_the_shipped_portfolio_is_converted_from_the_published_one_byte_for_byte(tmp_path, capsys):
    assert main(["convert", str(PUBLISHED), "--to", str(tmp_path / "any.json")]) == 0
    assert (tmp_path / "any.json").read_bytes() == SHIPPED.read_bytes()
    assert "note:" not in said(capsys)


def test_our_portfolio_is_made_from_the_recordings_that_ship(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["build", "lcbench/data/apt2021.h5", "--to", str(tmp_path / OURS.name)]) == 0
    assert (tmp_path / OURS.name).read_bytes() == OURS.read_bytes()


@pytest.mark.parametrize("n_categorical", [0, 3])
def test_every_member_of_our_portfolio_is_legal(n_categorical):
    space = apt2021.space(TaskInfo("any", "classification", None, 0, "drawn", 900, 100, 100, 9, 2, n_categorical)).space
    members, notes = read_members(OURS, space)
    assert len(members) == 16
    assert all("dropped" in note and ("embedding" in note or "learned." in note) for note in notes)
    assert bool(notes) == (n_categorical == 0)  # embeddings need columns of categories


@pytest.mark.parametrize(
    ("words", "path"), [(["portfolio=none"], None), (["portfolio=greedy2021"], SHIPPED), (["portfolio=greedy2026"], OURS)]
)
def test_its_yaml_names_it_and_none_is_none(words, path):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("run", words)
    assert build.portfolio_path(config, SimpleNamespace(with_portfolio=False)) == path
    assert str(ROOT) not in str(config.portfolio)  # where it lies does not make another run of it


def configured(*words):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("run", words)


PRIOR = ("prior=beliefs", "prior.beliefs={batch_size: {mean: 64, std: 0.1}}")


def test_beliefs_leave_the_default_portfolio_in_its_place():
    config = configured("space=apt2021", *PRIOR)
    space = apt2021.space(TaskInfo("any", "classification", None, 0, "drawn", 900, 100, 100, 9, 2, 3)).space
    optimizer = build.build_optimizer(config, space, ladder(50, 6, 2))
    assert [optimizer.ask().origin for _ in range(8)] == [Origin.PORTFOLIO] * 8


@pytest.mark.parametrize("words", [PRIOR, ("portfolio=greedy2021",)])
def test_what_cannot_learn_from_others_is_refused_before_it_trains(words, monkeypatch):
    monkeypatch.setattr(RandomSearch, "takes_others", False, raising=False)
    with pytest.raises(UserError, match="`optimizer` is 'random', which cannot learn from configurations that it did not propose"):
        build.build_optimizer(configured("optimizer=random", *words), lcbench_space(), ladder(50, 6, 2))
    build.build_optimizer(configured("optimizer=random"), lcbench_space(), ladder(50, 6, 2))
