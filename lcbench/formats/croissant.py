"""What a database holds, said for machines and for people: a Croissant description (JSON-LD) and a data card (Markdown).

Croissant 1.0 (mlcommons.org/croissant/1.0) is schema.org's ``Dataset`` with the files that make it up and the columns in
them; search engines and loaders read it. The record set that is described here is the tidy table of `frame.export_frame`,
because a column of a table is what Croissant can point to; the database itself stands among the files with its checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.database import Database
from lcbench.files import replacing
from lcbench.formats.frame import SUFFIXES, FrameColumn, frame_columns
from lcbench.metric import METRICS, SCALES
from lcbench.rungs import ranked
from lcbench.schema import SCHEMA_VERSION, STATUSES
from lcbench.space import cardinalities
from lcbench.surrogate.report import headline
from lcbench.table import CurveTable

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
RECORDS = "entries"
"""Id of the record set."""
KEYWORDS = ("learning curves", "hyperparameter optimization", "AutoML", "tabular data", "neural networks", "multi-fidelity", "benchmark")
CITATION = (
    "@article{zimmer2021autopytorch, title={Auto-PyTorch Tabular: Multi-Fidelity MetaLearning for Efficient and Robust AutoDL}, "
    "author={Zimmer, Lucas and Lindauer, Marius and Hutter, Frank}, journal={IEEE Transactions on Pattern Analysis and Machine "
    "Intelligence}, volume={43}, number={9}, pages={3079--3090}, year={2021}, doi={10.1109/TPAMI.2021.3067763}}"
)
"""The study that introduced the benchmark whose layout and space this database follows."""

# What loaders look for: a CSV file that is compressed they tell by its first bytes.
_FORMATS = {".h5": "application/x-hdf5", ".parquet": "application/x-parquet", ".csv": "text/csv", ".csv.gz": "text/csv"}
_TYPES = {"integer": "sc:Integer", "float": "sc:Float", "text": "sc:Text", "json": "sc:Text"}
_TERMS = (
    "citeAs column conformsTo equivalentProperty extract field fileProperty fileObject fileSet format includes isLiveDataset jsonPath "
    "key md5 parentField path recordSet references regex repeated replace samplingRate separator source subField transform"
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
"""The names of Croissant 1.0, as its specification wants them."""


# ------------------------------------------------------------------------------------------------------------- for machines


def datasheet(
    database: str | PathLike[str],
    *,
    frame: Path | None = None,
    url: str | None = None,
    version: str = "1.0.0",
    creator: str | None = None,
) -> dict[str, Any]:
    """The Croissant description of a database.

    Args:
        database: the file.
        frame: its export as CSV or Parquet; by default the one beside it with its name, if there is one. Without it, the
            description has files but no record set, because Croissant cannot point into an HDF5 file.
        url: page of the data set; by default the name of the file, relative to wherever it lies.
        version: of the data, as major.minor.patch.
        creator: organisation or person that made it; left out by default.

    Raises:
        UserError: if the database is missing or damaged.
    """
    opened = Database(database)
    tables = list(opened)  # they stay in the file
    frame = frame or next((path for suffix in SUFFIXES if (path := _named(opened.path, suffix)).is_file()), None)
    created = sorted(str(table.provenance["created"]) for table in tables if "created" in table.provenance)
    sheet: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": opened.path.stem,
        "description": _summary(tables),
        "license": [_spdx(licence) for licence in _said(tables, "licence")] or "not stated",
        "url": url or opened.path.name,
        "version": version,
        "keywords": list(KEYWORDS),
        "citeAs": CITATION,
        **({"datePublished": created[-1][:10]} if created else {}),
        **({"creator": {"@type": "sc:Organization", "name": creator}} if creator else {}),
        "distribution": [_file(opened.path, "the curve database, HDF5; python -m lcbench info shows it")],
    }
    if frame is not None:
        sheet["distribution"].append(_file(frame, "all trainings of the database as one tidy table, a row per epoch"))
        sheet["recordSet"] = [_record_set(frame.name, frame_columns(tables))]
    return sheet


def write_datasheet(database: str | PathLike[str], path: Path | None = None, **options: Any) -> Path:
    """Write the description to `path`, by default ``<name>.croissant.json`` beside the database; `options` as of `datasheet`."""
    path = Path(path) if path is not None else _named(Path(database), ".croissant.json")
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(datasheet(database, **options), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.stem + suffix)


def _file(path: Path, description: str) -> dict[str, Any]:
    suffix = next((suffix for suffix in _FORMATS if path.name.endswith(suffix)), "")
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": description,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _FORMATS.get(suffix, "application/octet-stream"),
        "sha256": sha256_of(path),
    }


def sha256_of(path: Path) -> str:
    """SHA-256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record_set(file: str, columns: Sequence[FrameColumn]) -> dict[str, Any]:
    names: dict[str, FrameColumn] = {}
    for column in columns:
        name = re.sub(r"[^\w.-]", "_", column.name, flags=re.ASCII)  # what an id may hold
        while name in names:
            name += "_"
        names[name] = column
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "name": RECORDS,
        "description": "One record per training and epoch; epoch 0 is the untrained network. A training without entries has one record.",
        "key": [{"@id": f"{RECORDS}/{name}"} for name in ("task", "fold", "space", "training", "epoch")],
        "field": [_field(file, name, column) for name, column in names.items()],
    }


