import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import laplacian, similarities
from scipy import sparse
from strategies import features

from spectral_select._fiedler.graph import (
    DenseGraph,
    FactoredGraph,
    NonnegativeGraph,
    SparseGraph,
    cosine_graph,
    sparse_cosine_graph,
)
from spectral_select._fiedler.laplacian import NegativeDegreeError, laplacian_operator

KINDS = ["unnormalized", "symmetric"]


def operator_of(X, kind, factored=None):
    return laplacian_operator(NonnegativeGraph(cosine_graph(X[None], factored=factored)), kind)


def dense(operator):
    """Return A of the first graph of a stack, column by column."""
    a = operator.diagonal
    eye = np.eye(a.shape[-1], dtype=a.dtype)
    return np.diag(a[0]) - operator.affinity_dot(eye[None])[0]


def laplacian_of(operator):
    """Return scale·(A + shift·I), with the eigenvalue 0 for the trivial eigenvector."""
    A, null = dense(operator), operator.null[0]
    complement = np.eye(len(A)) - np.outer(null, null)
    return (operator.scale * (A + operator.shift * complement)).astype(A.dtype)


def tolerance(L):
    return 50 * len(L) * np.finfo(L.dtype).eps * max(1, np.abs(L).max())


@given(features(), st.booleans())
def test_rows_of_the_laplacian_sum_to_zero_and_it_is_symmetric(X, factored):
    L = dense(operator_of(X, "unnormalized", factored))
    assert np.abs(L.sum(axis=1)).max() <= tolerance(L)
    assert np.abs(L - L.T).max() <= tolerance(L)


@given(features(), st.booleans(), st.sampled_from(KINDS))
def test_positive_semidefinite_for_features_of_any_sign(X, factored, kind):
    L = laplacian_of(operator_of(X, kind, factored))
    assert np.linalg.eigvalsh(L.astype(np.float64)).min() >= -tolerance(L)


@given(features(plain=True), st.sampled_from(KINDS))
def test_agrees_with_the_definition(X, kind):
    for factored in (False, True):
        L = laplacian_of(operator_of(X, kind, factored))
        assert np.abs(L - laplacian(X, kind)).max() <= tolerance(L)


@given(features())
def test_affinity_is_scikit_learns_cosine_similarity(X):
    identity = np.eye(len(X), dtype=X.dtype)
    expected = similarities(X)
    for factored in (False, True):
        graph = cosine_graph(X[None], factored=factored)
        S, W = graph.dot(identity[None])[0], NonnegativeGraph(graph).dot(identity[None])[0]
        assert np.abs(S - expected).max() <= 100 * np.finfo(X.dtype).eps
        assert np.abs(W - (1 + expected) / 2).max() <= 100 * np.finfo(X.dtype).eps


@given(features(), st.booleans())
def test_degrees_are_the_sums_of_nonnegative_weights(X, factored):
    degrees = NonnegativeGraph(cosine_graph(X[None], factored=factored)).degrees[0]
    expected = ((1 + similarities(X)) / 2).sum(axis=1)
    np.testing.assert_allclose(degrees, expected, rtol=100 * len(X) * np.finfo(X.dtype).eps)
    assert (degrees >= 0.49).all()


@given(features(), st.sampled_from(KINDS))
def test_null_vector_is_a_unit_eigenvector_of_zero(X, kind):
    operator = operator_of(X, kind)
    null = operator.null
    product = operator.diagonal * null - operator.affinity_dot(null[:, None])[:, 0]
    assert np.linalg.norm(null[0]) == pytest.approx(1, abs=1e-5)
    assert np.abs(product).max() <= tolerance(np.diag(operator.diagonal[0]))


@pytest.mark.parametrize("magnitude", [1e-42, 1e-30, 1e-12, 1e15, 1e30, 3e38])
@pytest.mark.parametrize("factored", [False, True])
def test_no_overflow_and_no_underflow(magnitude, factored):
    X = np.abs(np.random.default_rng(0).standard_normal((6, 4))).astype(np.float32)
    expected = cosine_graph(X[None]).degrees
    X[::2] = (X[::2].astype(np.float64) / X.max() * magnitude).astype(np.float32)
    degrees = cosine_graph(X[None], factored=factored).degrees
    rough = 0.2 if magnitude < 1e-38 else 1e-5  # subnormal numbers have few digits
    np.testing.assert_allclose(degrees, expected, rtol=rough)


def test_row_of_zeros_has_similarity_zero_with_every_row():
    X = np.array([[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]])
    assert cosine_graph(X[None]).degrees[0, 1] == 0
    assert cosine_graph(X[None], factored=True).degrees[0, 1] == 0
    assert sparse_cosine_graph(sparse.csr_array(X)).degrees[0, 1] == 0


@given(features(nonnegative=True, plain=True))
def test_sparse_features_give_the_same_graph(X):
    X = X * (X > 0.5)
    graph = sparse_cosine_graph(sparse.csr_array(X))
    expected = cosine_graph(X[None])
    np.testing.assert_allclose(graph.degrees, expected.degrees, rtol=1e-4, atol=1e-5)


def test_chooses_the_cheaper_form():
    rng = np.random.default_rng(0)
    assert isinstance(cosine_graph(rng.random((1, 16, 8))), DenseGraph)
    assert isinstance(cosine_graph(rng.random((1, 17, 8))), FactoredGraph)


def test_precomputed_sparse_affinity():
    S = sparse.csr_array(np.array([[1.0, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 1]]))
    np.testing.assert_allclose(SparseGraph(S).degrees, S.sum(axis=1)[None])


@pytest.mark.parametrize("kind", ["symmetric", "random_walk"])
def test_rejects_precomputed_affinities_of_negative_degree(kind):
    S = similarities([[1.0, 0.0], [-1.0, 0.1], [-1.0, -0.1]])
    with pytest.raises(ValueError, match=f"laplacian='{kind}' requires.*row 0 of X sums to -0.99"):
        laplacian_operator(DenseGraph(S[None]), kind)


def test_error_can_be_pickled():
    error = NegativeDegreeError("symmetric", -1.5, 3)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_isolated_vertex_has_a_row_of_zeros():
    S = np.array([[1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, 1.0]])
    L = dense(laplacian_operator(DenseGraph(S[None]), "symmetric"))
    assert not L[1].any()
    assert not L[:, 1].any()
