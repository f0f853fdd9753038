import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import MinMaxScaler

from spectral_select import (
    FiedlerBatchSelector,
    FiedlerResampler,
    GuidedBatchSelector,
    GuidedResampler,
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


def test_fiedler_resampler_keeps_the_rows_of_the_selector_with_their_labels(digits):
    X, y = digits
    kept, labels = FiedlerResampler(0.5, candidate_size=100).fit_resample(X, y)
    indices = FiedlerBatchSelector(0.5, candidate_size=100).fit(X).sample_indices_
    assert np.array_equal(kept, X[indices])
    assert np.array_equal(labels, y[indices])


def test_guided_resampler_draws_the_rows_of_the_selector_with_their_labels(digits):
    X, y = digits
    options = {"filter_ratio": 0.5, "candidate_size": 100, "random_state": 3}
    kept, labels = GuidedResampler(**options).fit_resample(X, y)
    indices = GuidedBatchSelector(**options).fit(X, y).sample_indices_
    assert np.array_equal(kept, X[indices])
    assert np.array_equal(labels, y[indices])


@pytest.mark.parametrize(
    ("Resampler", "Selector"),
    [(FiedlerResampler, FiedlerBatchSelector), (GuidedResampler, GuidedBatchSelector)],
)
def test_parameters_are_those_of_the_selector(Resampler, Selector):
    assert Resampler().get_params() == Selector().get_params()
    assert not hasattr(Resampler, "transform")


def test_guided_resampler_drops_wrong_labels_in_a_pipeline(digits):
    X, y = digits
    rng = np.random.default_rng(1)
    wrong = rng.random(len(y)) < 0.2
    noisy = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    resampler = GuidedResampler(0.5, hardness_power=0)
    pipeline = make_pipeline(MinMaxScaler(), resampler, LogisticRegression(max_iter=200))
    pipeline.fit(X, noisy)
    assert wrong[pipeline[1].sample_indices_].mean() < 0.6 * wrong.mean()
    assert pipeline.predict(X).shape == (600,)
    assert pipeline.score(X, y) > 0.8


def test_guided_resampler_needs_labels(digits):
    with pytest.raises(ValueError, match="GuidedResampler requires y to be passed"):
        GuidedResampler().fit(digits[0])


def test_dataframes_and_series_stay_aligned(digits):
    X, y = digits
    kept, labels = FiedlerResampler().fit_resample(pd.DataFrame(X), pd.Series(y))
    assert kept.index.tolist() == labels.index.tolist()


def test_pipeline_drops_rows_in_fit_and_none_in_predict(digits):
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


@pytest.mark.parametrize("Resampler", [FiedlerResampler, GuidedResampler])
def test_rejects_labels_of_another_length(digits, Resampler):
    X, y = digits
    with pytest.raises(ValueError, match=r"y must have 600 rows.*got 599"):
        Resampler().fit_resample(X, y[:-1])
