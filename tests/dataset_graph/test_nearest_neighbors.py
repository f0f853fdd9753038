"""nearest_neighbors: compared with brute force, and on identical and indivisible rows."""

from unittest import mock

import numpy as np
import pytest
from sklearn.metrics import euclidean_distances

from spectral_select._dataset_graph import nearest_neighbors as module
from spectral_select._dataset_graph.nearest_neighbors import Points, nearest_neighbors
from spectral_select._dataset_graph.similarity_graph import Rows


def clusters(n, d, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(20, 8))
    inner = centers[rng.integers(0, 20, n)] + 0.5 * rng.normal(size=(n, 8))
    return (inner @ rng.normal(size=(8, d))).astype(np.float32)


def exact(points, k):
    every = points[np.arange(points.n)].astype(np.float64)
    distances = euclidean_distances(every)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1)[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize("d", [1, 3, 20])
def test_few_features_are_exact(d):
    points = Points(Rows(clusters(600, d)))
    found = nearest_neighbors(points, 5, 0)
    np.testing.assert_allclose(found.distances, exact(points, 5)[1], atol=1e-6)


def test_one_cell_is_exact():
    points = Points(Rows(clusters(900, 40)))
    found = nearest_neighbors(points, 7, 0)
    _, distances = exact(points, 7)
    np.testing.assert_allclose(found.distances, distances, atol=1e-3)


def test_many_cells_find_most_neighbors():
    points = Points(Rows(clusters(6000, 40)))
    found = nearest_neighbors(points, 10, 0)
    indices, distances = exact(points, 10)
    shared = np.mean([np.isin(a, b).mean() for a, b in zip(found.indices, indices, strict=True)])
    assert shared > 0.9
    assert found.distances.mean() < 1.01 * distances.mean()
    own = np.arange(points.n)[:, None]
    assert (found.indices != own).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert all(len(set(row)) == 10 for row in found.indices[::50].tolist())


def test_distances_are_those_of_the_pairs():
    points = Points(Rows(clusters(3000, 40)))
    found = nearest_neighbors(points, 4, 0)
    rows = points[np.arange(points.n)].astype(np.float64)
    for column in range(4):
        true = np.linalg.norm(rows - rows[found.indices[:, column]], axis=1)
        np.testing.assert_allclose(found.distances[:, column], true, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("d", [5, 40])
def test_identical_rows_find_each_other(d):
    X = clusters(4000, d)
    X[3000:] = X[:1000]
    found = nearest_neighbors(Points(Rows(X)), 3, 0)
    twin = np.r_[np.arange(3000, 4000), np.arange(1000)]
    rows = np.r_[np.arange(1000), np.arange(3000, 4000)]
    assert (found.indices[rows] == twin[:, None]).any(1).all()
    assert (found.distances[rows, 0] < 1e-6).all()


@pytest.mark.parametrize("d", [3, 40])
def test_rows_that_are_all_alike(d):
    with mock.patch.multiple(module, _LEAF_ROWS=64, _CELL_ROWS=32):
        found = nearest_neighbors(Points(Rows(np.ones((300, d), np.float32))), 4, 0)
    assert (found.distances == 0).all()
    assert (found.indices != np.arange(300)[:, None]).all()


def test_fewer_rows_than_neighbors():
    found = nearest_neighbors(Points(Rows(clusters(4, 40))), 10, 0)
    assert found.indices.shape == (4, 3)
    assert sorted(found.indices[0]) == [1, 2, 3]


def test_two_datasets_are_one_after_the_other():
    X = clusters(500, 40)
    first = Rows(X[:300])
    points = Points(first, Rows(X[300:], like=first))
    both = points[np.array([499, 0, 300])]
    direct = Points(Rows(X, like=first))[np.array([499, 0, 300])]
    np.testing.assert_array_equal(both, direct)
    assert points.n == 500


def test_length_counts_besides_direction():
    rows = np.array([[1.0, 2.0], [2.0, 4.0], [-3.0, 1.0], [1.01, 2.02]])
    points = Points(Rows(rows - rows.mean(0)))
    squared = euclidean_distances(points[np.arange(4)], squared=True)
    Z = Rows(rows - rows.mean(0))[slice(None)].astype(float)
    lengths = np.linalg.norm(Z, axis=1)
    close = np.square(Z[0] - Z[3]).sum() / (lengths[0] * lengths[3])
    assert squared[0, 3] == pytest.approx(close, rel=0.05)
