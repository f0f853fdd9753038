"""The Fiedler vector of a candidate batch, with a certificate."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

from ._check import (
    NotFiniteError,
    check_affinity,
    check_features,
    check_finite,
    check_in,
    check_int,
    check_tol,
)
from ._davidson import davidson, residual_floor
from ._graph import (
    DenseGraph,
    Graph,
    LaplacianOperator,
    SparseGraph,
    cosine_graph,
    laplacian_operator,
    sparse_cosine_graph,
)
from ._namespace import Array, epsilon, is_torch, namespace, to_numpy

__all__ = ["AFFINITIES", "LAPLACIANS", "FiedlerResult", "Status", "fiedler_vector"]

AFFINITIES = ("cosine", "precomputed")
LAPLACIANS = ("unnormalized", "symmetric", "random_walk")

# Up to here a dense solve is quicker, measured on 2 cores (benchmarks/solver_speed.py).
_DENSE_MAX_STACK = 32
_DENSE_MAX_SINGLE = 160


class Status(IntEnum):
    """What became of a solve; `message` says what to do about it."""

    CONVERGED = 0
    NEAR_DEGENERATE = 1
    NOT_CONVERGED = 2

    @property
    def message(self) -> str:
        """One line for a person."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.CONVERGED: "converged",
    Status.NEAR_DEGENERATE: (
        "the second and third smallest eigenvalues of the Laplacian are too close to tell "
        "apart, so the Fiedler vector is one of many; the batch may hold duplicates or "
        "components without a link, or float64 features may be needed"
    ),
    Status.NOT_CONVERGED: (
        "the solver ran out of iterations before the Fiedler vector was accurate to `tol`; "
        "raise `max_iter` or `tol`"
    ),
}


@dataclass(frozen=True)
class FiedlerResult:
    """A Fiedler vector and what is known about it.

    For a stack of b batches every field has a leading axis of length b.

    Attributes
    ----------
    vector : array of shape (n,) or (b, n)
        Unit norm. Its entry of largest magnitude is positive.
    value : float or array of shape (b,)
        The algebraic connectivity: the quadratic form of the Laplacian at the vector.
    gap : float or array of shape (b,)
        Distance to the next eigenvalue, from below as far as the computed residual
        tells. At most 0 when nothing could be shown.
    residual : float or array of shape (b,)
        ‖L·v − λ·v‖ as computed.
    error_bound : float or array of shape (b,)
        Davis–Kahan bound on the distance to the true eigenvector, rounding included;
        infinite when the gap could not be shown to be positive.
    n_iter : int or array of shape (b,)
        Iterations, of one product of two vectors with the affinity; 0 for a dense solve.
    status : Status or array of shape (b,)
    """

    vector: Array
    value: Any
    gap: Any
    residual: Any
    error_bound: Any
    n_iter: Any
    status: Any

    def _first(self) -> "FiedlerResult":
        return FiedlerResult(
            self.vector[0],
            float(self.value[0]),
            float(self.gap[0]),
            float(self.residual[0]),
            float(self.error_bound[0]),
            int(self.n_iter[0]),
            Status(int(self.status[0])),
        )


