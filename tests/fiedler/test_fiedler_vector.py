import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import algorithm_1_laplacian, laplacian, similarities, spectrum, weights
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity
from strategies import features

from spectral_select import Status, fiedler_vector

LAPLACIANS = ["unnormalized", "symmetric", "random_walk"]


def scale_of(X):
    """‖L‖ is at most twice the largest degree, which is at most n for a cosine graph."""
    return 2 * X.shape[-2]


def tolerance(X, result):
    eps = np.finfo(np.asarray(result.vector).dtype).eps
    return float(50 * eps * scale_of(X))


def sine(u, v):
    """Sine of the angle between two unit vectors, accurate for small angles."""
    return min(np.linalg.norm(u - v), np.linalg.norm(u + v))


@given(features())
def test_unit_norm_orthogonal_to_ones_and_an_eigenvector(X):
    result = fiedler_vector(X)
    v = result.vector.astype(np.float64)
    assert np.linalg.norm(v) == pytest.approx(1, abs=1e-5)
    assert abs(v.sum()) <= tolerance(X, result)
    L = laplacian(X)
    residual = np.linalg.norm(L @ v - result.value * v)
    # The vector is optimal in exact arithmetic, but iterative solves stop at tol · gap.
    gap = max(0.0, result.gap) if np.isfinite(result.gap) else 0.0
    assert residual <= tolerance(X, result) + 1e-4 * gap


@given(features())
def test_value_is_the_minimum_of_the_quadratic_form(X):
    result = fiedler_vector(X)
    n = len(X)
    L = laplacian(X)
    flat = np.full((n, n), 1 / n)
    projected = (np.eye(n) - flat) @ L @ (np.eye(n) - flat) + 10 * n * flat
    assert result.value == pytest.approx(np.linalg.eigvalsh(projected)[0], abs=tolerance(X, result))


@given(features())
def test_value_lies_between_zero_and_fiedlers_bound(X):
    result = fiedler_vector(X)
    n = len(X)
    others = weights(X) - np.diag(np.diag(weights(X)))
    bound = n / (n - 1) * others.sum(axis=1).min()
    slack = tolerance(X, result)
    assert -slack <= result.value <= bound + slack


@given(features(plain=True), st.sampled_from(["unnormalized", "symmetric"]))
def test_agrees_with_a_full_decomposition_where_the_gap_allows(X, kind):
    values, vectors = spectrum(X, kind)
    gap = values[2] - values[1]
    assume(gap > 1e-3 * max(values[1], 1e-6))
    result = fiedler_vector(X, laplacian=kind)
    assert sine(result.vector, vectors[:, 1]) <= tolerance(X, result) / gap + 1e-4
    assert sine(result.vector, vectors[:, 1]) <= 2 * result.error_bound + 1e-12


@given(features(plain=True), st.sampled_from(LAPLACIANS))
def test_cosine_graph_is_the_precomputed_graph_of_its_weights(X, kind):
    result = fiedler_vector(X, laplacian=kind)
    expected = fiedler_vector(weights(X), affinity="precomputed", laplacian=kind)
    scale = len(X) if kind == "unnormalized" else 1
    assert result.value == pytest.approx(expected.value, abs=tolerance(X, result) / len(X) * scale)
    assume(expected.gap > 1e-3 * scale)
    assert sine(result.vector, expected.vector) <= 1e-2


@given(features(plain=True))
def test_vector_and_eigenvalue_of_algorithm_1_can_be_recovered(X):
    n = len(X)
    S = similarities(X)
    L = algorithm_1_laplacian(X)
    # L' = (L + n·I − 11ᵀ)/2
    np.testing.assert_allclose(laplacian(X), (L + n * np.eye(n) - 1) / 2, atol=1e-12 * n)
    result = fiedler_vector(X.astype(np.float64))
    signed = fiedler_vector(S, affinity="precomputed")  # D − S on the complement of 1
    assert 2 * result.value - n == pytest.approx(signed.value, abs=tolerance(X, result))
    v = result.vector
    assert v @ L @ v == pytest.approx(signed.value, abs=tolerance(X, result))
    assume(signed.gap > 1e-6 * n)
    assert 2 * result.gap == pytest.approx(signed.gap, rel=1e-3, abs=tolerance(X, result))
    assert sine(v, signed.vector) <= 1e-6


