"""near_pairs: compared with brute force, and on identical and indivisible rows."""

from unittest import mock

import numpy as np
import pytest
from sklearn.metrics import euclidean_distances

from spectral_select._dataset_graph import near_pairs as module
from spectral_select._dataset_graph.near_pairs import Points, near_pairs
from spectral_select._dataset_graph.similarity_graph import Rows


def clusters(n, d, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(20, 8))
    inner = centers[rng.integers(0, 20, n)] + 0.5 * rng.normal(size=(n, 8))
    return (inner @ rng.normal(size=(8, d))).astype(np.float32)


def exact(points):
    distances = euclidean_distances(points[np.arange(points.n)].astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    return distances


def pairs_within(distances, limit):
    return {(i, j) for i, j in np.argwhere(distances <= limit).tolist() if i < j}


@pytest.mark.parametrize(("n", "d"), [(600, 1), (600, 3), (600, 20), (900, 40)])
def test_one_cell_or_a_tree_is_exact(n, d):
    points = Points(Rows(clusters(n, d)))
    distances = exact(points)
    limit = float(np.quantile(distances.min(1), 0.5))
    found = near_pairs(points, limit, 0, most=n)
    within = pairs_within(distances, limit - 1e-5), pairs_within(distances, limit + 1e-5)
    assert within[0] <= set(map(tuple, found.pairs.tolist())) <= within[1]
    np.testing.assert_allclose(found.nearest, distances.min(1), atol=1e-3)


def test_many_cells_find_most_pairs():
    points = Points(Rows(clusters(6000, 40)))
    distances = exact(points)
    limit = float(np.quantile(distances.min(1), 0.2))
    found = near_pairs(points, limit, 0)
    expected = pairs_within(distances, limit)
    assert len(expected & set(map(tuple, found.pairs.tolist()))) > 0.97 * len(expected)
    assert len(np.unique(found.pairs, axis=0)) == len(found.pairs)
    np.testing.assert_allclose(found.distances, distances[tuple(found.pairs.T)], atol=1e-5)
    assert found.nearest.mean() < 1.01 * distances.min(1).mean()
    assert (found.nearest > distances.min(1) - 1e-3).all()


@pytest.mark.parametrize("d", [5, 40])
def test_identical_rows_are_paired(d):
    X = clusters(4000, d)
    X[3000:] = X[:1000]
    found = near_pairs(Points(Rows(X)), 0.0, 0)
    np.testing.assert_array_equal(found.pairs, np.c_[np.arange(1000), np.arange(3000, 4000)])
    assert (found.nearest[np.r_[:1000, 3000:4000]] == 0).all()
    assert (found.nearest[1000:3000] > 0).all()


@pytest.mark.parametrize("d", [3, 40])
def test_all_rows_equal(d):
    """Equal rows cannot be divided, and each has more pairs than are kept."""
    with mock.patch.multiple(module, _LEAF_ROWS=64, _CELL_ROWS=32):
        found = near_pairs(Points(Rows(np.ones((300, d), np.float32))), 0.1, 0, most=4)
    assert (found.nearest == 0).all()
    assert 300 * 4 / 2 <= len(found.pairs) <= 300 * 4
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_few_rows(n, d):
    found = near_pairs(Points(Rows(clusters(n, d))), 100.0, 0)
    assert found.pairs.tolist() == [[i, j] for i in range(n) for j in range(i + 1, n)]
    assert found.nearest.shape == (n,)
    assert np.isinf(found.nearest).all() == (n == 1)


def test_second_dataset_follows_the_first():
    X = clusters(500, 40)
    first = Rows(X[:300])
    points = Points(first, Rows(X[300:], like=first))
    both = points[np.array([499, 0, 300])]
    direct = Points(Rows(X, like=first))[np.array([499, 0, 300])]
    np.testing.assert_array_equal(both, direct)
    assert points.n == 500


def test_distance_depends_on_length_and_direction():
    rows = np.array([[1.0, 2.0], [2.0, 4.0], [-3.0, 1.0], [1.01, 2.02]])
    points = Points(Rows(rows - rows.mean(0)))
    squared = euclidean_distances(points[np.arange(4)], squared=True)
    Z = Rows(rows - rows.mean(0))[slice(None)].astype(float)
    lengths = np.linalg.norm(Z, axis=1)
    close = np.square(Z[0] - Z[3]).sum() / (lengths[0] * lengths[3])
    assert squared[0, 3] == pytest.approx(close, rel=0.05)
