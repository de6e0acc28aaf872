"""LCBench's own Python interface, `Benchmark`, on our databases: scripts and notebooks that were written for it run unchanged.

    from lcbench import Benchmark

    bench = Benchmark("data_2k_lw.json")  # or any database of ours
    bench.query("higgs", "Train/val_accuracy", config_id=0)  # 52 floats

Names, arguments, defaults and results are those of automl/LCBench, api.py. What differs is meant: a published file is
read once into a database and then opens in milliseconds; numbers of configurations may be given as int or str everywhere
(LCBench issue 5); names that are not there are refused with the nearest ones.

A *tag* names, in this order: a list over the epochs (``time``, ``epoch``, ``Train/…``), a scalar of the run
(``final_val_accuracy``, ``seed``, …), a hyperparameter, or, with the word ``config``, all of them. Values have LCBench's
units whatever the table stores: accuracies in percent, balanced accuracies as fractions, seconds.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.formats.lcbench_runs import Dataset, Direction, NotRecordedError, known
from lcbench.header import header_in
from lcbench.store import checked_attributes, groups, model_groups, opened

if TYPE_CHECKING:
    import h5py


class Benchmark:
    """Look learning curves up as LCBench's `Benchmark` does; tables are opened as they are asked for.

    >>> bench = Benchmark()
    >>> len(bench.query("vehicle", "Train/val_accuracy", 0))
    51
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] = SHIPPED,
        cache: bool = False,
        cache_dir: str | os.PathLike[str] = "cached/",
        *,
        budget: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Open a database, by default the one that ships, or a published JSON file.

        Args:
            data_dir: a database (.h5) or a file of LCBench (.json). A JSON file is imported once, into a database of the
                same name beside it; the database is used from then on, until the JSON file changes.
            cache: put that database into `cache_dir` instead. Where the folder of the file cannot be written to, or another
                file has the name, this happens anyway.
            cache_dir: a directory, made when needed.
            budget: annealing horizon of the trainings that are served, in epochs; None for the largest of every table.
            seed: seed of the trainings that are served; None for the smallest of every table with that budget.

        Raises:
            UserError: if the file is missing or neither, or no training has the budget and seed.
        """
        self.data_dir, self.cache, self.cache_dir = data_dir, cache, cache_dir
        path = Path(data_dir)
        self._database = Database(path if path.suffix in (".h5", ".hdf5") else _imported(path, Path(cache_dir), cache))
        self._selection = budget, seed
        spaces = [task for task, _ in self._database.names]
        self._names = {task if spaces.count(task) == 1 else f"{task}/{space}": (task, space) for task, space in self._database.names}
        self.dataset_names = list(self._names)
        """Names of the data sets; where a task was recorded in several spaces, ``task/space``."""
        self._datasets: dict[str, Dataset] = {}

    def __repr__(self) -> str:
        return f"<Benchmark {self._database.path}, {len(self.dataset_names)} data sets>"

    def query(self, dataset_name: str, tag: str, config_id: int | str) -> Any:
        """One run: a list of floats over the epochs, a scalar, or the whole configuration, depending on the tag.

        Raises:
            NotRecordedError: if there is no such data set, configuration or tag.
        """
        try:  # the shortest way for those who ask often
            dataset = self._datasets[dataset_name]
            return dataset.readers[tag](dataset.rows[config_id])
        except KeyError:
            return self._dataset(dataset_name).value(tag, config_id)

    def query_best(
        self,
        dataset_name: str,
        tag: str,
        criterion: str,
        position: int = 0,
        *,
        direction: Direction | None = None,
        epoch: int | None = None,
    ) -> Any:
        """The run at a position of the ranking by a criterion; ties keep the order of the file.

        Args:
            dataset_name: the data set.
            tag: what to return of the run, as in `query`.
            criterion: the tag to rank by: a list tag or a scalar. Runs without a value are left out.
            position: 0 is the best run, -1 the worst.
            direction: ``max`` or ``min``. None ranks by the largest value, as LCBench does for every tag, with a warning
                where smaller ones are better.
            epoch: compare after this epoch; None compares the best value of every curve, as LCBench does.

        Raises:
            NotRecordedError: if there is no such data set, tag or position.
        """
        dataset = self._dataset(dataset_name)
        ranking = dataset.ranking(criterion, direction, epoch)
        if not -len(ranking) <= position < len(ranking):
            law = f"but {dataset_name!r} has {len(ranking)} runs with a value of {criterion}, counted from 0"
            raise NotRecordedError(f"`position` is {position}, {law}")
        return dataset.value(tag, ranking[position])

    def get_queriable_tags(self, dataset_name: str | None = None, config_id: int | str | None = None) -> list[str]:
        """Every tag of a run; of the first run of the first data set unless both are given."""
        if dataset_name is None or config_id is None:
            dataset = self._dataset(self.dataset_names[0])
            config_id = dataset.ids[0]
        else:
            dataset = self._dataset(dataset_name)
        return [*(tag for part in dataset.entry(dataset.row(config_id)).values() for tag in part), "config"]

    def get_dataset_names(self) -> list[str]:
        """Names of all data sets."""
        return self.dataset_names

    def get_openml_task_ids(self) -> list[int | None]:
        """Numbers of the OpenML tasks, in the order of the data sets; None for a local task."""
        return [self._database.table(*self._names[name]).task.openml_task_id for name in self.dataset_names]

    def get_number_of_configs(self, dataset_name: str) -> int:
        """How many configurations a data set has; their numbers need not be without gaps (`get_config_ids`)."""
        return len(self._dataset(dataset_name).ids)

    def get_config_ids(self, dataset_name: str) -> list[int]:
        """Numbers of the configurations of a data set, in the order of the file."""
        return list(self._dataset(dataset_name).ids)

    def get_config(self, dataset_name: str, config_id: int | str) -> dict[str, Any]:
        """The configuration of a run, what never varies included."""
        return self.query(dataset_name, "config", config_id)

    @property
    def data(self) -> dict[str, Mapping[str, Any]]:
        """The published file as it would be in memory, ``data[dataset][config_id]["log"][tag]``, read as it is looked at."""
        return {name: _Runs(partial(self._dataset, name)) for name in self.dataset_names}

    def plot_by_name(
        self,
        dataset_names: str | Sequence[str] | NDArray[np.str_],
        x_col: str,
        y_col: str,
        n_configs: int = 10,
        show_best: bool = False,
        xscale: str = "linear",
        yscale: str = "linear",
        criterion: str | None = None,
    ) -> None:
        """Draw curves of several runs, one panel per data set, into a new figure of pyplot; ``plt.show()`` shows it.

        As in LCBench, these are the runs 1, 2, … `n_configs`, or with `show_best` the best ones of `query_best` by
        `criterion` (None: by `y_col`). A run that is not there is named on the standard output.

        Raises:
            NotRecordedError: if there is no such data set or tag.
            UserError: if `dataset_names` is neither a name nor a list of names.
        """
        if not isinstance(dataset_names, str | list | tuple | np.ndarray):
            raise UserError(f"`dataset_names` is {dataset_names!r}, but must be the name of a data set or a list of names")
        names = [dataset_names] if isinstance(dataset_names, str) else [str(name) for name in dataset_names]
        panels = {name: self._curves(name, (x_col, y_col), n_configs, (criterion or y_col) if show_best else None) for name in names}
        import matplotlib.pyplot as plt  # only who draws needs it

        _, axes = plt.subplots(len(names), 1, figsize=(8.5, 4.8 * len(names)), squeeze=False, layout="constrained")
        for ax, (name, curves) in zip(axes[:, 0], panels.items(), strict=True):
            _draw(ax, curves, ranked=show_best)
            ax.set(title=self._title(name), xlabel=_words(x_col), ylabel=_words(y_col), xscale=xscale, yscale=yscale)

    def _curves(self, name: str, tags: tuple[str, str], n: int, criterion: str | None) -> list[tuple[int, Any, Any]]:
        """What to draw of a data set: number, x and y of up to `n` runs."""
        dataset = self._dataset(name)
        for tag in tags:
            dataset.reader(tag)
        ids = list(range(1, n + 1)) if criterion is None else dataset.ranking(criterion)[:n]
        found = []
        for config_id in ids:
            try:
                x, y = (np.atleast_1d(dataset.value(tag, config_id)) for tag in tags)
                found.append((config_id, x, y))
            except NotRecordedError:  # a tag of a layer that this network does not have, or fewer runs than asked for
                print(f"Run {config_id} not found for data set {name}")
        if len(ids) < n:
            print(f"Only {len(ids)} runs of {name} have a value of {criterion}")
        return found

    def _title(self, name: str) -> str:
        task = self._dataset(name).table.task
        sizes = {"instances": task.n_train + task.n_val + task.n_test, "features": task.n_features, "classes": task.n_classes}
        return " · ".join([name, *(f"{n:,} {what}" for what, n in sizes.items() if n)])

    def _dataset(self, name: str) -> Dataset:
        if name not in self._datasets:
            if name not in self._names:
                raise NotRecordedError(f"`dataset_name` is {name!r}, but {self._database.path} has {known(name, self.dataset_names)}")
            self._datasets[name] = Dataset(name, self._database.table(*self._names[name]), *self._selection)
        return self._datasets[name]


class _Runs(Mapping[str, dict[str, dict[str, Any]]]):
    """The runs of a data set by number, as text like in the published files; read when they are looked at."""

    def __init__(self, opened: Callable[[], Dataset]) -> None:
        self._opened = opened

    def __getitem__(self, config_id: str) -> dict[str, dict[str, Any]]:
        dataset = self._opened()
        return dataset.entry(dataset.row(config_id))

    def __iter__(self) -> Iterator[str]:
        return map(str, self._opened().ids)

    def __len__(self) -> int:
        return len(self._opened().ids)


def _draw(ax: Any, curves: Sequence[tuple[int, Any, Any]], *, ranked: bool) -> None:
    """Curves of one data set; the colour says the rank, or where there is none and they are few, tells them apart."""
    import matplotlib.pyplot as plt

    colours = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(curves)))
    if not ranked and len(curves) <= 10:
        colours = plt.get_cmap("tab10")(np.arange(len(curves)))
    for rank, (colour, (config_id, x, y)) in enumerate(zip(colours, curves, strict=True)):
        ax.plot(x, y, color=colour, label=config_id, linewidth=1.4, marker="o", markersize=2.5, zorder=3 - rank / len(curves))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.3, linewidth=0.6)
    if 0 < len(curves) <= 16:
        title = "run, best first" if ranked else "run"
        ax.legend(title=title, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize="small")


def _words(tag: str) -> str:
    """A tag as the label of an axis."""
    known_words = {"time": "time [s]", "epoch": "epoch", "Train/test_result": "test accuracy [%]", "Train/lr": "learning rate"}
    words = tag.rpartition("/")[2].replace("val_", "validation ").replace("train_", "training ").replace("_", " ")
    unit = {"accuracy": " [%]", "entropy": " [nat]"}.get(words.rpartition(" ")[2], "") if "balanced" not in words else " [fraction]"
    return known_words.get(tag, words + unit)


# ------------------------------------------------------------------------------------------------ published files, imported


def _imported(source: Path, cache_dir: Path, cache: bool) -> Path:
    """The database of a published file: the one that was made of it if it is newer, else a new one."""
    if not source.is_file() or source.suffix not in (".json", ".zip"):
        law = "must be a database (.h5) or a file of LCBench (.json, .zip)" if source.is_file() else "there is no such file"
        raise UserError(f"`data_dir` is {str(source)!r}, but {law}")
    beside = source.with_suffix(".h5")
    # The cache may serve several folders that have files of one name.
    cached = cache_dir / f"{source.stem}-{zlib.crc32(os.fsencode(source.resolve())):08x}.h5"
    for database in (cached,) if cache else (beside, cached):
        if _is_import_of(source, database) and database.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            return database
    is_ours = not beside.exists() or _is_import_of(source, beside)  # never overwrite what was not written here
    database = beside if is_ours and not cache and os.access(source.parent, os.W_OK) else cached
    database.parent.mkdir(parents=True, exist_ok=True)
    from lcbench.formats.lcbench_json import import_file

    print(f"Importing {source} into {database}, once; it opens at once from then on")
    for note in import_file(source, database, precision="float64", progress=_show if sys.stderr.isatty() else None):
        print(note)
    return database


def _is_import_of(source: Path, path: Path) -> bool:
    """Whether a file is what `_imported` makes of a source: nothing but tables of it, with every bit, and no model."""
    try:
        with opened(path) as file:
            tables = groups(file)
            return bool(tables) and not model_groups(file) and all(_is_table_of(source, group) for group in tables)
    except UserError:  # missing, damaged, or no database of this version
        return False


def _is_table_of(source: Path, group: h5py.Group) -> bool:
    origin = header_in(checked_attributes(group))["provenance"].get("source")  # a text if another format was read
    is_whole = isinstance(origin, dict) and origin.get("file") == source.name and not origin.get("left_out")
    return is_whole and group["curves"].dtype == np.float64


def _show(n_read: int, n_bytes: int, task: str) -> None:
    end = "\n" if n_read >= n_bytes else ""
    print(f"\r{100 * n_read // max(n_bytes, 1):3d} %  {task:<40}", end=end, file=sys.stderr, flush=True)
