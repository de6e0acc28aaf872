"""Imports that are killed at any point and go on, sources that changed meanwhile, and what is told on the way."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.formats import lcbench_json
from lcbench.formats.lcbench_json import import_file, import_lcbench
from lcbench.store import read_curves
from tests.lcbench.formats import published

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The known file, and its database, imported without interruption."""
    directory = tmp_path_factory.mktemp("known")
    source = published.write(directory / "data_2k.json", published.known(gradients=True))
    import_file(source, directory / "known.h5", precision="float64")
    return source, directory / "known.h5"


class Killed(BaseException):
    """Stands for a signal."""


def _killed_after(n):
    calls = iter(range(n))

    def progress(done, total, what):
        if next(calls, None) is None:
            raise Killed

    return progress


@pytest.mark.parametrize("n", range(7))
def test_an_interrupted_import_goes_on(known, tmp_path, n):
    source, whole = known
    database = tmp_path / "again.h5"
    with pytest.raises(Killed):  # told in the middle and at the end of every data set, and at the end of the file
        import_file(source, database, precision="float64", progress=_killed_after(n))
    assert not database.exists()
    notes = import_file(source, database, precision="float64")
    assert notes == ([f"an earlier import was not finished: it goes on after {n // 2} data sets"] if n // 2 else [])
    assert read_curves(database) == read_curves(whole)
    assert database.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.h5"]


@pytest.mark.parametrize("n", range(1, 4))
def test_an_import_that_ended_between_data_and_state(known, tmp_path, monkeypatch, n):
    source, whole = known
    calls, save = iter(range(n - 1)), lcbench_json._save
    monkeypatch.setattr(lcbench_json, "_save", lambda *args: _raise() if next(calls, None) is None else save(*args))
    with pytest.raises(Killed):
        import_file(source, tmp_path / "again.h5", precision="float64")
    monkeypatch.undo()
    import_file(source, tmp_path / "again.h5", precision="float64")
    assert read_curves(tmp_path / "again.h5") == read_curves(whole)


def test_an_import_that_ended_while_the_database_was_written(known, tmp_path, monkeypatch):
    source, whole = known
    monkeypatch.setattr(lcbench_json, "chain", lambda *args: _raise())
    (tmp_path / ".again.h5.123.partial").touch()
    with pytest.raises(Killed):
        import_file(source, tmp_path / "again.h5", precision="float64")
    monkeypatch.undo()
    assert import_file(source, tmp_path / "again.h5", precision="float64")[0].endswith("it goes on after 3 data sets")
    assert (tmp_path / "again.h5").read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.h5"]


def _raise():
    raise Killed


def test_a_download_that_was_cut_short_can_be_completed(known, tmp_path):
    data = known[0].read_bytes()
    source, database = tmp_path / "data_2k.json", tmp_path / "again.h5"
    n = data.index(b'"volkert"') + 100
    source.write_bytes(data[:n])
    with pytest.raises(UserError, match=f"is cut short or damaged: it ends at byte {n}, in 'volkert' / '0'"):
        import_file(source, database, precision="float64")
    source.write_bytes(data)
    assert import_file(source, database, precision="float64") == ["an earlier import was not finished: it goes on after 2 data sets"]
    assert read_curves(database) == read_curves(known[1])


def test_another_source_starts_again(known, tmp_path):
    source, database = tmp_path / "data_2k.json", tmp_path / "again.h5"
    shutil.copy(known[0], source)
    with pytest.raises(Killed):
        import_file(source, database, progress=_killed_after(3))
    published.write(source, published.known())
    assert import_file(source, database)[-1] == "data_2k.json is not the file of the earlier import: it is read from the start"
    assert len(read_curves(database)[0].metrics) == 11
    with pytest.raises(Killed):
        import_file(source, database, progress=_killed_after(3))
    assert import_file(source, database, precision="float64") == []  # other options: nothing to go on with
    assert read_curves(database)[0].curves.dtype == np.float64


@pytest.mark.parametrize("spoil", [lambda folder: (folder / "0000.h5").unlink(), lambda folder: (folder / "state.json").write_text("{")])
def test_a_folder_that_lost_something_starts_again(known, tmp_path, spoil):
    with pytest.raises(Killed):
        import_file(known[0], tmp_path / "again.h5", precision="float64", progress=_killed_after(3))
    spoil(tmp_path / "again.h5.importing")
    assert import_file(known[0], tmp_path / "again.h5", precision="float64") == []
    assert (tmp_path / "again.h5").read_bytes() == known[1].read_bytes()


def test_one_folder_serves_one_import(known, tmp_path):
    first = import_lcbench(known[0], scratch=tmp_path / "x")
    next(first)
    with pytest.raises(UserError, match=r"another process imports into .*wait until it is done"):
        next(import_lcbench(known[0], scratch=tmp_path / "x"))
    first.close()
    assert len(list(import_lcbench(known[0], scratch=tmp_path / "x"))) == 3


def test_a_killed_process_can_go_on(known, tmp_path):
    database = tmp_path / "again.h5"
    code = (
        "import sys, time; from pathlib import Path; from lcbench.formats.lcbench_json import import_file\n"
        "import_file(Path(sys.argv[1]), Path(sys.argv[2]), precision='float64', progress=lambda *_: time.sleep(0.3))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(known[0]), str(database)], cwd=ROOT)
    state = tmp_path / "again.h5.importing" / "state.json"
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not database.exists()
    assert "an earlier import was not finished" in import_file(known[0], database, precision="float64")[0]
    assert database.read_bytes() == known[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.h5"]


def test_a_zip_archive_is_read_as_it_is(known, tmp_path):
    with zipfile.ZipFile(tmp_path / "data_2k.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(known[0], "data_2k.json")
    with pytest.raises(Killed):
        import_file(tmp_path / "data_2k.zip", tmp_path / "zip.h5", precision="float64", progress=_killed_after(4))
    import_file(tmp_path / "data_2k.zip", tmp_path / "zip.h5", precision="float64")
    for table, other in zip(read_curves(tmp_path / "zip.h5"), read_curves(known[1]), strict=True):
        assert table.provenance["source"]["json_sha256"] == other.provenance["source"]["json_sha256"]
        np.testing.assert_array_equal(table.curves, other.curves)


def test_progress_counts_bytes(known, tmp_path):
    said = []
    import_file(known[0], tmp_path / "x.h5", progress=lambda *call: said.append(call))
    size = known[0].stat().st_size
    assert [name for _, _, name in said] == ["Fashion-MNIST"] * 2 + ["higgs"] * 2 + ["volkert"] * 3
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)
    assert {total for _, total, _ in said} == {size}
    assert said[-1][0] == size
