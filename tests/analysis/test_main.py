"""The command: everything it writes, the page that shows it, and one sentence for what cannot be."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import known, main
from analysis.report import Section, as_html, as_markdown
from tests.analysis.fakes import fake_study, write_study

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--resamples", "20"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_study(fake_study(3), tmp_path_factory.mktemp("studies") / "fake")


def test_everything_is_written_and_shown(path, capsys):
    assert main([str(path), *QUICK]) == 0
    folder = path / "figures"
    written = {file.name for file in folder.iterdir()}
    assert written == {f"{name}.{kind}" for name in known() for kind in ("png", "csv")} | {
        "quality.csv",
        "quality.md",
        "report.html",
        "report.md",
    }
    said = capsys.readouterr().out
    assert "rank at 1/8" in said
    assert str(folder / "report.html") in said
    for page, link in (("report.html", r'(?:src|href)="([^"]+)"'), ("report.md", r"\]\(([^)]+)\)")):
        links = re.findall(link, (folder / page).read_text())
        assert len(links) == 2 * len(known())
        assert set(links) <= written
    assert "smallest of the table" in (folder / "report.md").read_text()


def test_the_same_command_writes_the_same_bytes(path, tmp_path):
    for folder in ("a", "b"):
        assert main([str(path), *QUICK, "--figures", "regret,wins", "--to", str(tmp_path / folder)]) == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_a_part_on_another_axis(path, tmp_path):
    words = ["--figures", "ranks", "--axis", "seconds", "--optimizers", "bohb,asha", "--tasks", "car", "--seeds", "0..1,2"]
    assert main([str(path), *QUICK, *words, "--to", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "ranks.csv")
    assert set(table["optimizer"]) == {"bohb", "asha"}
    assert set(table["axis"]) == {"seconds"}
    assert table.groupby("share")["value"].sum().round(9).unique().tolist() == [3]


def test_a_figure_that_cannot_be_is_left_out_unless_it_was_asked_for(path, tmp_path, capsys):
    words = [str(path), *QUICK, "--optimizers", "bohb,asha", "--to", str(tmp_path)]
    assert main(words) == 0
    assert "no critical_difference: critical differences need at least 3 optimizers" in capsys.readouterr().out
    assert not (tmp_path / "critical_difference.png").exists()
    assert main([*words, "--figures", "critical_difference"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--figures", "pie"], "`figures` names 'pie', but there are regret, ranks"),
        (["--figures", ","], "`figures` names nothing"),
        (["--axis", "hours"], "`axis` is 'hours', but must be one of"),
        (["--share", "0"], "`share` is 0, but"),
        (["--tasks", "higgs"], "`tasks` names higgs, but the study has car"),
        (["--seeds", "all"], "`seeds` has 'all', but must be numbers or from..to"),
    ],
)
def test_bad_input_is_one_sentence(path, words, said, capsys):
    assert main([str(path), *words]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.strip().splitlines()) == 1


def test_no_study_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "is no finished study: it has no study.json" in capsys.readouterr().err
    (tmp_path / "file").touch()
    study = write_study(fake_study(1), tmp_path / "s")
    assert main([str(study), "--to", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err


def test_help_names_every_figure():
    answer = subprocess.run([sys.executable, "-m", "analysis", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in (*known(), "epochs_from_scratch", "iqm", "--to DIR"):
        assert name in answer.stdout.replace("\n", " ")


def test_analysis_loads_nothing_that_trains_or_composes():
    code = (
        "import sys, analysis.__main__; print([m for m in ('torch', 'hydra', 'omegaconf', 'sklearn', 'statsmodels') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_names_cannot_break_the_page():
    part = Section("<h>", "a & b", pd.DataFrame({"x|y": ["<b>"]}))
    assert "<b>" not in as_html("<i>", "", [part])
    assert "&lt;h&gt;" in as_html("<i>", "", [part])
    assert r"| x\|y |" in as_markdown("n", "", [part])
