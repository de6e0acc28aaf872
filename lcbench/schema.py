"""The layout of a curve database as one table: what `store.py` writes and checks, and what a reader in any language finds.

One HDF5 file holds any number of tables, one group ``/tables/<task>/<space>`` each. A row of a table is one training:
a configuration, a seed and an annealing horizon, so several seeds and horizons of one configuration are several rows.

Notation: M recorded metrics (planes), n trainings (rows), T the longest curve. Entry 0 is the untrained network, entry e
the network after e epochs. A row of length l is valid in entries 0..l-1 and NaN beyond; a metric that does not apply to
a training (a gradient of layer 4 in a network of three) is NaN in its whole row.

Two layouts hold the same datasets. *serving*: every dataset is contiguous, `curves` and `seconds` start at a multiple of
64 bytes, so that a reader maps them into memory and never touches HDF5 again. *compressed*: `curves` and `seconds` are
byte-shuffled and deflated in blocks of rows, for distribution. Any HDF5 library since 1.10 (2016) reads both.
"""

from __future__ import annotations

from dataclasses import dataclass

from lcbench.query import Status

SCHEMA_VERSION = 2
"""Version of the layout; raised when an older reader would misread a newer file."""

UNFINISHED = "unfinished"
"""Status of a training that has not ended: it is still running, or its process died without a word."""

PER_SEED = 1_000_000
"""Trial numbers of one seed: what a collection trains of configuration i with a seed is trial seed * PER_SEED + i on every machine."""

STATUSES = (*(status.value for status in Status), UNFINISHED)
"""What the numbers in the dataset `status` stand for; every file repeats it in the attribute `names` of that dataset."""


@dataclass(frozen=True)
class Dataset:
    """One dataset of a table."""

    path: str
    """Name inside the group of the table."""
    shape: str
    """Dimensions in the notation of this module."""
    dtype: str
    """NumPy name of the type on disk, little-endian; ``text`` for UTF-8 of one width, padded with NUL."""
    unit: str
    """Unit of the values, empty where there is none."""
    meaning: str
    """What a value says."""


DATASETS = (
    Dataset("curves", "(M, n, T)", "<f4 or <f8", "attribute `units`", "value of metric m in training i after e epochs"),
    Dataset("seconds", "(n, T)", "<f8", "s", "cumulative time of training and evaluation; never decreases along a row"),
    Dataset("length", "(n,)", "<i4", "entries", "number of valid entries of the row, counted from epoch 0"),
    Dataset("trial", "(n,)", "<i8", "", "number that names the training inside its run"),
    Dataset("seed", "(n,)", "<i8", "", "seed of the training: initial weights, batches, dropout"),
    Dataset("horizon", "(n,)", "<i8", "epochs", "epoch at which the learning rate reaches its end (annealing horizon)"),
    Dataset("status", "(n,)", "<i1", "", "how the training ended; attribute `names` holds the word for each number"),
    Dataset("error", "(n,)", "text", "", "first lines of what went wrong, empty after a success"),
    Dataset("key", "(n,)", "text", "", "hash of the configuration (lcbench.space.key), equal on every machine"),
    Dataset("origin", "(n,)", "text", "", "why the configuration was proposed: random, initial, model, promotion, …"),
    Dataset("n_parameters", "(n,)", "<i8", "", "trainable parameters of the network, -1 where not recorded"),
    Dataset(
        "configs/<hyperparameter>",
        "(n,)",
        "<f8 or text",
        "",
        "one column per hyperparameter of the space; attribute `kind` is integer or float (numbers, NaN where inactive), "
        "text (as it is) or json (JSON text for anything else); text is empty where inactive",
    ),
    Dataset(
        "results/<name>", "(n,)", "<f8", "", "a further scalar of a training under the name that its source gave it; NaN where it gave none"
    ),
    Dataset("row_crc32", "(M + 1, n)", "<u4", "", "CRC-32 of every curve (m, i), and in the last line of everything else that row i holds"),
)
"""Every dataset of a table. `error` is compressed in both layouts; each has the attribute `crc32` of its bytes."""

ATTRIBUTES = {
    "task": "JSON of the task: name, kind, OpenML task id, fold, split, sizes",
    "space": "JSON of the search space, as ConfigSpace serialises it",
    "metrics": "names of the planes of `curves`, M texts",
    "units": "unit of every plane as it is stored, M texts; percent means that the metric's own unit is a hundredth of it",
    "results": "names of the columns in the group `results`, possibly none",
    "objective": "name of the metric that the recording run optimised, one of the planes",
    "split": "how train, validation and test rows were chosen, in words",
    "created": "when the recording began, UTC, ISO 8601",
    "versions": "JSON of the versions of Python and of the packages that mattered",
    "host": "JSON of the kind of machine: processor model, number of cores; never its name",
    "licence": "under which the data may be used",
    "notes": "JSON of everything else that was said about the origin of the table",
    "crc32": "CRC-32 of the JSON of all other attributes, keys sorted",
}
"""Every attribute of the group of a table."""

MODELS = {
    "about": "UTF-8 JSON as bytes: kind and version of the model, quality report; attribute `crc32` is that of the text",
    "arrays/<name>": "whatever the model needs, each with the attribute `crc32`; what several columns share is stored once (a hard link)",
}
"""Every dataset of a fitted model, which stands in the group ``/models/<task>/<space>/<column>``."""

FILE_ATTRIBUTES = {
    "schema_version": "version of this layout, an integer",
    "tables": "JSON list of [task, space] of every table, so that a reader need not look into every group; optional",
}
"""Every attribute of the root group."""


def link(name: str) -> str:
    """The name of a task, space or hyperparameter as the name of an HDF5 link, which holds neither ``/`` nor NUL.

    >>> link("p/q 100%")
    'p%2Fq 100%25'
    """
    quoted = name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    return "%2E" if quoted == "." else quoted


def unlinked(name: str) -> str:
    """The inverse of `link`.

    >>> unlinked("p%2Fq 100%25")
    'p/q 100%'
    """
    return name.replace("%00", "\0").replace("%2F", "/").replace("%2E", ".").replace("%25", "%")
