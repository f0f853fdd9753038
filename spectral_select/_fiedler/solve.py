"""Solve for Fiedler vectors with the fastest method for their size, and certify them."""

from typing import Any

import numpy as np
from scipy import sparse

from spectral_select._fiedler.blocked_graph import BlockedGraph
from spectral_select._fiedler.davidson import MAX_ROUNDOFF_GROWTH, davidson, residual_floor
from spectral_select._fiedler.dense import STACK_MAX, dense_pairs
from spectral_select._fiedler.graph import (
    DenseGraph,
    Graph,
    NonnegativeGraph,
    SparseGraph,
    cosine_graph,
    sparse_cosine_graph,
)
from spectral_select._fiedler.knn_graph import bisection_vector, components, neighbor_affinity
from spectral_select._fiedler.laplacian import LaplacianOperator, laplacian_operator
from spectral_select._fiedler.result import FiedlerResult, Status, rescale, to_tensors
from spectral_select._utils.array_namespace import (
    Array,
    arange,
    dtype_name,
    epsilon,
    is_torch,
    namespace,
    to_numpy,
)
from spectral_select._utils.widened_rows import WidenedRows

__all__ = ["AFFINITIES", "solve", "solve_with_graph"]

AFFINITIES = ("cosine", "nearest_neighbors", "precomputed")

# For one batch up to this order, a dense solve is faster than Davidson's method, as measured on
# 2 cores.
_SINGLE_MAX = 160
# A single batch larger than this is read block by block, from disk or memory.
_BLOCKED_MIN_BYTES = 2**25


def solve(X: Array, **options: Any) -> FiedlerResult:
    """Return the Fiedler vectors of a checked stack (b, n, ·), or of one sparse array.

    The options are those of `fiedler_vector`, already checked, plus `start_seed` and `single`. If
    `single` is True, the fastest method for one batch is used instead of the method for stacks.
    """
    return solve_with_graph(X, **options)[0]


def solve_with_graph(X: Array, **options: Any) -> tuple[FiedlerResult, Graph]:
    """Return the result of `solve`, and the graph that it was computed from."""
    factor = _power_of_two(X) if options["affinity"] == "precomputed" else 1.0
    if factor != 1.0:
        with np.errstate(all="ignore"):
            result, graph = solve_with_graph(X * factor, **options)
            scaled = options["laplacian"] == "unnormalized"
            return (rescale(result, 1 / factor) if scaled else result), graph
    if not is_torch(X):
        # Values are checked explicitly. Underflow to 0 is correct, and BLAS may set other
        # floating-point flags in unused SIMD lanes.
        with np.errstate(all="ignore"):
            return _solve(X, **options)
    torch = namespace(X)
    # If the user allows float32 products to lose digits (TF32, bfloat16), use float64.
    wide = X.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest"
    with torch.autocast(X.device.type, enabled=False):
        result, graph = _solve(X.double() if wide else X, **options)
        return to_tensors(result, X), graph


def _power_of_two(X: Array) -> float:
    """Return the power of two that scales extreme affinities to about 1; 1 if none are extreme."""
    largest = float(abs(X).max())
    if largest == 0 or 1e-9 < largest < 1e9:
        return 1.0
    return float(2.0 ** -np.floor(np.log2(largest)))


def _solve(
    X: Array,
    *,
    laplacian: str,
    affinity: str,
    n_neighbors: int,
    tol: float | None,
    max_iter: int,
    start_seed: int,
    single: bool,
    verbose: bool,
) -> tuple[FiedlerResult, Graph]:
    n = X.shape[-2]
    if affinity == "nearest_neighbors" and not sparse.issparse(X) and len(X) > 1:
        raise ValueError(
            "X must be one batch of shape (n, d) with affinity='nearest_neighbors'; "
            f"got shape {tuple(X.shape)}"
        )
    graph = _graph(X, affinity, n_neighbors)
    operator = laplacian_operator(graph, laplacian)
    if n == 1:
        return _single_vertices(operator), graph
    if isinstance(graph, SparseGraph) and not graph.factored:
        labels = components(graph.matrix)
        if labels.max() > 0:
            return _disconnected(operator, laplacian, labels), graph
    if tol is None:
        tol = epsilon(operator.diagonal) ** 0.5 / 8
    if n <= (_SINGLE_MAX if graph.explicit and single else STACK_MAX):
        values, vectors, residuals = dense_pairs(operator)
        n_iter = np.zeros(operator.diagonal.shape[0], np.int64)
    else:
        pairs = davidson(
            operator,
            _start(operator, start_seed),
            tol=tol,
            max_products=max_iter,
            verbose=verbose,
        )
        values, vectors, residuals = pairs.values, pairs.vectors[:, 0], pairs.residuals
        n_iter = np.full(operator.diagonal.shape[0], pairs.n_products)
    result = _result(operator, laplacian, values, vectors, residuals, n_iter, tol)
    return result, graph