def fiedler_vector(
    X: Any,
    *,
    laplacian: str = "unnormalized",
    affinity: str = "cosine",
    tol: float | None = None,
    max_iter: int = 500,
    random_state: Any = None,
) -> FiedlerResult:
    """Return the Fiedler vector of the similarity graph of the rows of `X`.

    It is the minimiser of vᵀ·L·v over unit v ⟂ 1 [1]_, L = D − S, with S the cosine
    similarity of the rows and D its row sums. Where S has no negative entry that is the
    eigenvector of the second smallest eigenvalue, as in Algorithm 1 of [2]_; with signed
    features it is the Fiedler vector of the graph with weights (1 + S)/2.

    Parameters
    ----------
    X : array-like, sparse array or torch.Tensor of shape (n, d) or (b, n, d)
        Features of one batch, or of b batches of equal size (not for sparse input). With
        ``affinity="precomputed"``: symmetric affinities of shape (n, n) or (b, n, n).
    laplacian : {"unnormalized", "symmetric", "random_walk"}, default="unnormalized"
        D − S; I − D^(-1/2)·S·D^(-1/2), orthogonal to D^(1/2)·1; or I − D⁻¹·S, whose
        vector is D^(-1/2) times the symmetric one, scaled to unit norm.
    affinity : {"cosine", "precomputed"}, default="cosine"
        What `X` holds: features, or the affinities themselves.
    tol : float, optional
        Target for ``residual / gap``. By default the square root of the machine epsilon
        of the dtype, times 1/8. Rounding ends the iteration earlier if it must.
    max_iter : int, default=500
        Largest number of iterations, each a product of two vectors with the affinity.
    random_state : int, RandomState or None, default=None
        Seed of the start vector. None is a fixed seed: the answer is always the same.

    Returns
    -------
    FiedlerResult
        Vectors have the dtype (float32 or float64) and the device of `X`.

    Raises
    ------
    ValueError, TypeError
        For features that are not finite, empty, or of another shape; and for a parameter
        outside its domain.

    See Also
    --------
    sklearn.manifold.spectral_embedding : Several eigenvectors of a normalised Laplacian.

    References
    ----------
    .. [1] M. Fiedler, "Algebraic connectivity of graphs", Czechoslovak Mathematical
       Journal 23 (1973), doi:10.21136/CMJ.1973.101168.
    .. [2] M. Sharifi, "Optimizing data curation through spectral analysis and joint
       batch selection (SALN)", arXiv:2412.17069.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select import fiedler_vector
    >>> X = np.array([[1.0, 0.1], [1.0, 0.2], [0.9, 0.1], [0.1, 1.0]])
    >>> result = fiedler_vector(X)
    >>> int(np.argmax(np.abs(result.vector)))  # the odd one out
    3
    >>> result.status.message
    'converged'
    """
    check_in(laplacian, "laplacian", LAPLACIANS)
    check_in(affinity, "affinity", AFFINITIES)
    check_tol(tol)
    check_int(max_iter, "max_iter", 1)
    seed = seed_of(random_state)
    X = check_affinity(X) if affinity == "precomputed" else check_features(X)
    single = X.ndim == 2
    try:
        result = solve(
            X[None] if single and not sparse.issparse(X) else X,
            laplacian=laplacian,
            affinity=affinity,
            tol=tol,
            max_iter=max_iter,
            start_seed=seed,
        )
    except NotFiniteError:
        check_finite(X)
        raise
    return result._first() if single else result


