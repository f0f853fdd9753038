"""Near-duplicates: planted copies, copies in another dataset, and no chance findings."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._inspection.near_duplicates import find_near_duplicates


def clusters(n, d, seed=0):
    rng = np.random.default_rng(seed)
    inner = rng.normal(size=(20, 12))[rng.integers(0, 20, n)] + rng.normal(size=(n, 12))
    return (inner @ rng.normal(size=(12, d)) + 0.3 * rng.normal(size=(n, d))).astype(np.float32)


def find(X, other=None, similarity=None):
    return find_near_duplicates(X, Rows(X), other, similarity, 0)


@pytest.mark.parametrize("d", [10, 60])
@pytest.mark.parametrize("copies", [1, 30])
def test_planted_copies_form_groups(d, copies):
    X = clusters(2500, d)
    scale = 0.01 * X.std(0) / np.sqrt(d)
    rng = np.random.default_rng(1)
    near = np.vstack([X[:50] + scale * rng.normal(size=(50, d)) for _ in range(copies)])
    found = find(np.vstack([X, near]).astype(np.float32))
    group = found.group
    assert (group[:50] >= 0).all()
    assert len(set(group[:50])) == 50
    assert np.array_equal(group[2500:], np.tile(group[:50], copies))
    assert (group[50:2500] >= 0).mean() < 0.005
    assert not found.exact.any()
    assert (found.similarity[:50] > found.least_similarity).all()


def test_copies_of_half_of_the_data_do_not_hide_each_other():
    X = clusters(1500, 60)
    X = np.vstack([X, X + 0.01 * np.random.default_rng(1).normal(size=X.shape)])
    found = find(X.astype(np.float32))
    assert np.mean(found.group[:1500] == found.group[1500:]) > 0.99


@pytest.mark.parametrize("d", [2, 40])
def test_exact_copies_are_always_found(d):
    X = clusters(3000, d)
    X[100:400] = X[0]  # more copies than a sample has neighbors
    X[5] = X[2000]
    found = find(X)
    members = np.r_[0, 100:400]
    assert len(set(found.group[members])) == 1
    assert found.group[0] == 0
    assert found.group[5] == found.group[2000] >= 0
    assert np.array_equal(np.flatnonzero(found.exact), np.sort(np.r_[members, 5, 2000]))
    assert found.similarity[5] == 1


@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer])
def test_few_near_duplicates_by_chance(load):
    found = find(load().data)
    assert (found.group >= 0).mean() < 0.005


@pytest.mark.parametrize("d", [1, 2, 5, 20, 100])
def test_few_near_duplicates_by_chance_in_any_dimension(d):
    found = find(np.random.default_rng(d).normal(size=(2000, d)))
    assert (found.group >= 0).mean() < 0.01


@pytest.mark.parametrize("d", [4, 60])
def test_copies_in_another_dataset(d):
    X, other = clusters(2000, d), clusters(800, d, seed=5)
    other[300:350] = X[:50]
    other[400:410] = X[50:60] * np.float32(1.0001)
    found = find(X, other)
    assert np.array_equal(found.across[:60], np.r_[300:350, 400:410])
    assert (found.across[60:] >= 0).mean() < 0.01
    assert np.array_equal(np.flatnonzero(found.group[:60] >= 0), [])
    assert not found.exact.any()


def test_the_threshold_given_is_used():
    X = clusters(1000, 60)
    few, many = find(X, similarity=0.99), find(X, similarity=0.5)
    assert (few.group >= 0).sum() < (many.group >= 0).sum()
    assert many.least_similarity == pytest.approx(0.5)


def test_sparse_and_dense_rows_agree():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((400, 50)) < 0.2, rng.random((400, 50)), 0.0)
    X[7] = X[300]
    found = find(sparse.csr_array(X))
    assert found.group[7] == found.group[300] >= 0
    assert found.exact[[7, 300]].all()


@pytest.mark.parametrize("n", [2, 5, 12])
def test_small_datasets(n):
    X = np.random.default_rng(0).normal(size=(n, 30))
    assert (find(X).group == -1).all()
    X[1] = X[0]
    assert np.array_equal(find(X).group[:2], [0, 0])


def test_signed_zeros_are_equal():
    found = find(np.array([[0.0, 1, 2], [-0.0, 1, 2], [3, 4, 5], [1, 7, 2]]))
    assert found.exact.tolist() == [True, True, False, False]