def _field(file: str, name: str, column: FrameColumn) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{name}",
        "name": name,
        "description": f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
        "dataType": _TYPES[column.kind],
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }


def _spdx(licence: str) -> str:
    """The page of a licence that is named as SPDX names it, e.g. CC-BY-4.0; any other text as it is."""
    return f"https://spdx.org/licenses/{licence}.html" if re.fullmatch(r"[A-Za-z0-9.+-]*\d[A-Za-z0-9.+-]*", licence) else licence


def _said(tables: Iterable[CurveTable], name: str) -> list[str]:
    """What the tables say about their origin under a name, each once, as text."""
    return list(dict.fromkeys(_text(table.provenance[name]) for table in tables if table.provenance.get(name)))


def _text(value: Any) -> str:
    if isinstance(value, dict) and not any(isinstance(part, dict | list) for part in value.values()):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _summary(tables: Sequence[CurveTable]) -> str:
    n = sum(map(len, tables))
    entries = sum(int(table.columns["length"].sum()) for table in tables)
    tasks = len({table.task.name for table in tables})
    return (
        f"Learning curves of {n:,} trainings of neural networks on {tasks} tabular data set{'s' * (tasks != 1)}, {entries:,} entries "
        f"(epochs, untrained networks included), {_hours(tables):.1f} hours of training and evaluation. For every epoch: seconds and "
        f"{len({name for table in tables for name in table.metrics})} metrics on training, validation and test rows."
    )


def _hours(tables: Iterable[CurveTable]) -> float:
    return sum(float(np.fmax.reduce(table.seconds, axis=1, initial=0.0).sum()) for table in tables if table.n_entries) / 3600


# --------------------------------------------------------------------------------------------------------------- for people


