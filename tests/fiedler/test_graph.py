import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import laplacian
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity
from strategies import features

from spectral_select._fiedler.graph import (
    DenseGraph,
    FactoredGraph,
    SparseGraph,
    cosine_graph,
    laplacian_operator,
    sparse_cosine_graph,
)


def dense(operator):
    """Return the Laplacian of the first graph in a stack, column by column."""
    a = operator.diagonal
    eye = np.eye(a.shape[-1], dtype=a.dtype)
    return np.diag(a[0]) - operator.affinity_dot(eye[None])[0]


def tolerance(L):
    return 50 * len(L) * np.finfo(L.dtype).eps * max(1, np.abs(L).max())


@given(features(), st.booleans())
def test_rows_of_the_laplacian_sum_to_zero_and_it_is_symmetric(X, factored):
    L = dense(laplacian_operator(cosine_graph(X[None], factored=factored), "unnormalized"))
    assert np.abs(L.sum(axis=1)).max() <= tolerance(L)
    assert np.abs(L - L.T).max() <= tolerance(L)


@given(features(nonnegative=True), st.booleans(), st.sampled_from(["unnormalized", "symmetric"]))
def test_positive_semidefinite_when_no_similarity_is_negative(X, factored, kind):
    L = dense(laplacian_operator(cosine_graph(X[None], factored=factored), kind))
    assert np.linalg.eigvalsh(L.astype(np.float64)).min() >= -tolerance(L)


@given(features(nonnegative=True, plain=True), st.sampled_from(["unnormalized", "symmetric"]))
def test_agrees_with_the_definition(X, kind):
    for factored in (False, True):
        L = dense(laplacian_operator(cosine_graph(X[None], factored=factored), kind))
        assert np.abs(L - laplacian(X, kind)).max() <= tolerance(L)


@given(features())
def test_affinity_is_scikit_learns_cosine_similarity(X):
    identity = np.eye(len(X), dtype=X.dtype)
    expected = cosine_similarity(X.astype(np.float64))
    for graph in (cosine_graph(X[None], factored=False), cosine_graph(X[None], factored=True)):
        S = graph.dot(identity[None])[0]
        assert np.abs(S - expected).max() <= 100 * np.finfo(X.dtype).eps


@given(features(), st.sampled_from(["unnormalized", "symmetric"]))
def test_null_vector_is_a_unit_eigenvector_of_zero(X, kind):
    operator = laplacian_operator(cosine_graph(np.abs(X)[None]), kind)
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
def test_normalized_laplacian_of_negative_degrees(kind):
    X = np.array([[1.0, 0.0], [-1.0, 0.1], [-1.0, -0.1]])
    with pytest.raises(ValueError, match=f"laplacian='{kind}' needs.*row 0 of X has degree -0.99"):
        laplacian_operator(cosine_graph(X[None]), kind)


def test_isolated_vertex_has_a_row_of_zeros():
    X = np.array([[1.0, 0.2], [0.0, 0.0], [0.3, 1.0]])
    L = dense(laplacian_operator(cosine_graph(X[None]), "symmetric"))
    assert not L[1].any()
    assert not L[:, 1].any()