@given(features(plain=True), st.integers(0, 2**31))
def test_row_scale_and_rotation_change_nothing(X, seed):
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((X.shape[1], X.shape[1])))
    scaled = (X * rng.uniform(0.1, 10, (len(X), 1))).astype(X.dtype)
    first = fiedler_vector(X)
    assume(first.gap > 1e-3 * len(X))
    for other in (scaled, (X @ rotation).astype(X.dtype)):
        again = fiedler_vector(other)
        assert again.value == pytest.approx(first.value, abs=tolerance(X, first))
        assert sine(first.vector, again.vector) <= 1e-2


@given(features(plain=True), st.randoms(use_true_random=False))
def test_permuting_the_rows_permutes_the_vector(X, random):
    order = list(range(len(X)))
    random.shuffle(order)
    first, again = fiedler_vector(X), fiedler_vector(X[order])
    assume(first.gap > 1e-3 * len(X))
    assert sine(first.vector[order], again.vector) <= 1e-2


@given(features(batch=True, plain=True), st.sampled_from(LAPLACIANS))
def test_stack_gives_the_results_of_its_batches(X, kind):
    stacked = fiedler_vector(X, laplacian=kind)
    for i, batch in enumerate(X):
        alone = fiedler_vector(batch, laplacian=kind)
        assert stacked.value[i] == pytest.approx(alone.value, abs=tolerance(batch, alone))
        if alone.gap > 1e-2 * alone.value:
            assert sine(stacked.vector[i], alone.vector) <= 1e-2


@pytest.mark.parametrize("shape", [(20, 9), (80, 200), (200, 30), (640, 512), (1100, 2000)])
@pytest.mark.parametrize("kind", ["unnormalized", "symmetric"])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_result_of_a_batch_does_not_depend_on_others(shape, kind, wrap):
    rng = np.random.default_rng(0)
    X = np.abs(rng.standard_normal((7, *shape))).astype(np.float32)
    X[3, 5:9] = X[3, 4]  # some rows are harder than others
    X[4] = X[4] ** 3
    result = fiedler_vector(wrap(X), laplacian=kind)
    together, bounds = np.asarray(result.vector), np.asarray(result.error_bound)
    for chosen in ([4], [2, 3], [6, 0, 1, 5]):
        apart = np.asarray(fiedler_vector(wrap(X[chosen]), laplacian=kind).vector)
        if wrap is np.asarray:
            assert np.array_equal(apart, together[chosen])
        else:
            distances = np.linalg.norm(apart - together[chosen], axis=1)
            assert (distances <= 2 * bounds[chosen]).all()


@given(features(batch=True), st.sampled_from([True, False]))
def test_torch_agrees_with_numpy(X, single):
    X = X[0] if single else X
    expected, result = fiedler_vector(X), fiedler_vector(torch.from_numpy(X))
    assert isinstance(result.vector, torch.Tensor)
    assert result.vector.dtype == torch.from_numpy(X).dtype
    np.testing.assert_allclose(
        np.asarray(result.value), expected.value, atol=tolerance(X, expected)
    )
    bounds = np.atleast_1d(np.asarray(result.error_bound) + np.asarray(expected.error_bound))
    vectors = zip(np.atleast_2d(result.vector), np.atleast_2d(expected.vector), strict=True)
    for (u, v), bound in zip(vectors, bounds, strict=True):
        assert sine(u, v) <= 2 * bound or bound > 0.1


