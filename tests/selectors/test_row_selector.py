import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from spectral_select import FiedlerBatchSelector, GuidedBatchSelector

X = np.random.default_rng(0).random((40, 3))
Y = np.arange(40) % 2
LIBRARY = {"pandas": pd, "polars": pl}


def tables(width):
    values = np.random.default_rng(1).random((40, width))
    names = [f"name{i}" for i in range(width)]
    yield values, None
    yield pd.DataFrame(values, columns=names), names
    yield pl.DataFrame(values, schema=names), names


@pytest.mark.parametrize("container", LIBRARY)
@pytest.mark.parametrize("selector", [FiedlerBatchSelector(), GuidedBatchSelector()])
@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("globally", [False, True])
def test_output_container_holds_for_tables_of_other_width(container, selector, width, globally):
    fitted = type(selector)().fit(X, Y)
    if not globally:
        fitted.set_output(transform=container)
    for table, names in tables(width):
        with config_context(transform_output=container if globally else None):
            rows = fitted.transform(table)
        assert isinstance(rows, LIBRARY[container].DataFrame)
        assert names is None or list(rows.columns) == names
        assert np.array_equal(rows.to_numpy(), np.asarray(table)[fitted.sample_indices_])


@pytest.mark.parametrize("container", LIBRARY)
def test_output_container_keeps_names_of_fit(container):
    frame = pd.DataFrame(X, columns=list("abc"))
    selector = FiedlerBatchSelector().set_output(transform=container)
    assert list(selector.fit_transform(frame).columns) == list("abc")
    assert list(selector.fit(frame).transform(frame).columns) == list("abc")


def test_default_output_is_the_container_of_the_table():
    selector = FiedlerBatchSelector().fit(X)
    values = np.random.default_rng(1).random((40, 5))
    for make in (np.asarray, pd.DataFrame, pl.DataFrame, sparse.csr_array, torch.tensor):
        assert type(selector.transform(make(values))) is type(make(values))


@pytest.mark.parametrize("selector", [FiedlerBatchSelector(), GuidedBatchSelector()])
def test_rejects_new_rows_and_suggests_a_remedy(selector):
    name = type(selector).__name__.replace("BatchSelector", "Resampler")
    with pytest.raises(ValueError, match=f"must have the 40 rows.*got 7.*use {name} in an imb"):
        selector.fit(X, Y).transform(X[:7])


def test_pipeline_that_predicts_suggests_a_remedy():
    pipeline = make_pipeline(GuidedBatchSelector(0), LogisticRegression()).fit(X, Y)
    with pytest.raises(ValueError, match="use GuidedResampler"):
        pipeline.predict(X[:7])
