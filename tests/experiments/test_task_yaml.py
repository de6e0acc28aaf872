"""Every task YAML: it composes, its function takes its fields, its name gives a path, and the 35 of LCBench are the published ones."""

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.recorded import only_recorded
from pipeline.tasks import BUNDLED, bundled_task, file_task, openml_task, task_name

CONF = Path(__file__).parents[2] / "experiments" / "conf"
NAMES = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))
NEEDED = {"openml": ["task.id=31"], "file": ["task.path=some/table.csv", "task.target=price"], "table": ["task.name=vehicle"]}
"""Choices that a YAML leaves open."""

# The 35 data sets of LCBench: name, OpenML task, re-split by the generator
LCBENCH = """
APSFailure 168868 R
Amazon_employee_access 34539 R
Australian 167104 -
Fashion-MNIST 189908 -
KDDCup09_appetency 3945 R
MiniBooNE 168335 R
adult 126025 -
airlines 189354 R
albert 189866 -
bank-marketing 126029 -
blood-transfusion-service-center 167184 -
car 189905 -
christine 168908 R
cnae-9 167185 -
connect-4 167201 -
covertype 7593 R
credit-g 167161 -
dionis 189873 -
fabert 168910 R
helena 168329 R
higgs 167200 -
jannis 168330 R
jasmine 189862 -
jungle_chess_2pcs_raw_endgame_complete 189909 -
kc1 167181 -
kr-vs-kp 167149 -
mfeat-factors 167152 -
nomao 126026 -
numerai28.6 167083 -
phoneme 167190 -
segment 189906 -
shuttle 146212 R
sylvine 189865 -
vehicle 167168 -
volkert 168331 R
"""
GOLDEN = {name: (int(task), "resplit" if mark == "R" else "official") for name, task, mark in map(str.split, LCBENCH.strip().splitlines())}
PAPER = {
    **{"covertype": 7593, "volkert": 168331, "higgs": 167200, "car": 189905, "mfeat-factors": 167152},
    **{"APSFailure-holdout": 189860, "phoneme": 167190, "dilbert": 189871},
}
"""The eight tasks of the AutoML experiments."""
YARDSTICK = {"diamonds": 233211, "house_16H": 359952, "abalone": 359944, "adult-10fold": 7592}
"""Further tasks on which whole runs are measured."""


def node(name: str, *overrides: str) -> DictConfig:
    """The task node as a run would see it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(f"task/{name}", overrides=[*NEEDED.get(name, []), *overrides]).task


@pytest.mark.parametrize("name", NAMES)
def test_every_yaml_composes_and_its_function_takes_its_fields(name):
    fields = OmegaConf.to_container(node(name), resolve=True, throw_on_missing=True)
    function = get_method(fields.pop("_target_"))
    fields.pop("_convert_", None)
    assert function in (openml_task, bundled_task, file_task, only_recorded)
    inspect.signature(function).bind(**fields)
    assert "name" in fields


@pytest.mark.parametrize("name", NAMES)
def test_the_file_the_name_and_the_path_are_one_word(name):
    expected = {"openml": "openml-31", "file": "table", "table": "vehicle"}.get(name, name)
    assert task_name(node(name)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_says_what_it_is_and_how_to_run_it(name):
    first = (CONF / "task" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ") and f"python run.py task={name}" in first


def test_the_35_tasks_are_those_of_lcbench():
    assert len(GOLDEN) == 35
    nodes = {name: node(name) for name in GOLDEN}
    assert {name: (fields.id, fields.split) for name, fields in nodes.items()} == GOLDEN
    assert {(fields.fold, fields.name) for fields in nodes.values()} == {(0, name) for name in GOLDEN}


def test_the_tasks_of_the_paper_and_the_bundled_ones_are_there():
    assert {name: node(name).id for name in PAPER} == PAPER
    assert {name: node(name).split for name in ("APSFailure-holdout", "dilbert")} == dict.fromkeys(
        ("APSFailure-holdout", "dilbert"), "official"
    )
    assert {name: node(name).id for name in YARDSTICK} == YARDSTICK
    assert set(NAMES) == {*GOLDEN, *PAPER, *YARDSTICK, *BUNDLED, "openml", "file", "table"}


def test_a_fold_is_part_of_the_path():
    assert task_name(node("openml", "task.fold=3")) == "openml-31-fold3"


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tasks_are_instantiated(name):
    assert instantiate(node(name)).info.name == name


def test_a_file_task_is_instantiated(tmp_path):
    path = tmp_path / "houses.csv"
    path.write_text("rooms,town,price\n" + "\n".join(f"{i % 5},{'ab'[i % 2]},{i / 7}" for i in range(40)))
    task = instantiate(node("file", f"task.path={path}", "task.target=price", "task.categorical=[rooms]"))
    assert (task.info.name, task.info.kind, task.info.n_features) == ("houses", "regression", 2)
    assert list(task.X["rooms"].cat.categories) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_cached_tasks_of_lcbench_load(openml_cache, name):
    id, split = GOLDEN[name]
    if not (openml_cache / f"org/openml/www/tasks/{id}/task.xml").is_file():
        pytest.skip(f"task {id} is not in the cache")
    info = instantiate(node(name)).info
    first = (CONF / "task" / f"{name}.yaml").read_text().splitlines()[0]
    n = info.n_train + info.n_val + info.n_test
    assert first.startswith(f"# {n} rows, {info.n_features} columns, {info.n_classes} classes; ")
    assert abs(info.n_test / n - 0.33) < 0.01 and abs(info.n_val / n - 0.22) < 0.01
    assert ("OpenML's own" in info.split) == (split == "official")


@pytest.mark.parametrize("name", sorted(YARDSTICK))
def test_the_first_lines_of_the_others_say_what_they_are(openml_cache, name):
    if not (openml_cache / f"org/openml/www/tasks/{YARDSTICK[name]}/task.xml").is_file():
        pytest.skip(f"task {YARDSTICK[name]} is not in the cache")
    info = instantiate(node(name)).info
    kind = f"{info.n_classes} classes" if info.n_classes else "regression"
    rows = info.n_train + info.n_val + info.n_test
    first = (CONF / "task" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith(f"# {rows} rows, {info.n_features} columns, {kind}; {info.split.partition(' of ')[0]}")