@pytest.mark.parametrize("kind", LAPLACIANS)
@pytest.mark.parametrize("shape", [(300, 512), (300, 40), (90, 400)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("signed", [False, True])
def test_iterative_solves_agree_with_a_full_decomposition(kind, shape, dtype, wrap, signed):
    rng = np.random.default_rng(1)
    centers = np.abs(rng.standard_normal((5, shape[1])))
    X = centers[rng.integers(5, size=shape[0])] + rng.standard_normal(shape)
    X = ((X - X.mean(0)) if signed else np.abs(X)).astype(dtype)
    values, vectors = spectrum(X, "symmetric" if kind == "random_walk" else kind)
    v = vectors[:, 1]
    if kind == "random_walk":
        v = v / np.sqrt(weights(X).sum(axis=1))
        v /= np.linalg.norm(v)
    result = fiedler_vector(wrap(np.stack([X, X])), laplacian=kind)
    assert (result.n_iter > 0).all()
    for i in range(2):
        assert float(result.value[i]) == pytest.approx(values[1], rel=1e-5)
        assert float(result.gap[i]) <= (values[2] - values[1]) * 1.01 + 1e-4
        assert sine(np.asarray(result.vector[i]), v) <= 4 * float(result.error_bound[i]) + 1e-6
        assert result.status[i] == Status.CONVERGED


@given(features(batch=True), st.sampled_from(LAPLACIANS), st.integers(0, 1000))
def test_same_seed_gives_the_same_bits_and_keeps_the_input(X, kind, seed):
    X.flags.writeable = False
    first = fiedler_vector(X, laplacian=kind, random_state=seed)
    again = fiedler_vector(X, laplacian=kind, random_state=seed)
    assert first.vector.tobytes() == again.vector.tobytes()


def test_global_random_state_is_unchanged():
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    fiedler_vector(np.random.default_rng(0).random((200, 300)))
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


def test_one_and_two_rows():
    one = fiedler_vector(np.array([[1.0, 2.0]]))
    assert one.vector.tolist() == [0.0]
    assert one.value == 0
    two = fiedler_vector(np.array([[1.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(np.abs(two.vector), np.sqrt(0.5))
    assert two.value == pytest.approx(1 + np.sqrt(0.5))  # 2w for the weight w of the edge


def test_two_separate_clusters_are_separated():
    X = np.zeros((40, 6))
    rng = np.random.default_rng(0)
    X[:20, :3] = rng.random((20, 3)) + 0.1
    X[20:, 3:] = rng.random((20, 3)) + 0.1
    for n_copies in (1, 10):  # a dense and an iterative solve
        result = fiedler_vector(np.repeat(X, n_copies, axis=0))
        assert 2 * result.value == pytest.approx(len(X) * n_copies)  # Algorithm 1's is 0
        signs = np.sign(result.vector).reshape(2, -1)
        assert np.ptp(signs, axis=1).tolist() == [0, 0]
        assert signs[0, 0] == -signs[1, 0]


@pytest.mark.parametrize("n", [5, 100, 400])
def test_identical_rows_are_reported_as_degenerate(n):
    result = fiedler_vector(np.ones((n, 7), np.float32))
    assert result.status == Status.NEAR_DEGENERATE
    assert "too close to tell apart" in result.status.message
    assert result.error_bound > 0.1
    assert np.linalg.norm(result.vector) == pytest.approx(1, abs=1e-5)


def many_alike():
    """Graphs whose symmetries give the second eigenvalue more than one eigenvector."""
    hub = np.zeros((301, 301))
    hub[0, 1:] = hub[1:, 0] = 1  # a star; the next graph is a star with three cliques on its rays
    cliques = hub.copy()
    for start in (1, 101, 201):
        cliques[start : start + 100, start : start + 100] = 1
    bipartite = np.zeros((120, 120))
    bipartite[:20, 20:] = bipartite[20:, :20] = 1
    cycle = np.roll(np.eye(200), 1, axis=1)
    return {"star": hub, "hub": cliques, "bipartite": bipartite, "cycle": cycle + cycle.T}


@pytest.mark.parametrize("name", ["star", "hub", "bipartite", "cycle"])
@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array, torch.from_numpy])
def test_symmetric_graphs_are_reported_as_degenerate(name, wrap):
    S = many_alike()[name]
    L = np.diag(S.sum(axis=1)) - S
    result = fiedler_vector(wrap(S), affinity="precomputed", max_iter=2000)
    v = np.asarray(result.vector)
    assert result.value == pytest.approx(np.linalg.eigvalsh(L)[1], abs=1e-8)
    assert np.linalg.norm(v) == pytest.approx(1)
    assert abs(v.sum()) < 1e-8
    assert np.linalg.norm(L @ v - result.value * v) < 1e-6
    assert result.status == Status.NEAR_DEGENERATE


def test_interchangeable_rows_are_reported_as_degenerate():
    result = fiedler_vector(np.vstack([np.ones(200), np.eye(200)]))
    assert result.status == Status.NEAR_DEGENERATE


@pytest.mark.parametrize("precision", ["highest", "high"])
def test_neighbor_graph_of_a_tensor_gives_tensors(precision):
    X = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        result = fiedler_vector(X, affinity="nearest_neighbors", n_neighbors=20)
    finally:
        torch.set_float32_matmul_precision(before)
    assert isinstance(result.vector, torch.Tensor)
    assert result.vector.dtype == torch.float32


@pytest.mark.parametrize("max_iter", [1, 2, 5, 8])
def test_max_iter_is_respected(max_iter):
    S, _ = planted(300, 1e-6, np.random.default_rng(0))
    assert fiedler_vector(S, affinity="precomputed", max_iter=max_iter).n_iter <= max_iter


def planted(n, gap, rng):
    """Affinities whose Laplacian has its second and third eigenvalues `gap` apart."""
    basis, _ = np.linalg.qr(np.column_stack([np.ones(n), rng.standard_normal((n, n - 1))]))
    values = np.concatenate([[0, 1, 1 + gap], np.linspace(2, 3, n - 3)])
    L = basis @ np.diag(values) @ basis.T
    L = (L + L.T) / 2
    return np.diag(np.diag(L)) - L + np.eye(n), basis[:, 1]


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("exponent", range(-14, -1))
def test_status_reports_near_degenerate_spectra(n, exponent):
    S, v = planted(n, 10.0**exponent, np.random.default_rng(exponent % 7))
    result = fiedler_vector(S, affinity="precomputed", max_iter=2000)
    assert sine(result.vector, v) <= 3 * result.error_bound + 1e-9
    if result.status == Status.CONVERGED:
        assert sine(result.vector, v) < 0.1
    assert (result.status == Status.CONVERGED) == (result.error_bound < 0.1)
    if exponent >= -9:
        assert result.status == Status.CONVERGED
    if exponent <= -14:
        assert result.status == Status.NEAR_DEGENERATE


def test_running_out_of_iterations_is_reported():
    S, _ = planted(300, 1e-6, np.random.default_rng(0))
    result = fiedler_vector(S, affinity="precomputed", max_iter=4)
    assert result.status == Status.NOT_CONVERGED
    assert "max_iter" in result.status.message


def test_precomputed_affinity_dense_and_sparse():
    X = np.abs(np.random.default_rng(0).standard_normal((200, 5)))
    S = cosine_similarity(X)
    expected = fiedler_vector(X)
    for affinity in (S, sparse.csr_array(S), sparse.csr_matrix(S), torch.from_numpy(S)):
        result = fiedler_vector(affinity, affinity="precomputed")
        assert sine(np.asarray(result.vector), expected.vector) < 1e-6


def test_sparse_features():
    X = np.abs(np.random.default_rng(0).standard_normal((150, 30)))
    X[X < 0.8] = 0
    assert sine(fiedler_vector(sparse.csr_array(X)).vector, fiedler_vector(X).vector) < 1e-6


@pytest.fixture
def reduced_precision():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def test_reduced_matmul_precision_and_autocast_do_not_affect_the_solver(reduced_precision):
    X = torch.rand(3, 200, 300, generator=torch.Generator().manual_seed(0))
    expected = fiedler_vector(X.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = fiedler_vector(X)
    assert result.vector.dtype == result.value.dtype == torch.float32
    for v, reference, bound in zip(result.vector, expected.vector, result.error_bound, strict=True):
        assert sine(v.numpy(), reference.numpy()) <= 1e-5 + float(bound)
        assert bound < 1e-5
    assert torch.get_float32_matmul_precision() == "medium"


def test_tensors_that_require_grad_are_only_read():
    X = torch.rand(60, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert not fiedler_vector(X).vector.requires_grad


@pytest.mark.parametrize("chain", [1, 2, 3])
def test_several_expansions_per_check_give_the_same_vector(chain, monkeypatch):
    X = np.abs(np.random.default_rng(0).standard_normal((2, 200, 50)))
    expected = fiedler_vector(X)
    monkeypatch.setattr(
        "spectral_select._fiedler.davidson._expansions_per_check", lambda basis: chain
    )
    result = fiedler_vector(X)
    for v, reference in zip(result.vector, expected.vector, strict=True):
        assert sine(v, reference) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_tensors_are_solved_in_float32(dtype):
    X = torch.rand(50, 20, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert fiedler_vector(X).vector.dtype == torch.float32


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(5), r"X must have shape \(n_samples, n_features\).*got shape \(5,\)"),
        (np.ones((0, 3)), r"X must have at least one sample and one feature; got shape \(0, 3\)"),
        (np.ones((3, 0)), "at least one sample and one feature"),
        (np.array([["a", "b"]]), "X must hold real numbers; got dtype <U1"),
        (np.array([["a", 1]], object), "X must hold numbers; could not convert"),
        (np.array([[1j, 2]]), "X must hold real numbers; got dtype complex128"),
        (np.array([[1.0], [np.nan], [np.inf]]), "row 1 holds NaN or infinity"),
        (torch.tensor([[1.0], [1.0], [torch.inf]]), "row 2 holds NaN or infinity"),
        (sparse.csr_array([[1.0], [0.0], [np.nan]]), "row 2 holds NaN or infinity"),
    ],
)
def test_rejects_bad_features(X, message):
    with pytest.raises(ValueError, match=message):
        fiedler_vector(X)


def test_finite_features_whose_sum_overflows_are_accepted():
    X = np.full((4, 3), 3e38, np.float32)
    X[0, 0] = 0
    assert np.isfinite(fiedler_vector(X).vector).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"laplacian": "normalized"}, ValueError, "laplacian must be one of 'unnormalized'"),
        ({"affinity": 3}, ValueError, r"affinity must be one of 'cosine', .*got 3"),
        ({"tol": 0}, ValueError, r"tol must be a number in \(0, 1\); got 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be an integer of at least 1; got 0"),
        ({"max_iter": 2.5}, TypeError, "max_iter must be an integer.*got 2.5"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be an integer of at least 1; got 0"),
        ({"random_state": "a"}, TypeError, "random_state must be an integer"),
        ({"affinity": "precomputed"}, ValueError, "X must be square with affinity='precomputed'"),
    ],
)
def test_rejects_bad_parameters(options, error, message):
    with pytest.raises(error, match=message):
        fiedler_vector(np.ones((4, 3)), **options)


def test_rejects_asymmetric_affinity():
    S = np.eye(3)
    S[0, 1] = 1
    for affinity in (S, sparse.csr_array(S)):
        with pytest.raises(ValueError, match=r"X must be symmetric.*up to 1"):
            fiedler_vector(affinity, affinity="precomputed")


@pytest.mark.parametrize("sigma", [0.01, 0.05])
@pytest.mark.parametrize("shape", [(100, 5), (300, 2), (40, 3)])
@pytest.mark.parametrize("chain", [1, 3])
def test_features_in_a_narrow_cone(sigma, shape, chain, monkeypatch):
    monkeypatch.setattr(
        "spectral_select._fiedler.davidson._expansions_per_check", lambda basis: chain
    )
    X = 1 + sigma * np.random.default_rng(14).standard_normal((5, *shape))
    result = fiedler_vector(X)
    for i, batch in enumerate(X):
        values, _ = spectrum(batch)
        assert result.value[i] == pytest.approx(values[1], rel=1e-9)
        assert np.linalg.norm(result.vector[i]) == pytest.approx(1)
        assert abs(result.vector[i].sum()) < 1e-9


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-20, 1e20, 1e250])
@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("seed", [0, 19])
def test_scale_of_precomputed_affinities_changes_nothing(scale, wrap, seed):
    Q = np.abs(np.random.default_rng(seed).standard_normal((300, 6)))
    S = Q @ Q.T
    expected = fiedler_vector(S, affinity="precomputed")
    with np.errstate(all="raise"):
        result = fiedler_vector(wrap(S * scale), affinity="precomputed")
    assert result.status == expected.status == Status.CONVERGED
    assert sine(result.vector, expected.vector) < 1e-6
    assert result.value / scale == pytest.approx(expected.value)


