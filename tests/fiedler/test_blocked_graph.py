import mmap

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from spectral_select import FiedlerBatchSelector, fiedler_vector
from spectral_select._fiedler.blocked_graph import BlockedGraph, mapped_file
from spectral_select._fiedler.graph import cosine_graph


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """Store and memory-map features, to be read in blocks of a few rows."""
    monkeypatch.setattr("spectral_select._fiedler.solve._BLOCKED_MIN_BYTES", 0)
    monkeypatch.setattr("spectral_select._fiedler.blocked_graph._BLOCK_BYTES", 1000)

    def store(X, mode="r"):
        np.save(tmp_path / "X.npy", X)
        return np.load(tmp_path / "X.npy", mmap_mode=mode)

    return store


def features(n=400, d=12, dtype=np.float32):
    return np.random.default_rng(0).random((n, d)).astype(dtype)


def test_view_of_a_mapped_file_is_recognized(mapped):
    X = mapped(features())
    for view in (X, np.asarray(X), X[3:50], X[None], np.asarray(X)[None]):
        assert mapped_file(view) is not None
    assert mapped_file(np.array(X)) is None
    assert mapped_file(mapped(features(), mode="c")) is None


def test_anonymous_memory_map_is_not_a_mapped_file():
    buffer = mmap.mmap(-1, 400 * 12 * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    X = np.ndarray((400, 12), np.float32, buffer=buffer)
    X[:] = features()
    assert mapped_file(X) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("laplacian", ["unnormalized", "symmetric", "random_walk"])
def test_mapped_features_give_the_result_of_those_in_memory(mapped, dtype, laplacian):
    X = features(dtype=dtype)
    expected = fiedler_vector(X, laplacian=laplacian)
    result = fiedler_vector(mapped(X), laplacian=laplacian)
    assert result.value == pytest.approx(expected.value, rel=1e-5)
    np.testing.assert_allclose(
        result.vector, expected.vector, atol=2 * (result.error_bound + expected.error_bound)
    )


def test_selector_reads_blocks_too(mapped):
    X = features()
    expected = FiedlerBatchSelector().fit(X.astype(np.float64))
    assert np.array_equal(FiedlerBatchSelector().fit(mapped(X)).sample_indices_,
                          expected.sample_indices_)  # fmt: skip


def test_product_is_scikit_learns_similarity(mapped):
    X = mapped(features(90, 4))
    v = np.random.default_rng(1).standard_normal((1, 3, 90)).astype(np.float32)
    graph = BlockedGraph(np.asarray(X)[None])
    np.testing.assert_allclose(graph.dot(v)[0], v[0] @ cosine_similarity(X), rtol=1e-4, atol=1e-4)


def test_extreme_magnitudes_and_rows_of_zeros(mapped):
    X = features(60, 5)
    X[::3] *= 1e-30
    X[1::3] *= 1e30
    X[7] = 0
    streamed = mapped(X)
    graph = BlockedGraph(np.asarray(streamed)[None])
    expected = cosine_graph(X.astype(np.float64)[None]).degrees
    np.testing.assert_allclose(graph.degrees, expected, rtol=1e-5)


def test_one_large_batch_in_memory_is_read_in_blocks_too(mapped):
    X = features(3000, 20)
    expected = fiedler_vector(X.astype(np.float64))
    result = fiedler_vector(X)
    distances = (np.linalg.norm(result.vector + s * expected.vector) for s in (1, -1))
    assert min(distances) < 2 * result.error_bound


def test_result_does_not_depend_on_the_number_of_threads(mapped):
    from threadpoolctl import threadpool_limits

    X = mapped(features())
    vectors = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            vectors.append(fiedler_vector(X).vector.tobytes())
    assert vectors[0] == vectors[1]


def test_error_names_the_bad_row(mapped):
    X = features()
    X[123, 4] = np.nan
    with pytest.raises(ValueError, match="X must be finite; row 123 holds NaN"):
        fiedler_vector(mapped(X))
    with pytest.raises(ValueError, match="X must be finite; row 123 holds NaN"):
        FiedlerBatchSelector().fit(mapped(X))
