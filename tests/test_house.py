"""The house stands: imports point down, the light floors stay light, every room says what it is."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lcbench", "optimizers", "pipeline", "experiments", "analysis")
ALLOWED = {
    "lcbench": set(),
    "optimizers": {"lcbench"},
    "pipeline": {"lcbench"},
    "experiments": {"lcbench", "optimizers", "pipeline"},
    "analysis": {"lcbench", "experiments"},
    "run": {"experiments", "analysis"},
}
FORBIDDEN = {
    "lcbench": {"torch", "hydra", "omegaconf", "matplotlib", "seaborn", "openml"},
    "optimizers": {"torch", "h5py", "hydra", "omegaconf", "matplotlib", "seaborn", "openml"},
    "pipeline": {"hydra", "omegaconf", "matplotlib", "seaborn"},
    "experiments": {"torch"},
    "analysis": {"torch", "hydra", "omegaconf"},
    "run": {"torch"},
}
ALLOWED_INSIDE = {"lcbench/formats/lcbench_api.py": {"matplotlib"}}  # in a function only: the test of the light floors and ruff prove it
SOURCES = [ROOT / "run.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]
LONGEST_FILE = 400


def _imports(path):
    """Top-level names of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    floor = path.relative_to(ROOT).parts[0].removesuffix(".py")
    imported = set(_imports(path))
    assert imported & set(PACKAGES) <= ALLOWED[floor] | {floor}
    assert not imported & FORBIDDEN[floor] - ALLOWED_INSIDE.get(str(path.relative_to(ROOT)), set())


def test_hydra_is_known_only_to_experiments():
    users = {path.relative_to(ROOT).parts[0] for path in SOURCES if {"hydra", "omegaconf"} & set(_imports(path))}
    assert users == {"experiments"}


@pytest.mark.parametrize("package", ["lcbench", "optimizers"])
def test_light_floors_load_nothing_heavy(package):
    heavy = ("torch", "matplotlib", "hydra", "openml", "pandas", "sklearn")
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / package).rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    code = f"import sys, {', '.join(modules)}; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_main_process_does_not_load_torch():
    code = "import sys, experiments.search; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_room_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_run_is_a_door_and_not_a_room():
    assert len((ROOT / "run.py").read_text().splitlines()) < 40
    assert len((ROOT / "experiments/conf/run.yaml").read_text().splitlines()) <= 48


def test_nobody_else_owns_our_names():
    owners = {
        (package, distribution)
        for package, distributions in importlib.metadata.packages_distributions().items()
        for distribution in distributions
        if package in PACKAGES
    }
    assert {distribution for _, distribution in owners} <= {"lcbench-harness"}