@pytest.mark.parametrize("scale", [1e-30, 1e-14, 1e19])
@pytest.mark.parametrize("affinity", ["cosine", "nearest_neighbors"])
def test_scale_of_features_changes_nothing(scale, affinity):
    X = np.abs(np.random.default_rng(0).standard_normal((40, 6)))
    expected = fiedler_vector(X, affinity=affinity)
    for wrap in (np.asarray, sparse.csr_array):
        with np.errstate(all="raise"):
            result = fiedler_vector(wrap((X * scale).astype(np.float32)), affinity=affinity)
        assert result.status == Status.CONVERGED
        assert result.value == pytest.approx(expected.value, rel=1e-4)


def test_zero_affinities_are_degenerate():
    result = fiedler_vector(np.zeros((9, 9)), affinity="precomputed")
    assert result.status == Status.NEAR_DEGENERATE
    assert result.value == pytest.approx(0)


def test_sparse_features_with_duplicate_entries():
    twice = sparse.csr_array(
        (np.arange(1.0, 7), np.array([0, 0, 1, 1, 2, 2]), np.array([0, 2, 4, 6])), shape=(3, 3)
    )
    expected = fiedler_vector(twice.toarray())
    assert fiedler_vector(twice).value == pytest.approx(expected.value)
    assert twice.nnz == 6


def test_rejects_tensors_without_dense_data():
    dense = torch.ones(4, 3)
    for X in (dense.to_sparse(), torch.empty(4, 3, device="meta")):
        with pytest.raises(TypeError, match="X must be a dense tensor that holds data; got layout"):
            fiedler_vector(X)


def test_rejects_masked_arrays():
    X = np.ma.masked_less(np.random.default_rng(0).random((9, 3)), 0.1)
    with pytest.raises(ValueError, match="X must not be a masked array"):
        fiedler_vector(X)


@pytest.mark.parametrize("kind", ["array", "tensor"])
@pytest.mark.parametrize("seed", range(12))
def test_dependent_directions_cost_no_accuracy(kind, seed):
    """Complete graphs and copies of a few rows, where most new directions are rounding error."""
    rng = np.random.default_rng(seed)
    for _ in range(6):
        n = int(rng.integers(33, 70))
        rows = rng.exponential(size=(3, 2))
        for X in (rng.exponential(size=(n, 1)), rows[np.arange(n) % 3]):
            X = X.astype(np.float32)
            expected = spectrum(X)[0][1]
            found = fiedler_vector(X if kind == "array" else torch.from_numpy(X))
            assert float(found.value) == pytest.approx(expected, abs=1e-4 * n)
