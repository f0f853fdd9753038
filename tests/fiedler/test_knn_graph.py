import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import cosine_similarity
from strategies import features

from spectral_select import FiedlerBatchSelector, Status, fiedler_vector
from spectral_select._fiedler.knn_graph import components, neighbor_affinity


@given(features(min_rows=1))
def test_affinity_is_symmetric_sparse_and_nonnegative(X):
    W = neighbor_affinity(X, 3)
    assert (W != W.T).nnz == 0
    assert (W.data > 0).all()
    assert W.diagonal().tolist() == [0] * len(X)
    assert W.nnz <= 6 * len(X)


def test_edges_join_nearest_neighbors_by_their_similarity():
    X = np.random.default_rng(0).random((30, 4))
    S = cosine_similarity(X)
    np.fill_diagonal(S, -1)
    W = neighbor_affinity(X, 2).toarray()
    nearest = np.argsort(-S, axis=1)[:, :2]
    linked = np.zeros_like(S, bool)
    linked[np.arange(30)[:, None], nearest] = True
    linked |= linked.T
    assert np.array_equal(W > 0, linked)
    np.testing.assert_allclose(W[linked], S[linked])


@pytest.mark.parametrize("kind", ["unnormalized", "symmetric", "random_walk"])
def test_connected_graph_agrees_with_a_full_decomposition(kind):
    X = np.random.default_rng(1).random((300, 3))
    W = neighbor_affinity(X, 12).toarray()
    d = W.sum(axis=1)
    L = np.diag(d) - W
    if kind != "unnormalized":
        L = L / np.sqrt(np.outer(d, d))
    values, vectors = np.linalg.eigh(L)
    v = vectors[:, 1] / (np.sqrt(d) if kind == "random_walk" else 1)
    v /= np.linalg.norm(v)
    result = fiedler_vector(X, affinity="nearest_neighbors", n_neighbors=12, laplacian=kind)
    assert result.status == Status.CONVERGED
    assert result.value == pytest.approx(values[1], rel=1e-6)
    assert min(np.linalg.norm(result.vector - v), np.linalg.norm(result.vector + v)) < 1e-5


def blocks(sizes, seed=0):
    """Features in mutually orthogonal groups of the given sizes, each at least 2."""
    rng = np.random.default_rng(seed)
    X = np.zeros((sum(sizes), 2 * len(sizes)))
    start = 0
    for i, size in enumerate(sizes):
        X[start : start + size, 2 * i : 2 * i + 2] = rng.random((size, 2)) + 0.1
        start += size
    return X


@pytest.mark.parametrize("kind", ["unnormalized", "symmetric", "random_walk"])
@pytest.mark.parametrize("sizes", [(20, 10), (5, 30, 10), (200, 100, 60)])
def test_disconnected_graph_separates_its_largest_component(kind, sizes):
    X = blocks(sizes)
    result = fiedler_vector(X, affinity="nearest_neighbors", n_neighbors=60, laplacian=kind)
    assert result.status == Status.DISCONNECTED
    assert "largest component" in result.status.message
    assert result.value == 0
    labels = components(neighbor_affinity(X, 60))
    inside = labels == np.bincount(labels).argmax()
    assert inside.sum() == max(sizes)
    assert len(set(np.sign(result.vector[inside]))) == 1
    assert np.sign(result.vector[inside][0]) == -np.sign(result.vector[~inside]).max()
    # The vector is an eigenvector for eigenvalue 0, orthogonal to the trivial one.
    W = neighbor_affinity(X, 60).toarray()
    d = W.sum(axis=1)
    v, trivial = result.vector, np.ones(len(X))
    L = np.diag(d) - W
    if kind == "symmetric":
        L, trivial = L / np.sqrt(np.outer(d, d)), np.sqrt(d)
    assert np.abs(L @ v).max() < 1e-9
    if kind != "random_walk":
        assert abs(v @ trivial) < 1e-9


@pytest.mark.parametrize("kind", ["unnormalized", "symmetric", "random_walk"])
def test_isolated_vertices(kind):
    W = np.zeros((5, 5))
    W[0, 1] = W[1, 0] = W[1, 2] = W[2, 1] = 1.0
    for affinity in (W, np.zeros((5, 5))):
        result = fiedler_vector(sparse.csr_array(affinity), affinity="precomputed", laplacian=kind)
        assert result.status == Status.DISCONNECTED
        assert np.linalg.norm(result.vector) == pytest.approx(1)


def test_selector_on_a_neighbor_graph():
    X = np.random.default_rng(0).random((120, 4))
    selector = FiedlerBatchSelector(affinity="nearest_neighbors", n_neighbors=15, candidate_size=60)
    kept = selector.fit(X).sample_indices_
    assert len(kept) == 24
    for other in (torch.from_numpy(X), sparse.csr_array(X)):
        assert np.array_equal(selector.fit(other).sample_indices_, kept)
    with pytest.warns(ConvergenceWarning, match=r"1 of 1 candidate batches.*not connected"):
        FiedlerBatchSelector(affinity="nearest_neighbors", n_neighbors=2).fit(blocks((20, 20)))


def test_more_neighbors_than_rows():
    X = np.random.default_rng(0).random((4, 3))
    assert fiedler_vector(X, affinity="nearest_neighbors").status == Status.CONVERGED
    assert fiedler_vector(X[:1], affinity="nearest_neighbors").vector.tolist() == [0]


def test_rejects_stack_of_neighbor_graphs():
    with pytest.raises(ValueError, match=r"one batch of shape \(n, d\).*got shape \(2, 5, 3\)"):
        fiedler_vector(np.ones((2, 5, 3)), affinity="nearest_neighbors")


def test_error_names_the_nonfinite_row():
    X = np.random.default_rng(0).random((40, 3))
    X[39] = np.nan
    with pytest.raises(ValueError, match="X must be finite; row 39 holds NaN"):
        FiedlerBatchSelector(affinity="nearest_neighbors", candidate_size=39).fit(X)
    with pytest.raises(ValueError, match="X must be finite; row 39 holds NaN"):
        fiedler_vector(X, affinity="nearest_neighbors")
