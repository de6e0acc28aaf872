"""Small tables whose preprocessing can be done by hand, and the golden pair: the general path in LCBench's settings = LCBench's own."""

import numpy as np
import pandas as pd
import pytest

from lcbench.errors import UserError
from lcbench.task import TaskInfo
from pipeline.preprocessing.coalescer import MERGED, Coalescer
from pipeline.preprocessing.columns import Columns
from pipeline.preprocessing.encoding import MAX_INDICATORS, EmbeddingCodes
from pipeline.preprocessing.preprocessor import CHUNK, LARGEST, Preprocessor
from pipeline.tasks import BUNDLED, Task, bundled_task
from tests.pipeline.preprocessing.reference import lcbench_arrays, numbers

PLAIN = {
    "imputer.numerical": "mean",
    "coalescer": "none",
    "encoder": "one_hot",
    "scaler": "none",
    "preprocessor": "none",
    "embedding": "none",
}
LCBENCH = PLAIN | {"encoder": "ordinal", "scaler": "standard"}
LEARNED = {"embedding": "learned", "learned.min_unique_values": 3, "learned.dimension_reduction": 0.5}
NAN = np.nan


def fitted(train, nominal=None, y=None, **settings) -> Preprocessor:
    train = np.array(train, float)
    nominal = np.zeros(train.shape[1], bool) if nominal is None else np.array(nominal, bool)
    y = np.arange(len(train)) % 2 if y is None else y
    return Preprocessor(PLAIN | {key.replace("__", "."): value for key, value in settings.items()}, nominal, "classification", 1).fit(
        train, y
    )


def applied(preprocessor, rows) -> list[list[float]]:
    output = preprocessor.transform(np.array(rows, float))
    assert output.dtype == np.float32 and output.shape == (len(rows), preprocessor.n_columns)
    return output.tolist()


def _mixed_task() -> Task:
    """A made-up table with every kind of column: numbers, dates, categories, missing cells, nothing in training, constant."""
    rng = np.random.default_rng(3)
    n = 300
    X = pd.DataFrame(
        {
            "number": rng.lognormal(size=n) * 1e4,
            "whole": rng.integers(0, 9, n),
            "constant": 0.1,
            "seconds": 1.6e9 + rng.integers(0, 10**7, n),
            "letter": pd.Categorical(rng.choice(list("abcd"), n), categories=list("dcbaz")),
            "only_test": np.r_[np.full(200, NAN), np.ones(100)],
        }
    )
    X.loc[::7, "number"] = NAN
    X.loc[3, "number"] = np.inf
    X.loc[::5, "letter"] = None
    rows = rng.permutation(200)
    info = TaskInfo("mixed", "classification", None, 0, "made up", 130, 70, 100, 6, 3, 1)
    return Task(info, X, rng.integers(0, 3, n), ("x", "y", "z"), rows[:130], rows[130:], np.arange(200, 300))


@pytest.mark.parametrize("name", [*BUNDLED, "mixed"])
def test_lcbench_settings_give_what_lcbench_got_bit_for_bit(name):
    task = _mixed_task() if name == "mixed" else bundled_task(name)
    columns = Columns.of(task.X)
    raw = columns.read(task.X)
    preprocessor = Preprocessor(LCBENCH, columns.nominal, task.info.kind, 7).fit(raw[task.train], task.y[task.train])
    expected = lcbench_arrays(task)
    for split, rows in (("train", task.train), ("val", task.val), ("test", task.test)):
        assert preprocessor.transform(raw[rows]).tobytes() == expected[split].tobytes()
    assert preprocessor.cardinalities == ()


@pytest.mark.parametrize(("strategy", "value"), [("mean", 3.0), ("median", 2.0), ("most_frequent", 1.0), ("constant_zero", 0.0)])
def test_missing_numbers(strategy, value):
    preprocessor = fitted([[1], [1], [NAN], [3], [7]], imputer__numerical=strategy)
    assert applied(preprocessor, [[NAN], [np.inf], [-np.inf], [5]]) == [[value]] * 3 + [[5]]


def test_columns_without_a_training_value_are_dropped():
    preprocessor = fitted([[NAN, 1, NAN], [NAN, 2, NAN]], nominal=[False, False, True])
    assert applied(preprocessor, [[5, 6, 0]]) == [[6]]


def test_a_table_without_values_is_refused():
    with pytest.raises(UserError, match=r"^none of the 2 columns has a value in the 3 training rows: give a table with features$"):
        fitted([[NAN, np.inf]] * 3)


def test_another_number_of_columns_is_refused():
    with pytest.raises(ValueError, match="the table has 1 columns, but 2 were fitted"):
        fitted([[1, 2], [3, 4]]).transform(np.ones((1, 1)))


def test_numbers_come_first_then_indicators_with_missing_and_unseen_categories():
    preprocessor = fitted([[0, 5], [2, 6], [NAN, 7]], nominal=[True, False], scaler="min_max")
    assert applied(preprocessor, [[0, 5], [2, 6], [NAN, 7], [1, 9]]) == [[0, 1, 0, 0], [0.5, 0, 1, 0], [1, 0, 0, 1], [2, 0, 0, 0]]


def test_a_category_missing_only_later_counts_as_unseen():
    assert applied(fitted([[0], [1]], nominal=[True]), [[0], [NAN]]) == [[1, 0], [0, 0]]


