"""Our tables out, in the layout of LCBench's published files, so that whatever reads those reads ours.

Accuracies are written in percent and balanced accuracies as fractions, whatever a table stores. Every number is written with
all its bits. The inverse is `lcbench_json.import_file`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON, RESULTS, layer_of, tag_of, unit_in_file
from lcbench.metric import SCALES
from lcbench.query import Status
from lcbench.schema import PER_SEED, STATUSES
from lcbench.space import lcbench_space
from lcbench.table import CurveTable


def export_lcbench(tables: CurveTable | Iterable[CurveTable], path: Path) -> list[str]:
    """Write tables of the LCBench space to `path`, all of them or nothing, and say in sentences what the layout cannot hold.

    A table with one horizon and one seed is laid out like data_2k.json, any other like bench_full.json; the numbers of the
    configurations are those of the trials of one seed. Final values that a table does not hold are the last ones of its curves. What the
    published files do not have is left out: planes without a tag, statuses, errors.

    Raises:
        UserError: if a table has another space, two tables have one name, or two trainings one place.
    """
    notes: list[str] = []
    names: set[str] = set()
    with replacing(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        for table in [tables] if isinstance(tables, CurveTable) else tables:
            name = table.task.name
            if name in names:
                raise UserError(f"two tables are called {name!r}, but a file has one per data set: export them to two files")
            file.write(f"{', ' if names else '{'}{json.dumps(name)}: {{")
            names.add(name)
            writer = _Writer(table)
            for i, (trial, entry) in enumerate(writer.entries()):
                file.write(f'{", " if i else ""}"{trial}": {json.dumps(entry)}')
            file.write("}")
            notes += [f"{name}: {note}" for note in writer.notes]
        file.write("}" if names else "{}")
    return notes


class _Writer:
    """Makes the entries of one table."""

    def __init__(self, table: CurveTable) -> None:
        if table.space != lcbench_space():
            raise UserError(
                f"the table of {table.task.name!r} has the space {table.space.name!r}, but the published layout is that of the space "
                "'lcbench': export it as a database"
            )
        self._table = table
        self._columns = {name: values.tolist() for name, values in table.columns.items()}
        self._configs = table.configurations()
        self._finals = {name: values.tolist() for name, values in table.results.items()}
        self._constants = table.provenance.get("constants", CONSTANTS)
        self._facts = table.provenance.get("published") or _facts(table)
        self._planes = [(m, str(tag_of(name)), layer_of(name)) for m, name in enumerate(table.metrics) if tag_of(name)]
        units = zip(table.metrics, table.units, strict=True)
        self._scales = np.array([SCALES.get(unit, 1.0) / SCALES.get(unit_in_file(name), 1.0) for name, unit in units])  # (M,)

    @property
    def notes(self) -> list[str]:
        """What the layout cannot hold of the table."""
        notes = [f"`{name}` is left out: LCBench has no tag for it" for name in self._table.metrics if tag_of(name) is None]
        if n := int(np.count_nonzero(self._table.columns["status"] != STATUSES.index(Status.SUCCESS))):
            notes.append(f"`status` is left out: {n} of {len(self._table)} trainings did not end well")
        return notes

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number of a configuration and entry, in the order in which they first appear."""
        rows: dict[int, list[int]] = {}
        for i, trial in enumerate(self._columns["trial"]):
            rows.setdefault(trial % PER_SEED, []).append(i)
        is_flat = len({*zip(self._columns["horizon"], self._columns["seed"], strict=True)}) <= 1
        for trial, members in rows.items():
            places = {(self._columns["horizon"][i], self._columns["seed"][i]) for i in members}
            if len(places) < len(members):
                raise UserError(
                    f"trial {trial} of {self._table.task.name!r} has {len(members)} trainings at {len(places)} pairs of horizon and seed, "
                    "but the published layout holds one per pair: renumber the trials"
                )
            yield trial, self._flat(members[0]) if is_flat else self._nested(trial, members)

    def _flat(self, i: int) -> dict[str, Any]:
        log = self._log(i)
        return {"log": log, "results": self._results(i, log), "config": self._config(i)}

    def _nested(self, trial: int, rows: list[int]) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        for i in rows:
            log = self._log(i)
            part = entry.setdefault(str(self._columns["horizon"][i]), {"config": self._config(i), "results": {}, "log": {}})
            if part["config"] != self._config(i):
                raise UserError(
                    f"trial {trial} of {self._table.task.name!r} has several configurations at horizon {self._columns['horizon'][i]}, "
                    "but the published layout holds one: renumber the trials"
                )
            seed = str(self._columns["seed"][i])
            part["results"][seed] = self._results(i, log)
            part["log"][seed] = log
        return entry

    def _log(self, i: int) -> dict[str, list[float]]:
        length, n_layers = self._columns["length"][i], self._configs[i]["num_layers"]
        values = (self._table.curves[:, i, :length] * self._scales[:, None]).tolist()
        log = {"time": self._table.seconds[i, :length].tolist(), "epoch": list(range(length))}
        return log | {tag: values[m] for m, tag, layer in self._planes if layer is None or layer < n_layers}

    def _config(self, i: int) -> dict[str, Any]:
        return {**self._configs[i], **self._constants, HORIZON: self._columns["horizon"][i]}

    def _results(self, i: int, log: dict[str, list[float]]) -> dict[str, Any]:
        results: dict[str, Any] = {"budget": self._columns["horizon"][i], "seed": self._columns["seed"][i], **self._facts}
        if (n_parameters := self._columns["n_parameters"][i]) >= 0:
            results["model_parameters"] = n_parameters
        for name in RESULTS:
            value = self._finals[name][i] if name in self._finals else math.nan
            curve = log.get(str(tag_of(name.removeprefix("final_"))))
            if not math.isnan(value):
                results[name] = value
            elif curve:
                results[name] = curve[-1]
        return results


def _facts(table: CurveTable) -> dict[str, Any]:
    """What the published files say of a data set, from our own description; a size that is not known is left out."""
    task = table.task
    n = task.n_train + task.n_val + task.n_test
    sizes = {"instances": n, "classes": task.n_classes, "features": task.n_features}
    facts = {"OpenML_task_id": task.openml_task_id, **{name: size for name, size in sizes.items() if size}}
    return {**facts, "test_split": task.n_test / n} if n else facts
