"""Which Python runs a peer, what is said where there is none, and the command that makes an environment."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lcbench.errors import UserError
from optimizers.adapters import __main__ as command
from optimizers.adapters.errors import PeerMissingError
from optimizers.adapters.interpreters import SERVERS, WHOLE, environment, interpreter, peers, peers_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LCBENCH_PEERS", str(tmp_path / "peers"))
    return tmp_path / "peers"


@pytest.fixture
def absent(monkeypatch):
    """No peer can be imported here."""
    monkeypatch.setattr("optimizers.adapters.interpreters.find_spec", lambda peer: None)


def test_every_peer_has_a_server_requirements_and_a_client():
    assert {"dehb", "hpbandster", "neps", "optuna", "smac", "syne_tune"} == set(peers())
    for peer in peers():
        assert (SERVERS / f"{peer}.py").exists()
        assert (SERVERS.parent / f"{peer}.py").exists()
        assert "==" in (SERVERS / f"{peer}.txt").read_text()


def test_the_folder_is_the_environment_variable_or_the_cache(monkeypatch):
    monkeypatch.delenv("LCBENCH_PEERS", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert peers_folder() == Path("/home/somebody/.cache/lcbench-harness/peers")
    monkeypatch.setenv("LCBENCH_PEERS", "/somewhere")
    assert environment("smac") == Path("/somewhere/smac")


def test_the_current_python_comes_first(folder, monkeypatch):
    monkeypatch.setattr("optimizers.adapters.interpreters.find_spec", lambda peer: object())
    assert interpreter("smac") == Path(sys.executable)


def test_then_the_peers_own(folder, absent):
    python = folder / "smac" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(PeerMissingError):  # its installation was cut off
        interpreter("smac")
    (folder / "smac" / WHOLE).touch()
    assert interpreter("smac") == python


def test_a_missing_peer_says_what_to_run(folder, absent):
    said = rf"^smac is installed neither here nor in {folder}/smac: run `python -m optimizers.adapters install smac`"
    with pytest.raises(PeerMissingError, match=said):
        interpreter("smac")


def test_an_unknown_peer_is_answered_with_the_known():
    with pytest.raises(UserError, match="`peer` is 'smack', but must be one of dehb, hpbandster,"):
        interpreter("smack")


def test_the_list_shows_each_peer_once(folder, absent, capsys):
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == peers()
    assert all("missing: python -m optimizers.adapters install" in line for line in lines)


def test_the_list_says_which_version_and_where(folder, monkeypatch):
    monkeypatch.setattr("optimizers.adapters.interpreters.find_spec", lambda peer: object())
    monkeypatch.setattr(command, "requirement", lambda peer: ("numpy", np.__version__))
    assert command.state("smac") == f"smac         {np.__version__:8} in this environment"
    monkeypatch.setattr(command, "requirement", lambda peer: ("numpy", "0.1"))
    assert command.state("smac").endswith("in this environment (the adapter was made for 0.1)")


@pytest.mark.parametrize(("peer", "distribution"), [("hpbandster", "hpbandster"), ("neps", "neural-pipeline-search"), ("dehb", "dehb")])
def test_the_first_requirement_is_the_peer(peer, distribution):
    assert command.requirement(peer)[0] == distribution


@pytest.fixture
def pip(monkeypatch):
    """Pip is not run; what it would be told is noted, and it ends with the code at the end of the list."""
    told = []
    monkeypatch.setattr(command.venv, "create", lambda where, with_pip, clear: (where / "bin").mkdir(parents=True))

    def run(line, check, **_):
        if "pip" in line:
            told.append(line)
        fails = "fails.txt" in line or ("one_fails.txt" in line and str(SERVERS / "dehb.txt") in line)
        return subprocess.CompletedProcess(line, returncode=int(fails), stdout="1.0")

    monkeypatch.setattr(command.subprocess, "run", run)
    return told


def test_installing_makes_an_environment_of_the_pinned_versions(folder, absent, pip, capsys):
    assert command.main(["install", "dehb", "smac", "-c", "versions.txt"]) == 0
    assert [line[-3] for line in pip] == [str(SERVERS / "dehb.txt"), str(SERVERS / "smac.txt")]
    assert pip[0][:4] == [str(folder / "dehb" / "bin" / "python"), "-m", "pip", "install"]
    assert pip[0][-2:] == ["-c", "versions.txt"]
    assert "dehb: new environment in" in capsys.readouterr().out
    assert interpreter("dehb") == folder / "dehb" / "bin" / "python"


def test_a_failed_installation_leaves_nothing(folder, absent, pip, capsys):
    assert command.main(["install", "dehb", "-c", "fails.txt"]) == 2
    assert "pip ended with code 1 for dehb" in capsys.readouterr().err
    assert not (folder / "dehb").exists()


def test_a_peer_that_fails_does_not_stop_the_others(folder, absent, pip, capsys):
    assert command.main(["install", "dehb", "smac", "-c", "one_fails.txt"]) == 2
    assert "pip ended with code 1 for dehb" in capsys.readouterr().err
    assert not (folder / "dehb").exists()
    assert interpreter("smac") == folder / "smac" / "bin" / "python"


def test_installing_an_unknown_peer_is_refused_before_anything_is_done(folder, pip, capsys):
    assert command.main(["install", "dehb", "smack"]) == 2
    assert not pip
    assert "must be one of" in capsys.readouterr().err