def test_the_rarest_of_many_categories_share_an_indicator():
    train = np.r_[np.repeat(np.arange(MAX_INDICATORS - 1), 2), np.arange(MAX_INDICATORS - 1, 200)][:, None]
    preprocessor = fitted(train, nominal=[True])
    output = np.array(applied(preprocessor, [[0], [150], [199], [777]]))
    assert output.shape == (4, MAX_INDICATORS)
    assert output.argmax(1).tolist() == [0] + [MAX_INDICATORS - 1] * 3 and (output.sum(1) == 1).all()


def test_ordinal_codes_count_as_numbers():
    preprocessor = fitted([[0, 1], [2, 2], [NAN, 3]], nominal=[True, False], encoder="ordinal")
    assert applied(preprocessor, [[2, 1], [NAN, 1], [3, 1]]) == [[2, 1], [1, 1], [3, 1]]


def test_rare_categories_become_one():
    codes = np.array([[0.0]] * 6 + [[1]] * 3 + [[2], [3]] + [[NAN]])
    coalescer = Coalescer(0.2).fit(codes)
    later = np.array([[0.0], [1], [2], [3], [9], [NAN]])
    assert np.array_equal(coalescer.transform(later)[:, 0], [0, 1, MERGED, MERGED, MERGED, NAN], equal_nan=True)
    assert later[2] == 2
    merged = {"coalescer": "minority", "minority__min_fraction": 0.2}
    assert applied(fitted(codes, nominal=[True], **merged), later) == [[0, 1, 0, 0], [0, 0, 1, 0]] + [[1, 0, 0, 0]] * 3 + [[0, 0, 0, 1]]
    assert applied(fitted(codes, nominal=[True], encoder="ordinal", **merged), later)[2:5] == [[MERGED]] * 3
    assert fitted(codes, nominal=[True], **merged, **LEARNED).cardinalities == (4,)  # 0, 1, the merged ones; and unknown


def test_embedding_codes():
    codes = EmbeddingCodes().fit(np.array([[4.0], [2], [NAN], [4]]))
    assert codes.cardinalities == (3,)
    assert codes.transform(np.array([[2.0], [4], [NAN], [3], [99]]))[:, 0].tolist() == [1, 2, 0, 0, 0]


def test_columns_with_many_values_go_to_embeddings_at_the_end_and_unscaled():
    train = [[0, 10, 0], [1, 20, 1], [2, 30, 0], [5, 40, 1]]
    preprocessor = fitted(train, nominal=[True, False, True], scaler="standard", **LEARNED)
    assert preprocessor.cardinalities == (5,)
    output = applied(preprocessor, [[5, 25, 1], [4, 25, 0], [NAN, 25, NAN]])
    assert output == [[0, 0, 1, 4], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert fitted(train, nominal=[True, False, True], **LEARNED | {"learned.min_unique_values": 5}).cardinalities == ()
    assert fitted(train, nominal=[True, False, True], encoder="ordinal", **LEARNED).cardinalities == ()


@pytest.mark.parametrize("preprocessor", ["none", "pca", "truncated_svd", "select_rates"])
def test_a_table_of_embedded_columns_alone(preprocessor):
    own = {"pca.keep_variance": 0.9, "pca.whiten": False, "truncated_svd.target_dim": 10}
    own |= {"select_rates.alpha": 0.1, "select_rates.score": "f", "select_rates.mode": "fpr"}
    fit = fitted([[0], [1], [2]], nominal=[True], **LEARNED, preprocessor=preprocessor, **own)
    assert fit.cardinalities == (4,)
    assert applied(fit, [[2], [7]]) == [[3], [0]]


def test_feature_preprocessors_see_everything_but_the_embedded_codes():
    rng = np.random.default_rng(0)
    train = np.column_stack([rng.integers(0, 5, 50), rng.integers(0, 2, 50), rng.normal(size=(50, 2))])
    own = {"truncated_svd.target_dim": 10, "preprocessor": "truncated_svd"}
    preprocessor = fitted(train, nominal=[True, True, False, False], **LEARNED, **own)
    output = np.array(applied(preprocessor, train))
    assert output.shape == (50, 3 + 1)  # two numbers and two indicators less one; one embedded column
    assert (output[:, -1] == train[:, 0] + 1).all()


def test_constant_columns_become_zero_when_standardised():
    assert applied(fitted([[3.0], [3.0]], scaler="standard"), [[3.0], [4.0]]) == [[0], [1]]


def test_numbers_that_float32_cannot_hold_are_clipped():
    assert applied(fitted([[1.0], [2.0]]), [[1e300], [-1e300]]) == [[np.float32(LARGEST)], [-np.float32(LARGEST)]]


def test_rows_beyond_a_chunk_are_transformed_alike():
    rows = np.random.default_rng(0).normal(size=(2 * CHUNK + 5, 2))
    preprocessor = fitted(rows[:10], scaler="standard")
    whole = preprocessor.transform(rows)
    assert np.array_equal(whole[CHUNK - 3 : CHUNK + 3], preprocessor.transform(rows[CHUNK - 3 : CHUNK + 3]))
    assert preprocessor.transform(rows[:0]).shape == (0, 2)


def test_fitting_leaves_the_raw_table_alone():
    task = _mixed_task()
    raw = numbers(task.X)
    before = raw.copy()
    settings = LCBENCH | {"coalescer": "minority", "minority.min_fraction": 0.4}
    Preprocessor(settings, Columns.of(task.X).nominal, "classification", 1).fit(raw, task.y).transform(raw)
    assert np.array_equal(raw, before, equal_nan=True)