def seed_of(random_state: Any) -> int:
    """Return the seed of the start vector; None is seed 0, and nothing global is drawn."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_int(random_state, "random_state", 0)


def solve(
    X: Array,
    *,
    laplacian: str = "unnormalized",
    affinity: str = "cosine",
    tol: float | None = None,
    max_iter: int = 500,
    start_seed: int = 0,
) -> FiedlerResult:
    """Return the Fiedler vectors of a checked stack (b, n, ·), or of one sparse array."""
    n = X.shape[-2] if not sparse.issparse(X) else X.shape[0]
    graph = _graph(X, affinity)
    operator = laplacian_operator(graph, laplacian)
    if n == 1:
        return _single_vertices(operator)
    if tol is None:
        tol = epsilon(operator.diagonal) ** 0.5 / 8
    dense = isinstance(graph, DenseGraph)
    stack = is_torch(X) or operator.diagonal.shape[0] > 1
    if n <= (_DENSE_MAX_SINGLE if dense and not stack else _DENSE_MAX_STACK):
        values, vectors, residuals = _dense_pairs(operator)
        n_iter = np.zeros(operator.diagonal.shape[0], np.int64)
    else:
        pairs = davidson(
            operator,
            _start(operator, start_seed),
            tol=tol,
            max_products=max_iter,
        )
        values, vectors, residuals = pairs.values, pairs.vectors[:, 0], pairs.residuals
        n_iter = np.full(operator.diagonal.shape[0], pairs.n_products)
    return _result(operator, laplacian, values, vectors, residuals, n_iter, tol)


def _graph(X: Array, affinity: str) -> Graph:
    if sparse.issparse(X):
        return sparse_cosine_graph(X) if affinity == "cosine" else SparseGraph(X)
    return DenseGraph(X) if affinity == "precomputed" else cosine_graph(X)


def _start(operator: LaplacianOperator, seed: int) -> Array:
    """Return a guess from the degrees and a seeded random vector, which misses nothing."""
    a = operator.diagonal
    xp = namespace(a)
    low, high = xp.amin(a, -1)[:, None], xp.amax(xp.abs(a), -1)[:, None]
    high = xp.where(high > 0, high, xp.ones_like(high))
    guess = high / (a - low + 0.02 * high)
    noise = np.random.default_rng(seed).standard_normal(a.shape[-1])
    noise = noise.astype(str(a.dtype).removeprefix("torch."))
    if is_torch(a):
        noise = xp.asarray(noise, device=a.device)
    return xp.stack([guess, noise + xp.zeros_like(a)], 1)


def _dense_pairs(operator: LaplacianOperator) -> tuple[Array, Array, Array]:
    """Return the two lowest pairs by LAPACK, the trivial one lifted out of the way."""
    matrix = _dense_matrix(operator)
    a, null = operator.diagonal, operator.null
    xp = namespace(a)
    lift = 4.0 * xp.amax(xp.abs(a), -1)[:, None, None]
    lift = xp.where(lift > 0, lift, xp.ones_like(lift))
    lifted = matrix + lift * null[:, :, None] * null[:, None, :]
    if not is_torch(a) and len(lifted) == 1:
        top = min(1, lifted.shape[-1] - 1)
        values, vectors = eigh(
            lifted[0], subset_by_index=[0, top], check_finite=False, overwrite_a=True
        )
        values, vectors = values[None], vectors[None]
    else:
        values, vectors = xp.linalg.eigh(lifted)
    two = vectors[:, :, :2].swapaxes(-1, -2)
    # Take what rounding left of the trivial vector out again.
    two = two - (two * null[:, None]).sum(-1)[..., None] * null[:, None]
    two = two / xp.sqrt((two * two).sum(-1))[..., None] if lifted.shape[-1] > 2 else two
    values = values[:, :2]
    residual = two @ matrix - values[..., None] * two
    return values, two[:, 0], xp.sqrt((residual * residual).sum(-1))


def _dense_matrix(operator: LaplacianOperator) -> Array:
    """Return A as a stack of dense matrices."""
    graph, a = operator.graph, operator.diagonal
    xp = namespace(a)
    index = xp.arange(a.shape[-1])
    if isinstance(graph, DenseGraph):
        matrix = graph.matrix
        for scale in (graph.scale, operator.transform):
            if scale is not None:
                matrix = scale[:, :, None] * matrix * scale[:, None, :]
        matrix = -matrix
    else:
        identity = xp.zeros_like(a)[:, None] + xp.zeros_like(a)[..., None]
        identity[:, index, index] = 1
        matrix = -operator.affinity_dot(identity)
    matrix[:, index, index] += a
    return matrix


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
    # Rounding alone may move the vector by more than a tenth: then it is not determined.
    settled = to_numpy(first <= 2 * floor)
    status = np.where(settled, Status.NEAR_DEGENERATE, Status.NOT_CONVERGED)
    determined = to_numpy(bound) < 0.1
    status[determined & (to_numpy(converged) | settled)] = Status.CONVERGED
    if laplacian == "random_walk":
        vectors = operator.transform * vectors
        vectors = vectors / xp.sqrt((vectors * vectors).sum(-1))[:, None]
    vectors = vectors * _sign(vectors)[:, None]
    return FiedlerResult(vectors, values[:, 0], gap, first, bound, n_iter, status)


def _sign(vectors: Array) -> Array:
    """Return the sign that makes the entry of largest magnitude positive."""
    xp = namespace(vectors)
    rows = xp.arange(len(vectors))
    largest = vectors[rows, xp.abs(vectors).argmax(-1)]
    return xp.where(largest < 0, -xp.ones_like(largest), xp.ones_like(largest))


def _single_vertices(operator: LaplacianOperator) -> FiedlerResult:
    """Return the result for n = 1, where no unit vector is orthogonal to 1: zeros."""
    zero = operator.diagonal[:, 0] * 0
    infinite = zero + float("inf")
    count = np.zeros(len(zero), np.int64)
    return FiedlerResult(
        operator.diagonal * 0, zero, infinite, zero, zero, count, np.full(len(zero), 0)
    )
