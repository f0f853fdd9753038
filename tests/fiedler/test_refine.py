import numpy as np
import pytest
from oracle import algorithm_1_laplacian

from spectral_select import fiedler_vector
from spectral_select._fiedler.graph import cosine_graph
from spectral_select._fiedler.refine import refine


def clusters(n, d, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.abs(rng.standard_normal((10, d)))
    X = centers[rng.integers(10, size=n)] + 0.5 * rng.standard_normal((n, d))
    return np.abs(X).astype(np.float32)


def signed(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32) + 0.3


def exact_vector(X):
    """Return the lowest eigenvector orthogonal to 1, whatever the signs of the eigenvalues."""
    return np.linalg.eigh(algorithm_1_laplacian(X) + 10.0)[1][:, 0]  # 1 gets the eigenvalue 10·n


def distance(vector, exact):
    return min(np.linalg.norm(vector - exact), np.linalg.norm(vector + exact))


def run(X, settles, start=None):
    result = fiedler_vector(X)
    start = result.vector if start is None else start
    return refine(X, cosine_graph(X[None]), 0, start, 2 * result.gap, settles)


@pytest.mark.parametrize("features", [clusters, signed])
@pytest.mark.parametrize("shape", [(40, 300), (300, 300), (500, 60), (900, 40)])
def test_reaches_float64_accuracy(features, shape):
    X = features(*shape)
    vector = run(X, lambda vector, bound: bound < 1e-9)
    assert vector is not None
    assert vector.dtype == np.float64
    assert distance(vector, exact_vector(X)) < 1e-9


@pytest.mark.parametrize("features", [clusters, signed])
@pytest.mark.parametrize("shape", [(40, 300), (300, 300), (500, 60)])
@pytest.mark.parametrize("noise", [0, 1e-4])
def test_bound_holds_at_every_iterate(features, shape, noise):
    X = features(*shape)
    exact = exact_vector(X)
    rng = np.random.default_rng(1)
    start = fiedler_vector(X).vector + noise * rng.standard_normal(shape[0], dtype=np.float32)
    seen = []

    def settles(vector, bound):
        seen.append((distance(vector, exact), bound))
        return False

    assert run(X, settles, start) is None
    assert len(seen) > 3
    roundoff = 1e-11  # roundoff in the float64 oracle
    assert all(error <= bound + roundoff for error, bound in seen)
    assert seen[-1][1] < 1e-9


def test_rows_of_zeros_and_extreme_scales():
    X = clusters(200, 80)
    exact = run(X, lambda vector, bound: bound < 1e-9)
    scaled = X * np.float32(2) ** np.random.default_rng(0).integers(-30, 30, (200, 1))
    again = run(scaled.astype(np.float32), lambda vector, bound: bound < 1e-9)
    assert distance(again, exact) < 1e-8
    X[7] = 0
    assert run(X, lambda vector, bound: True) is not None


def test_leaves_its_input_unchanged():
    X = clusters(120, 40)
    result = fiedler_vector(X)
    before = X.copy(), result.vector.copy()
    refine(X, cosine_graph(X[None]), 0, result.vector, 2 * result.gap, lambda vector, bound: False)
    assert np.array_equal(X, before[0])
    assert np.array_equal(result.vector, before[1])