def card(database: Database | str | PathLike[str]) -> str:
    """The data card of a database in Markdown; everything in it is read from the file.

    Raises:
        UserError: if the database is missing or damaged.
    """
    opened = database if isinstance(database, Database) else Database(database)
    tables = list(opened)
    spaces = {str(table.space.name): table.space for table in tables}
    parts = [
        f"# {opened.path.stem}",
        _summary(tables),
        "## Tasks",
        _markdown(map(_task_row, tables)),
        *(f"Split of {', '.join(names)}: {split}." for split, names in _splits(tables).items()),
        "## Trainings",
        _markdown(map(_training_row, tables)),
        "A training is one configuration with one seed and one annealing horizon. Entry 0 of a curve is the untrained network, entry "
        "e the network after e epochs. Seconds are cumulative.",
        "## Metrics",
        _markdown(_metric_rows(tables)),
        *(part for name, space in spaces.items() for part in (f"## Search space {name}", _markdown(_space_rows(space)))),
        *_fidelities(tables),
        *_surrogates(opened),
        "## Origin",
        "\n".join(_origin(tables)),
        "## File",
        "\n".join(_facts(opened)),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown(rows: Iterable[dict[str, Any]]) -> str:
    """A table; the first row names the columns."""
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    cells = [names, ["---"] * len(names), *([str(row.get(name, "–")).replace("|", "\\|") for name in names] for row in listed)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) if listed else "None."


def _task_row(table: CurveTable) -> dict[str, Any]:
    task = table.task
    number = task.openml_task_id
    return {
        "task": f"[{task.name}](https://www.openml.org/t/{number})" if number is not None else task.name,
        "fold": task.fold,
        "kind": task.kind,
        "rows (train + validation + test)": f"{task.n_train} + {task.n_val} + {task.n_test}",
        "columns": task.n_features,
        "classes": task.n_classes or "–",
    }


def _splits(tables: Sequence[CurveTable]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table in tables:
        names = found.setdefault(table.task.split, [])
        if table.task.name not in names:
            names.append(table.task.name)
    return found


def _training_row(table: CurveTable) -> dict[str, Any]:
    ends = Counter(STATUSES[status] for status in table.columns["status"].tolist())
    return {
        "task": table.task.name,
        "space": table.space.name,
        "trainings": len(table),
        "configurations": len(set(table.columns["key"].tolist())),
        "seeds": _numbers(table, "seed"),
        "horizons": _numbers(table, "horizon"),
        "entries": f"0..{table.n_entries - 1}" if table.n_entries else "none",
        "ended as": ", ".join(f"{n} {status}" for status, n in ends.most_common()) or "–",
        "hours": f"{_hours([table]):.2f}",
        "objective": table.objective,
    }


def _numbers(table: CurveTable, name: str) -> str:
    found = sorted(set(table.columns[name].tolist()))
    if not found:
        return "–"
    return ", ".join(map(str, found)) if len(found) <= 6 else f"{len(found)} from {found[0]} to {found[-1]}"


def _metric_rows(tables: Sequence[CurveTable]) -> Iterable[dict[str, Any]]:
    names = dict.fromkeys(name for table in tables for name in table.metrics)
    for name in names:
        metric = METRICS.get(name.partition("_")[2]) if name.startswith(("train_", "val_", "test_")) else None
        units = dict.fromkeys(table.units[table.plane(name)] for table in tables if name in table.metrics)
        stored = [f"{unit} (times {SCALES[unit]} is {metric.unit})" if unit in SCALES and metric else unit for unit in units if unit]
        yield {
            "metric": f"`{name}`",
            "stored in": "; ".join(stored) or "–",
            "better": {"maximize": "larger", "minimize": "smaller"}[metric.direction] if metric else "–",
            "tables": sum(name in table.metrics for table in tables),
        }


def _space_rows(space: ConfigurationSpace) -> Iterable[dict[str, Any]]:
    for (name, hp), n_choices in zip(space.items(), cardinalities(space), strict=True):
        is_number = hasattr(hp, "lower") and not n_choices
        values = f"{hp.lower:g} to {hp.upper:g}" if is_number else ", ".join(map(str, getattr(hp, "choices", getattr(hp, "sequence", ()))))
        yield {
            "hyperparameter": f"`{name}`",
            "values": values or str(hp.default_value),
            "type": type(hp).__name__.removesuffix("Hyperparameter"),
            "scale": ("log" if hp.log else "linear") if is_number else "–",
            "only if": "; ".join(str(condition) for condition in space.parent_conditions_of[name]) or "always",
        }


def _fidelities(tables: Sequence[CurveTable]) -> list[str]:
    found = ranked(tables)
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    if not names:
        return []
    rows = [{"task": task} | {name: _decimals(values.get(name)) for name in names} for task, values in found.items()]
    said = "Spearman's correlation of the objective at the end with that of the same training at epoch e (@e)"
    shorter = ", and with that of shorter trainings at their own end" if any("of" in name for name in names) else ""
    return ["## How well short trainings rank", f"{said}{shorter}.", _markdown(rows)]


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _surrogates(database: Database) -> list[str]:
    models = [model for name in database.models for model in database.fitted(*name)]
    if not models:
        return []
    lines = [headline(model.about["report"]) for model in models]
    rows = [
        {"task": model.task, "predicts": f"`{model.column}`", "model": line["model"]}
        | {name: _decimals(value) for name, value in line["scores"].items()}
        for model, line in zip(models, lines, strict=True)
    ]
    return ["## Surrogates", "On configurations that the models had not seen (cross-validation over configurations).", _markdown(rows)]


def _origin(tables: Sequence[CurveTable]) -> list[str]:
    """Everything that the tables say about where they come from."""
    dates = sorted(_said(tables, "created"))
    lines = [f"- created: {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "")] if dates else []
    first = ("licence", "versions", "host")
    others = {name for table in tables for name in table.provenance} - {"created", *first}
    for name in (*first, *sorted(others)):
        said = _said(tables, name)
        if said or name == "licence":
            lines.append(f"- {name}: {'; '.join(said[:5]) or 'not stated'}" + (f"; … ({len(said)} in all)" if len(said) > 5 else ""))
    return lines


def _facts(database: Database) -> list[str]:
    path = database.path
    return [
        f"- name: {path.name}, {path.stat().st_size:,} bytes, HDF5, schema version {SCHEMA_VERSION}",
        f"- SHA-256: `{sha256_of(path)}`",
        "- every dataset and every training in it has a CRC-32 of its own: `python -m lcbench verify` reads them all",
    ]
