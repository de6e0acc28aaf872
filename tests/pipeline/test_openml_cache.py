"""Reading and filling the OpenML cache: as the client reads it, and kind to files that are damaged, missing or not ours to write."""

import http.server
import shutil
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline.openml_download as download
from lcbench.errors import UserError
from pipeline.openml_cache import missing_file, read_folds, read_problem, read_table, use_openml_cache
from pipeline.tasks import openml_task

TASK = """<oml:task xmlns:oml="http://openml.org/openml">
  <oml:task_id>{task}</oml:task_id><oml:task_type_id>{kind}</oml:task_type_id><oml:task_type>{words}</oml:task_type>
  <oml:input name="source_data"><oml:data_set>
    <oml:data_set_id>5</oml:data_set_id><oml:target_feature>label</oml:target_feature>
  </oml:data_set></oml:input>
</oml:task>"""
DESCRIPTION = """<oml:data_set_description xmlns:oml="http://openml.org/openml">
  <oml:id>5</oml:id><oml:format>ARFF</oml:format>
  <oml:row_id_attribute>row</oml:row_id_attribute><oml:ignore_attribute>secret</oml:ignore_attribute>
</oml:data_set_description>"""
HEADER = """@relation splits

@ATTRIBUTE type {TRAIN,TEST}
@attribute rowid numeric
@attribute repeat numeric
@attribute fold numeric

@DATA
"""
N = 30


def frame() -> pd.DataFrame:
    label = pd.Categorical(np.resize(["yes", "no", "yes"], N), categories=["yes", "never", "no"])
    columns = {"row": range(N), "size": np.linspace(0, 1, N), "ok": np.resize([True, False], N), "secret": range(N)}
    return pd.DataFrame(columns | {"code": np.resize(["1", "2"], N), "label": label})


