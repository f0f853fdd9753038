import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import MinMaxScaler

from spectral_select import FiedlerBatchSelector, FiedlerResampler


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


def test_labels_come_along_and_the_choice_is_the_selectors(digits):
    X, y = digits
    kept, labels = FiedlerResampler(0.5, candidate_size=100).fit_resample(X, y)
    indices = FiedlerBatchSelector(0.5, candidate_size=100).fit(X).sample_indices_
    assert np.array_equal(kept, X[indices])
    assert np.array_equal(labels, y[indices])


def test_parameters_are_the_selectors():
    assert FiedlerResampler().get_params() == FiedlerBatchSelector().get_params()


def test_frames_and_series(digits):
    X, y = digits
    kept, labels = FiedlerResampler().fit_resample(pd.DataFrame(X), pd.Series(y))
    assert kept.index.tolist() == labels.index.tolist()


def test_in_a_pipeline_it_drops_rows_in_fit_and_none_in_predict(digits):
    X, y = digits
    pipeline = make_pipeline(
        MinMaxScaler(),
        FiedlerResampler(0.5, rule="stratified", laplacian="symmetric"),
        LogisticRegression(max_iter=200),
    )
    pipeline.fit(X, y)
    assert len(pipeline[1].sample_indices_) == 300
    assert pipeline.predict(X).shape == (600,)
    assert pipeline.score(X, y) > 0.9
    search = GridSearchCV(pipeline, {"fiedlerresampler__filter_ratio": [0.2, 0.9]}, cv=2).fit(X, y)
    assert search.best_params_ == {"fiedlerresampler__filter_ratio": 0.2}


def test_lengths_that_differ(digits):
    X, y = digits
    with pytest.raises(ValueError, match=r"y must have 600 rows.*got 599"):
        FiedlerResampler().fit_resample(X, y[:-1])
