"""Outlier scores: planted outliers rank first, and clean data have few outliers."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.metrics import roc_auc_score

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._inspection.outliers import is_outlier, outlier_scores

DATA = {load.__name__: load().data for load in (load_digits, load_wine, load_breast_cancer)}


def planted(X, kind, seed=0):
    """Add 3% of rows that are random, or whose entries come from different rows."""
    rng = np.random.default_rng(seed)
    n = max(5, round(0.03 * len(X)))
    if kind == "random":
        odd = rng.normal(X.mean(0), X.std(0), (n, X.shape[1]))
    else:
        odd = np.column_stack([rng.permutation(column)[:n] for column in X.T])
    return np.vstack([X, odd]), np.r_[np.zeros(len(X), bool), np.ones(n, bool)]


@pytest.mark.parametrize("kind", ["random", "mixed"])
@pytest.mark.parametrize("name", DATA)
def test_planted_outliers_rank_first(name, kind):
    X, odd = planted(DATA[name], kind)
    scores = outlier_scores(Rows(X), 1024, 0)
    assert roc_auc_score(odd, scores) > 0.9
    flagged = is_outlier(scores)
    assert flagged[odd].mean() > 5 * flagged[~odd].mean()


@pytest.mark.parametrize("X", [*DATA.values(), load_iris().data], ids=[*DATA, "load_iris"])
def test_few_samples_of_clean_data_are_outliers(X):
    assert is_outlier(outlier_scores(Rows(X), 1024, 0)).mean() < 0.06


def test_scores_have_a_fixed_scale():
    scores = outlier_scores(Rows(DATA["load_digits"]), 256, 0)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.median(scores) == pytest.approx(0.5)


def test_landmarks_do_not_count_themselves():
    X = DATA["load_digits"]
    scores = outlier_scores(Rows(X), 300, 0)
    landmarks = np.sort(np.random.default_rng(0).permutation(len(X))[:300])
    others = np.setdiff1d(np.arange(len(X)), landmarks)
    assert np.median(scores[landmarks]) == pytest.approx(np.median(scores[others]), abs=0.05)


@pytest.mark.parametrize("X", [np.zeros((20, 3)), np.eye(20), np.array([[0.0], [1.0]])])
def test_data_without_structure_has_no_outliers(X):
    scores = outlier_scores(Rows(X), 1024, 0)
    assert np.isfinite(scores).all()
    assert not is_outlier(scores).any()
