"""The header of a table, everything but its rows, as plain JSON: in `table.json` of a run and in the attributes of HDF5."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from lcbench.table import CurveTable
from lcbench.task import TaskInfo

_PACKAGES = (
    *("lcbench-harness", "torch", "numba", "llvmlite", "numpy", "scipy", "scikit-learn"),
    *("pandas", "ConfigSpace", "h5py", "openml", "hydra-core"),
)
_TEXTS_OF_PROVENANCE = ("created", "licence")
_JSONS_OF_PROVENANCE = ("versions", "host")


def to_plain(table: CurveTable) -> dict[str, Any]:
    """The header of `table` in JSON types."""
    return {
        "task": dataclasses.asdict(table.task),
        "space": table.space.to_serialized_dict(),
        "objective": table.objective,
        "provenance": table.provenance,
    }


def from_plain(header: dict[str, Any]) -> CurveTable:
    """A table without rows from what `to_plain` made.

    Raises:
        KeyError, TypeError, ValueError: if it is not such a header.
    """
    return CurveTable.of(
        task=TaskInfo(**header["task"]),
        space=ConfigurationSpace.from_serialized_dict(header["space"]),
        objective=header["objective"],
        provenance=header["provenance"],
    )


def attributes_of(table: CurveTable) -> dict[str, str | list[str]]:
    """The header as the attributes of a group in a file: texts, some of them JSON, and lists of texts."""
    header = to_plain(table)
    origin = dict(table.provenance)
    texts = {name: origin.pop(name) for name in _TEXTS_OF_PROVENANCE if isinstance(origin.get(name), str)}
    jsons = {name: json.dumps(origin.pop(name)) for name in _JSONS_OF_PROVENANCE if name in origin}
    return {
        "task": json.dumps(header["task"]),
        "space": json.dumps(header["space"]),
        "metrics": list(table.metrics),
        "units": list(table.units),
        "results": list(table.results),
        "objective": table.objective,
        "split": table.task.split,
        **texts,
        **jsons,
        "notes": json.dumps(origin),
    }


def header_in(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a table as `from_plain` wants them, with ``metrics``, ``units`` and ``results``."""
    origin = {name: attributes[name] for name in _TEXTS_OF_PROVENANCE if name in attributes}
    origin |= {name: json.loads(attributes[name]) for name in _JSONS_OF_PROVENANCE if name in attributes}
    return {
        "task": json.loads(attributes["task"]),
        "space": json.loads(attributes["space"]),
        "objective": attributes["objective"],
        "provenance": origin | json.loads(attributes["notes"]),
        "metrics": attributes["metrics"],
        "units": attributes["units"],
        "results": attributes["results"],
    }


def provenance_now(licence: str) -> dict[str, Any]:
    """Where a table that is recorded here and now comes from; the host is described by its kind, never by its name."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "host": {"processor": _processor(), "cores": os.cpu_count(), "system": sys.platform},
        "licence": licence,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)  # reads metadata; imports nothing
        except PackageNotFoundError:
            continue
    return found | ({"commit": commit} if (commit := _commit()) else {})


@cache
def _commit() -> str:
    """The commit of the code, with ``-dirty`` if files differ from it; nothing if it is no checkout."""
    where, words = Path(__file__).resolve().parents[1], ("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    if not (where / ".git").exists():
        return ""
    try:
        return subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # git is not installed, or does not trust the folder
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
