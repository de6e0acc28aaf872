"""The preprocessing of LCBench, written down plainly: what `Preprocessor` has to equal to the last bit with LCBench's settings."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def lcbench_arrays(task):
    """{split: (n, d) float32}: codes count as numbers, missing cells become the training mean, every column is standardised."""
    X = numbers(task.X)
    X = X[:, ~np.isnan(X[task.train]).all(axis=0)]
    transform = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
    transform.fit(X[task.train])
    return {split: transform.transform(X[getattr(task, split)]).astype(np.float32) for split in ("train", "val", "test")}


def numbers(X):
    """Every column as numbers: codes for categories, NaN (also for infinities) where a cell is missing."""
    columns = []
    for name in X.columns:
        column = X[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy().astype(np.float64)
            columns.append(np.where(codes < 0, np.nan, codes))
        else:
            values = column.to_numpy(np.float64, na_value=np.nan)
            columns.append(np.where(np.isfinite(values), values, np.nan))
    return np.column_stack(columns)
