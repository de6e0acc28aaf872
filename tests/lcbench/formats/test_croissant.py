"""The description for machines points at what is there, and the card says what is in the file."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.formats.croissant import CONFORMS_TO, RECORDS, card, datasheet, write_datasheet
from lcbench.formats.frame import export_frame, frame_columns
from lcbench.store import FittedModel, write_curves
from lcbench.table import CurveTable
from tests.lcbench.curve_strategies import SPACES
from tests.lcbench.formats.api_tables import HIGGS, VEHICLE, full_table, table, training

REPORT = {
    "chosen": "gp",
    "n_entries": 52,
    "n_configurations": 5,
    "nested_spearman_final": 0.91,
    "candidates": {
        "gp": {"spearman_at": {"10": 0.7}, "spearman_final": 0.91, "spearman_top": 0.62, "r2": 0.8, "mae": 0.02, "coverage": {"80": 0.79}}
    },
    "baselines": {"k-NN": {"spearman_final": 0.5}},
}
MIXED = CurveTable.of(task=dataclasses.replace(VEHICLE, name="a|b"), space=SPACES["mixed"], objective="val_accuracy")


def _table(*rows, units=None, **provenance):
    return CurveTable.of(
        task=VEHICLE, space=SPACES["lcbench"], objective="val_accuracy", trainings=rows, units=units, provenance=provenance
    )


@pytest.fixture
def path(tmp_path):
    crashed = training(1, status="crashed", error="Boom", entries=3)
    first = _table(
        training(0),
        crashed,
        units={"val_accuracy": "percent"},
        licence="CC-BY-4.0",
        created="2026-01-31T12:00:00+00:00",
        host={"processor": "Some CPU", "cores": 2},
        source={"file": "data.json", "left_out": []},
    )
    model = FittedModel("vehicle", "lcbench", "val_accuracy", {"weights": np.arange(3.0)}, {"kind": "gp", "report": REPORT})
    write_curves(tmp_path / "small.h5", [first, full_table(HIGGS), MIXED], models=[model])
    return tmp_path / "small.h5"


def test_without_an_export_there_are_files_and_no_records(path):
    sheet = datasheet(path)
    assert (sheet["@type"], sheet["conformsTo"], sheet["name"]) == ("sc:Dataset", CONFORMS_TO, "small")
    assert sheet["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    assert sheet["datePublished"] == "2026-01-31"
    assert "22 trainings of neural networks on 3 tabular data sets" in sheet["description"]
    [file] = sheet["distribution"]
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file["contentSize"] == f"{path.stat().st_size} B"
    assert "recordSet" not in sheet


@pytest.mark.parametrize(("suffix", "mime"), [(".parquet", "application/x-parquet"), (".csv", "text/csv"), (".csv.gz", "text/csv")])
def test_every_column_of_the_export_is_a_field(path, suffix, mime):
    frame = path.with_name(f"small{suffix}")
    export_frame(Database(path), frame)
    sheet = datasheet(path, url="https://example.org", version="2.0.0", creator="Somebody")
    assert (sheet["url"], sheet["version"], sheet["creator"]["name"]) == ("https://example.org", "2.0.0", "Somebody")
    assert [file["@id"] for file in sheet["distribution"]] == ["small.h5", frame.name]
    assert sheet["distribution"][1]["encodingFormat"] == mime
    assert sheet["distribution"][1]["sha256"] == hashlib.sha256(frame.read_bytes()).hexdigest()
    [records] = sheet["recordSet"]
    columns = frame_columns(Database(path))
    assert [field["source"]["extract"]["column"] for field in records["field"]] == [column.name for column in columns]
    assert {field["source"]["fileObject"]["@id"] for field in records["field"]} == {frame.name}
    ids = [field["@id"] for field in records["field"]]
    assert len(set(ids)) == len(ids)  # batch_size and batch/size too
    assert {key["@id"] for key in records["key"]} == {f"{RECORDS}/{name}" for name in ("task", "fold", "space", "training", "epoch")}
    described = {field["name"]: (field["dataType"], field["description"]) for field in records["field"]}
    assert described["val_accuracy"] == ("sc:Float", "val_accuracy after this epoch [fraction]")
    assert described["epoch"][0] == "sc:Integer" and described["status"][0] == "sc:Text"


def test_the_description_is_written_beside_the_database(path):
    assert write_datasheet(path) == path.with_name("small.croissant.json")
    assert json.loads(path.with_name("small.croissant.json").read_text()) == json.loads(json.dumps(datasheet(path)))
    write_datasheet(path, path.with_name("sheet.jsonld"), version="3.0.0")
    assert json.loads(path.with_name("sheet.jsonld").read_text())["version"] == "3.0.0"


@pytest.mark.parametrize(
    "line",
    [
        "# small",
        "| [vehicle](https://www.openml.org/t/167168) | 0 | classification | 379 + 187 + 280 | 18 | 4 |",
        "| vehicle | lcbench | 2 | 2 | 1 | 50 | 0..51 | 1 success, 1 crashed |",
        "| higgs | lcbench | 20 | 5 | 1, 2 | 6, 50 | 0..51 | 20 success |",
        r"| a\|b | mixed | 0 | 0 | – | – | none | – | 0.00 | val_accuracy |",
        "Split of a|b, higgs, vehicle: official hold-out, 33 % validation.",
        "| `val_cross_entropy` | nat | smaller | 2 |",
        "| `val_accuracy` | fraction; percent (times 0.01 is fraction) | larger | 2 |",
        "## Search space mixed",
        "| `learning_rate` | 0.0001 to 0.1 | UniformFloat | log | always |",
        r"| `momentum` | 0.1 to 0.99 | UniformFloat | linear | momentum \| optimizer == 'sgd' |",
        "| vehicle | `val_accuracy` | gp | 0.910 | 0.620 | 0.500 | 0.800 | 0.020 | 0.700 | 0.790 |",
        "- created: 2026-01-31T12:00:00+00:00",
        "- licence: CC-BY-4.0",
        "- host: processor Some CPU, cores 2",
        '- source: {"file": "data.json", "left_out": []}',
        "schema version 2",
    ],
)
def test_the_card_says_what_is_in_the_file(path, line):
    assert line in card(path)


def test_the_card_of_an_opened_database_is_the_same_and_has_its_checksum(path):
    text = card(Database(path))
    assert text == card(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text


def test_what_is_not_known_is_not_made_up(tmp_path):
    write_curves(tmp_path / "bare.h5", [table()])
    sheet = datasheet(tmp_path / "bare.h5")
    assert sheet["license"] == "not stated"
    assert "datePublished" not in sheet and "creator" not in sheet
    text = card(tmp_path / "bare.h5")
    assert "- licence: not stated" in text
    assert "Surrogates" not in text and "created" not in text


def test_a_missing_database_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no curve database"):
        datasheet(tmp_path / "missing.h5")