def _graph(X: Array, affinity: str, n_neighbors: int) -> Graph:
    if affinity == "cosine":
        return NonnegativeGraph(_cosine_similarities(X))
    X = np.asarray(X) if isinstance(X, WidenedRows) else X
    if affinity == "nearest_neighbors":
        rows = X if sparse.issparse(X) else to_numpy(X[0])
        return SparseGraph(neighbor_affinity(rows, n_neighbors))
    return SparseGraph(X) if sparse.issparse(X) else DenseGraph(X)


def _cosine_similarities(X: Array) -> Graph:
    if sparse.issparse(X):
        return sparse_cosine_graph(X)
    b, n, d = X.shape
    in_memory = isinstance(X, np.ndarray | WidenedRows) and b == 1
    if in_memory and n > 2 * d and X.nbytes > _BLOCKED_MIN_BYTES:
        return BlockedGraph(X)
    return cosine_graph(np.asarray(X) if isinstance(X, WidenedRows) else X)


def _start(operator: LaplacianOperator, seed: int) -> Array:
    """Return a guess based on the degrees, and noise with a component along every eigenvector."""
    a = operator.diagonal
    xp = namespace(a)
    low, high = xp.amin(a, -1)[:, None], xp.amax(xp.abs(a), -1)[:, None]
    high = xp.where(high > 0, high, xp.ones_like(high))
    guess = high / (a - low + 0.02 * high)
    noise = np.random.default_rng(seed).standard_normal(a.shape[-1])
    noise = noise.astype(dtype_name(a))
    if is_torch(a):
        noise = xp.asarray(noise, device=a.device)
    return xp.stack([guess, noise + xp.zeros_like(a)], 1)


def _result(
    operator: LaplacianOperator,
    laplacian: str,
    values: Array,
    vectors: Array,
    residuals: Array,
    n_iter: Array,
    tol: float,
) -> FiedlerResult:
    xp = namespace(vectors)
    floor = residual_floor(operator)
    first = residuals[:, 0]
    if vectors.shape[-1] == 2:
        gap = xp.full_like(first, float("inf"))
    else:
        gap = values[:, 1] - values[:, 0] - residuals[:, 1] - floor
    positive = gap > 0
    safe_gap = xp.where(positive, gap, xp.ones_like(gap))
    infinite = xp.full_like(gap, float("inf"))
    bound = xp.where(positive, (first + floor) / safe_gap, infinite)
    converged = xp.where(positive, first / safe_gap, infinite) <= tol
    # The vector is not determined if roundoff alone could move it by more than 0.1.
    settled = to_numpy(first <= MAX_ROUNDOFF_GROWTH * floor)
    status = np.where(settled, Status.NEAR_DEGENERATE, Status.NOT_CONVERGED)
    determined = to_numpy(bound) < 0.1
    status[determined & (to_numpy(converged) | settled)] = Status.CONVERGED
    vectors = _to_requested_laplacian(operator, laplacian, vectors)
    result = FiedlerResult(
        vectors, values[:, 0] + operator.shift, gap, first, bound, n_iter, status
    )
    return rescale(result, operator.scale)


def _to_requested_laplacian(operator: LaplacianOperator, laplacian: str, vectors: Array) -> Array:
    """Return the vectors of the requested Laplacian, with their signs fixed."""
    xp = namespace(vectors)
    if laplacian == "random_walk":
        vectors = operator.transform * vectors
        vectors = vectors / xp.sqrt((vectors * vectors).sum(-1))[:, None]
    return vectors * _sign(vectors)[:, None]


def _disconnected(
    operator: LaplacianOperator, laplacian: str, labels: np.ndarray[Any, Any]
) -> FiedlerResult:
    """Return the result for one disconnected graph: eigenvalue 0 and one of its eigenvectors."""
    vectors = bisection_vector(labels, operator.null[0])[None]
    zero = np.zeros(1, vectors.dtype)
    return FiedlerResult(
        _to_requested_laplacian(operator, laplacian, vectors),
        zero,
        zero,
        zero,
        np.full(1, np.inf) if labels.max() > 1 else zero,
        np.zeros(1, np.int64),
        np.full(1, Status.DISCONNECTED),
    )


def _sign(vectors: Array) -> Array:
    """Return the sign that makes the entry of largest magnitude positive."""
    xp = namespace(vectors)
    rows = arange(len(vectors), vectors)
    largest = vectors[rows, xp.abs(vectors).argmax(-1)]
    return xp.where(largest < 0, -xp.ones_like(largest), xp.ones_like(largest))


def _single_vertices(operator: LaplacianOperator) -> FiedlerResult:
    """Return zeros for n = 1, because no unit vector is then orthogonal to 1."""
    zero = operator.diagonal[:, 0] * 0
    infinite = zero + float("inf")
    count = np.zeros(len(zero), np.int64)
    return FiedlerResult(
        operator.diagonal * 0, zero, infinite, zero, zero, count, np.full(len(zero), 0)
    )
