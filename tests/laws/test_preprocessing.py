"""Laws of every scaler and every feature preprocessor that the packages hold; a new file is tested by being there."""

import pickle
import pkgutil
from functools import cache
from importlib import import_module

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from ConfigSpace.util import deactivate_inactive_hyperparameters
from threadpoolctl import threadpool_limits

import pipeline.features
import pipeline.scalers
from lcbench.task import TaskInfo
from pipeline.preprocessing import coalescer, encoding, imputation
from pipeline.preprocessing.cache import make
from pipeline.preprocessing.columns import Columns
from pipeline.preprocessing.preprocessor import Preprocessor
from pipeline.preprocessing.raw import RawTable

PLAIN = {
    "imputer.numerical": "mean",
    "coalescer": "none",
    "encoder": "one_hot",
    "scaler": "standard",
    "preprocessor": "none",
    "embedding": "none",
}
KINDS = ("classification", "regression")
NAN = np.nan


def _components(choice, package):
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [(choice, name) for name in names if hasattr(import_module(f"{package.__name__}.{name}"), "space")]


COMPONENTS = [*_components("scaler", pipeline.scalers), *_components("preprocessor", pipeline.features)]
PACKAGE = {"scaler": "pipeline.scalers", "preprocessor": "pipeline.features"}
every_component = pytest.mark.parametrize(("choice", "name"), COMPONENTS, ids=lambda value: value)
every_kind = pytest.mark.parametrize(  # scalers never see the target
    ("choice", "name", "kind"),
    [(*one, kind) for one in COMPONENTS for kind in KINDS[: 1 if one[0] == "scaler" else 2]],
    ids=lambda value: value,
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Tables this small gain nothing from more, and wait long for each other on a busy machine."""
    with threadpool_limits(1):
        yield


def _space(choice, name, kind) -> ConfigurationSpace:
    info = TaskInfo("made up", kind, None, 0, "made up", 60, 20, 20, 8, 3 if kind == "classification" else 0)
    return import_module(f"{PACKAGE[choice]}.{name}").space(info)


def _corner(space, side):
    values = {}
    for name, hyperparameter in space.items():
        bounds = getattr(hyperparameter, "choices", None) or (hyperparameter.lower, hyperparameter.upper)
        values[name] = bounds[side]
    return dict(deactivate_inactive_hyperparameters(values, space))


@cache
def _settings(choice, name, kind, n_random):
    """The default of a component, its lowest and highest corner, and random ones, as canonical settings."""
    space = _space(choice, name, kind)
    own = [dict(space.get_default_configuration())]
    if len(space):
        space.seed(1)
        own += [_corner(space, 0), _corner(space, -1), *(dict(space.sample_configuration()) for _ in range(n_random))]
    return [PLAIN | {choice: name} | {f"{name}.{key}": value for key, value in values.items()} for values in own]


def _mixed(n=60):
    """Numbers of several sizes, with missing cells, a copy, a constant; and two columns of categories."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)) * [1, 1e3, 1e-3]
    columns = np.column_stack([x, x[:, 0], np.full(n, 0.1), rng.integers(0, 4, n), rng.integers(0, 2, n), rng.lognormal(size=n)])
    columns[rng.random(columns.shape) < 0.1] = NAN
    return columns, np.array([False] * 5 + [True] * 2 + [False])


def _odd_tables():
    rng = np.random.default_rng(1)
    mixed, nominal = _mixed()
    number, category = np.zeros(1, bool), np.ones(1, bool)
    return {
        "one number": (rng.normal(size=(20, 1)), number),
        "one category": (rng.integers(0, 3, (20, 1)).astype(float), category),
        "one category of one value": (np.zeros((20, 1)), category),
        "constant": (np.full((20, 3), 7.0), np.zeros(3, bool)),
        "three rows": (mixed[:3], nominal),
        "five rows": (mixed[:5], nominal),
        "more columns than rows": (rng.normal(size=(8, 30)), np.zeros(30, bool)),
        "huge": (rng.choice([1e300, -1e300, 1.0, np.inf, -np.inf, 0.0, NAN], (30, 4)), np.zeros(4, bool)),
        "tiny": (rng.normal(size=(20, 3)) * 1e-300, np.zeros(3, bool)),
    }


ODD = _odd_tables()
WEIRD = [NAN, np.inf, -np.inf, 1e300, -1e300, 1e-300, 0.0, 99.0]
"""Each fills a whole row: as a number, and as the code of a category, where it is unknown."""


def _target(n, kind):
    return np.arange(n) % 3 if kind == "classification" else np.random.default_rng(2).normal(size=n) * 100 + 5


def _fit(settings, table, kind, seed=2**60):  # larger than scikit-learn takes it
    raw, nominal = table
    return Preprocessor(settings, nominal, kind, seed).fit(raw, _target(len(raw), kind))


def _assert_good(output, n, preprocessor):
    assert output.dtype == np.float32 and output.shape == (n, preprocessor.n_columns) and preprocessor.n_columns > 0
    assert np.isfinite(output).all()


@every_kind
def test_any_configuration_gives_finite_columns_for_any_rows(choice, name, kind):
    table = _mixed()
    rows = np.vstack([table[0], np.tile(np.array(WEIRD)[:, None], table[0].shape[1])])
    for settings in _settings(choice, name, kind, 18):
        preprocessor = _fit(settings, table, kind)
        _assert_good(preprocessor.transform(rows), len(rows), preprocessor)


@every_kind
def test_odd_tables_do_no_harm(choice, name, kind):
    unscaled = {} if choice == "scaler" else {"scaler": "none"}  # the worst that a feature preprocessor can see
    for table in ODD.values():
        rows = np.vstack([table[0], np.tile(np.array(WEIRD)[:, None], table[0].shape[1])])
        for settings in _settings(choice, name, kind, 0):
            preprocessor = _fit(settings | unscaled, table, kind)
            _assert_good(preprocessor.transform(rows), len(rows), preprocessor)


@every_kind
def test_what_a_network_trains_on_knows_nothing_of_the_other_rows(choice, name, kind):
    """Through the door of the pipeline, which is given the whole table: neither cells nor targets of validation and test rows matter."""
    rng = np.random.default_rng(9)
    values, nominal = _mixed(80)
    y = _target(80, kind)
    rows = {"train": np.arange(5, 65), "val": np.r_[:5, 65:70], "test": np.arange(70, 80)}
    others = np.r_[rows["val"], rows["test"]]
    changed, other_y = values.copy(), y.copy()
    changed[others] = rng.normal(size=(20, values.shape[1])) * 1e6
    other_y[others] = rng.permutation(y[others])[::-1] + (kind == "regression") * 1e3
    info = TaskInfo("made up", kind, None, 0, "made up", 60, 10, 10, 8, 3 if kind == "classification" else 0)
    columns = Columns(tuple("abcdefgh"), tuple(tuple(range(4)) if one else None for one in nominal))
    tables = [RawTable(info, columns, ("x", "y", "z")[: info.n_classes], *table, rows) for table in ((values, y), (changed, other_y))]
    for settings in _settings(choice, name, kind, 1):
        (one, first), (other, second) = (make(table, settings | {"target_size": "none"}, 7) for table in tables)
        assert np.array_equal(one.X["train"], other.X["train"]) and np.array_equal(one.y["train"], other.y["train"])
        assert (one.y_mean, one.y_scale) == (other.y_mean, other.y_scale)
        assert np.array_equal(first.transform(values), second.transform(values))


@every_component
def test_every_row_stands_alone(choice, name):
    raw, nominal = _mixed(80)
    for settings in _settings(choice, name, "classification", 1):
        preprocessor = _fit(settings, (raw[:60], nominal), "classification")
        whole = preprocessor.transform(raw)
        size = np.abs(whole).max()
        for rows in ([3], [70], [61, 5, 79]):
            np.testing.assert_allclose(preprocessor.transform(raw[rows]), whole[rows], rtol=1e-3, atol=1e-5 * size)


@every_kind
def test_same_seed_same_output_and_pickles_keep_it(choice, name, kind):
    table = _mixed()
    for settings in _settings(choice, name, kind, 1):
        preprocessor = _fit(settings, table, kind)
        output = preprocessor.transform(table[0])
        assert np.array_equal(_fit(settings, table, kind).transform(table[0]), output)
        assert np.array_equal(pickle.loads(pickle.dumps(preprocessor)).transform(table[0]), output)


@pytest.mark.parametrize("module", [imputation, coalescer, encoding], ids=lambda module: module.__name__)
def test_the_other_parts_of_the_space_are_there(module):
    assert len(module.space(TaskInfo("made up", "classification", None, 0, "", 1, 1, 1, 1, 2))) == (2 if module is encoding else 1)


@pytest.mark.parametrize("strategy", imputation.STRATEGIES)
@pytest.mark.parametrize("encoder", ["one_hot", "ordinal"])
@pytest.mark.parametrize("rare", [{"coalescer": "none"}, {"coalescer": "minority", "minority.min_fraction": 0.3}])
@pytest.mark.parametrize("embedding", [{"embedding": "none"}, {"embedding": "learned", "learned.min_unique_values": 3}])
def test_codes_of_embedded_columns_stay_in_their_bounds(strategy, encoder, rare, embedding):
    settings = PLAIN | {"imputer.numerical": strategy, "encoder": encoder} | rare | embedding
    for table in (_mixed(), *ODD.values()):
        preprocessor = _fit(settings, table, "classification")
        weird = np.tile(np.array(WEIRD)[:, None], table[0].shape[1])
        for rows in (table[0], weird):
            output = preprocessor.transform(rows)
            _assert_good(output, len(rows), preprocessor)
            for i, cardinality in enumerate(preprocessor.cardinalities[::-1], start=1):
                assert set(output[:, -i]) <= set(range(cardinality))