def fill(root: Path, *, kind: int = 1, words: str = "Supervised Classification", task: int = 7) -> None:
    """Write a cache with one small task as the client would leave it."""
    tasks, datasets = root / f"org/openml/www/tasks/{task}", root / "org/openml/www/datasets/5"
    tasks.mkdir(parents=True)
    datasets.mkdir(parents=True, exist_ok=True)
    (tasks / "task.xml").write_text(TASK.format(task=task, kind=kind, words=words))
    lines = [f"{'TEST' if row % 3 == fold else 'TRAIN'},{row},0,{fold}" for fold in range(3) for row in reversed(range(N))]
    (tasks / "datasplits.arff").write_text(HEADER + "\n".join([*lines, "TRAIN,0,1,0"]))  # a second repeat is not used
    (datasets / "description.xml").write_text(DESCRIPTION)
    frame().to_parquet(datasets / "dataset_5.pq")


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An own cache with one small task, of which nothing can be downloaded."""
    monkeypatch.setenv("OPENML_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(download, "reachable", lambda url: False)
    fill(tmp_path)
    return tmp_path


def test_a_cached_task_is_read_and_nothing_is_written(cache):
    before = snapshot(cache)
    task = openml_task(7, "small", fold=2)
    assert task.X.columns.tolist() == ["size", "ok", "code"]  # neither the row numbers nor what OpenML ignores
    assert task.X["ok"].tolist() == [1.0, 0.0] * (N // 2)
    assert isinstance(task.X["code"].dtype, pd.CategoricalDtype)  # OpenML says that it is no number
    assert task.classes == ("yes", "no")  # in OpenML's order, without the class that never occurs
    assert task.y[:4].tolist() == [0, 1, 0, 0]
    assert task.test.tolist() == list(range(N - 1, 0, -3))
    assert task.info.split.startswith("OpenML's own fold 2 of 3, then 33 %")
    assert snapshot(cache) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves files open
@pytest.mark.parametrize("id", [31, 3021, 167168, 359951])
def test_the_files_are_read_as_the_client_reads_them(openml_cache, tmp_path, monkeypatch, id):
    import openml

    problem = read_problem(id, openml_cache)
    for folder in (f"tasks/{id}", f"datasets/{problem.dataset}"):
        shutil.copytree(openml_cache / "org/openml/www" / folder, tmp_path / "org/openml/www" / folder)
    monkeypatch.setattr(openml.config, "_root_cache_directory", tmp_path)
    client = openml.tasks.get_task(id, download_splits=True, download_data=True, download_features_meta_data=True)
    X, y, _, _ = client.get_dataset().get_data(target=client.target_name)
    table = read_table(problem, openml_cache)
    assert problem.target == client.target_name
    pd.testing.assert_frame_equal(table.drop(columns=problem.target), X)
    pd.testing.assert_series_equal(table[problem.target], y)
    folds = read_folds(problem, openml_cache, len(X))
    assert client.get_split_dimensions()[1] == len(folds)
    for fold, (train, test) in folds.items():
        expected = client.get_train_test_split_indices(fold=fold)
        assert np.array_equal(train, expected[0]) and np.array_equal(test, expected[1])


def test_a_data_set_without_parquet_is_read_from_its_arff(cache):
    datasets = cache / "org/openml/www/datasets/5"
    (datasets / "dataset_5.pq").unlink()
    rows = "\n".join(f"{row},{row / 10},{row},{'yes' if row % 2 else 'no'}" for row in range(N))
    header = "@RELATION small\n@ATTRIBUTE row NUMERIC\n@ATTRIBUTE size REAL\n@ATTRIBUTE secret NUMERIC\n@ATTRIBUTE label {yes,no}\n@DATA\n"
    (datasets / "dataset.arff").write_text(header + rows)
    task = openml_task(7, "small")
    assert task.X.columns.tolist() == ["size"] and task.X["size"].tolist() == [row / 10 for row in range(N)]
    assert task.classes == ("yes", "no") and task.y[:3].tolist() == [1, 0, 1]


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00\xff" * 50], ids=["empty", "text", "bytes"])
@pytest.mark.parametrize("file", ["tasks/7/task.xml", "tasks/7/datasplits.arff", "datasets/5/description.xml", "datasets/5/dataset_5.pq"])
def test_damaged_files_are_refused_and_kept(cache, file, content):
    (cache / "org/openml/www" / file).write_bytes(content)
    before = snapshot(cache)
    with pytest.raises(
        UserError, match=rf"{file} in the OpenML cache cannot be read \(.+\): make it readable, or delete this file"
    ) as refusal:
        openml_task(7, "small")
    assert "\n" not in str(refusal.value)
    assert snapshot(cache) == before


def test_a_split_that_lost_rows_is_refused(cache):
    path = cache / "org/openml/www/tasks/7/datasplits.arff"
    path.write_text("\n".join(path.read_text().splitlines()[:-5]))
    with pytest.raises(
        UserError, match=r"datasplits\.arff in the OpenML cache cannot be read \(fold 2 does not place each of the 30 rows once\)"
    ):
        openml_task(7, "small")


def test_a_table_without_the_target_is_refused(cache):
    frame().drop(columns="label").to_parquet(cache / "org/openml/www/datasets/5/dataset_5.pq")
    with pytest.raises(UserError, match=r"dataset_5\.pq has no column 'label', which is the target of OpenML task 7"):
        openml_task(7, "small")


def test_a_target_that_is_marked_to_be_ignored_is_still_the_target(cache):
    path = cache / "org/openml/www/datasets/5/description.xml"
    path.write_text(path.read_text().replace("secret", "label"))
    assert openml_task(7, "small").X.columns.tolist() == ["size", "ok", "secret", "code"]


def test_other_types_of_task_are_refused(cache):
    fill(cache, task=8, kind=5, words="Clustering")
    with pytest.raises(UserError, match=r"OpenML task 8 is of type 'Clustering', but must be Supervised Classification or"):
        openml_task(8, "clusters")


def test_a_regression_task_needs_numbers(cache):
    fill(cache, task=8, kind=2, words="Supervised Regression")
    with pytest.raises(UserError, match=r"target 'label' of OpenML task 8 holds text \('yes', 'no'\), but a regression needs numbers"):
        openml_task(8, "small")


@pytest.mark.parametrize("file", ["tasks/7/task.xml", "tasks/7/datasplits.arff", "datasets/5/description.xml", "datasets/5/dataset_5.pq"])
def test_what_is_missing_offline_is_refused_and_the_rest_is_kept(cache, file):
    (cache / "org/openml/www" / file).unlink()
    before = snapshot(cache)
    sentence = (
        rf"OpenML task 7 is not in the cache {cache}, and www\.openml\.org cannot be reached: with internet the same command downloads it; "
        r"offline, set openml\.cache_dir=DIR or OPENML_CACHE_DIR to a directory that holds org/openml/www/tasks/7, "
        r"or use a task that needs no download: digits, breast_cancer, wine, iris, diabetes"
    )
    with pytest.raises(UserError, match=sentence):
        openml_task(7, "small")
    assert snapshot(cache) == before


def test_a_cache_that_may_not_be_read_is_refused(cache, monkeypatch):
    def forbidden(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_file", forbidden)
    with pytest.raises(
        UserError, match=r"the OpenML cache .* cannot be read \(.*Permission denied.*\): make it readable, or set OPENML_CACHE_DIR"
    ):
        missing_file(7, cache)


# downloads, with a client that has an internet of its own


@pytest.fixture
def online(tmp_path, monkeypatch):
    """An empty cache, and a client that downloads task 7 into whatever directory it was told to use."""
    import openml

    root = tmp_path / "cache"
    monkeypatch.setenv("OPENML_CACHE_DIR", str(root))
    monkeypatch.setattr(download, "reachable", lambda url: True)
    monkeypatch.setattr(openml.config, "_root_cache_directory", tmp_path / "elsewhere")

    def get_task(task, **options):
        if task != 7:
            raise RuntimeError(f"Unknown task\n{task}")
        fill(Path(openml.config.get_config_as_dict()["cachedir"]))

    monkeypatch.setattr(openml.tasks, "get_task", get_task)
    return root


def test_a_missing_task_is_downloaded_into_the_cache(online):
    assert len(openml_task(7, "small").X) == N
    assert sorted(path.name for path in online.rglob("*") if path.is_file()) == [
        "dataset_5.pq",
        "datasplits.arff",
        "description.xml",
        "task.xml",
    ]
    assert list(online.iterdir()) == [online / "org"]  # no scratch folder is left


def test_a_download_fills_gaps_and_replaces_nothing(online):
    fill(online)
    (online / "org/openml/www/datasets/5/dataset_5.pq").unlink()
    ours = (online / "org/openml/www/tasks/7/task.xml").read_text() + "<!-- ours -->"
    (online / "org/openml/www/tasks/7/task.xml").write_text(ours)
    openml_task(7, "small")
    assert (online / "org/openml/www/tasks/7/task.xml").read_text() == ours


def test_a_failed_download_is_one_sentence_and_deletes_nothing(online):
    fill(online)
    before = snapshot(online)
    with pytest.raises(
        UserError, match=r"OpenML task 8 cannot be downloaded \(Unknown task 8\): check the number on openml\.org, or try again"
    ):
        openml_task(8, "unknown")
    assert snapshot(online) == before


def test_a_cache_that_cannot_be_written_is_refused(online):
    online.write_text("a file, not a directory")
    with pytest.raises(
        UserError, match=r"the OpenML cache .* cannot be written \(.*\), but task 7 must be downloaded into it: set openml\.cache_dir=DIR"
    ):
        openml_task(7, "small")


# is there a server?


class NotFound(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *args):
        pass


def test_a_server_that_answers_anything_is_reachable(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert download.reachable(f"http://127.0.0.1:{server.server_port}/", seconds=5)


def test_a_closed_port_and_a_silent_server_are_not_reachable_and_say_so_soon(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    start = time.monotonic()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert not download.reachable(f"http://127.0.0.1:{port}/", seconds=5)  # bound, not listening
        silent.listen()
        assert not download.reachable(f"http://127.0.0.1:{port}/", seconds=0.5)
    assert time.monotonic() - start < 5
    assert download.PATIENCE < 15


# which directory


def test_the_cache_directory_is_the_argument_then_the_variable_then_the_clients(tmp_path, monkeypatch):
    import openml

    monkeypatch.setenv("OPENML_CACHE_DIR", str(tmp_path / "variable"))
    assert use_openml_cache(None) == tmp_path / "variable"
    assert use_openml_cache(str(tmp_path / "argument")) == tmp_path / "argument"
    assert use_openml_cache(None) == tmp_path / "argument"  # for this process and its children
    monkeypatch.delenv("OPENML_CACHE_DIR")
    assert use_openml_cache(None) == Path(openml.config.get_config_as_dict()["cachedir"]).resolve()


def test_the_cache_directory_is_absolute(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENML_CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    assert use_openml_cache("here") == tmp_path / "here"
    monkeypatch.chdir("/")
    assert use_openml_cache(None) == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert use_openml_cache("~/there") == tmp_path / "there"


@pytest.mark.parametrize("split", ["official", "resplit"])
def test_rows_without_a_target_are_left_out_and_the_others_keep_their_part(cache, split):
    whole, lost = openml_task(7, "small", fold=2 if split == "official" else 0, split=split), [0, 2, 11, 29]
    holed = frame()
    holed.loc[lost, "label"] = None
    holed.to_parquet(cache / "org/openml/www/datasets/5/dataset_5.pq")
    task = openml_task(7, "small", fold=whole.info.fold, split=split)
    assert any("is missing in 4 of 30 rows, which are left out" in note for note in task.notes)
    assert np.array_equal(np.sort(np.concatenate([task.rest, task.test])), np.arange(N - 4))
    assert task.X["size"].tolist() == whole.X["size"].drop(lost).tolist()
    assert task.y.tolist() == np.delete(whole.y, lost).tolist()
    if split == "official":
        assert task.X["size"].iloc[task.test].tolist() == [whole.X["size"].iloc[row] for row in whole.test if row not in lost]
