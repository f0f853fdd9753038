"""The lowest non-trivial eigenpair of a batch of Laplacians, by Davidson's method.

The operator is A = diag(a) − B, where B is the scaled affinity and A·z = 0 for a known unit
vector z (the constant vector, or D^(1/2)·1 for the symmetric Laplacian). The search space is
spanned by an orthonormal basis Q with Q ⟂ z. Every iteration

1. projects A onto the basis,                H = Qᵀ·A·Q                                  (1)
2. solves the small eigenproblem and takes the two lowest Ritz pairs,
                                             H·y = θ·y,  v = Q·y                         (2)
3. computes their residuals,                 r = A·v − θ·v = a∘v − (B·Q)·y − θ·v         (3)
4. stops if the Davis–Kahan bound holds,
                                             sin ∠(v, v*) ≤ ‖r₁‖ / gap ≤ tol,
                                             gap = θ₂ − θ₁ − ‖r₂‖                        (4)
5. divides the residuals by the diagonal,    t = r / (a − θ)                             (5)
   which approximately solves the correction equation (A − θ)·t = r, because
   A − θ = diag(a − θ) − B is nearly diagonal on a dense graph;
6. orthonormalizes t against z and Q and appends it to Q.                                (6)

The method takes 8 to 16 products with B, where Lanczos takes about 40. All steps are vectorized
over the batch axis.

Two deviations from [1]_:

- Two vectors are computed at once. A single vector converges with equally many products, but the
  iteration can then miss a second eigenvector with nearly the same eigenvalue, and certify a gap
  that does not exist.
- Several expansions are made between two checks of (4), without (2) and (3). The preconditioned
  product t ← (B·t) / (a − θ) then takes the place of (5): by (3), (5) yields
  v − (B·v) / (a − θ), whose first term is already in the search space.

When the basis is full, it is restarted with the lowest Ritz vectors [2]_.

References
----------
.. [1] E. R. Davidson, "The iterative calculation of a few of the lowest eigenvalues
   and corresponding eigenvectors of large real-symmetric matrices", Journal of
   Computational Physics 17 (1975), doi:10.1016/0021-9991(75)90065-0.
.. [2] A. Stathopoulos, Y. Saad and K. Wu, "Dynamic thick restarting of the Davidson,
   and the implicitly restarted Arnoldi methods", SIAM J. Sci. Comput. 19 (1998),
   doi:10.1137/S1064827596304162.
"""

from dataclasses import dataclass

from spectral_select._fiedler.laplacian import LaplacianOperator
from spectral_select._utils.array_namespace import (
    Array,
    arange,
    astype,
    cast,
    epsilon,
    is_cuda,
    namespace,
    zeros,
)
from spectral_select._utils.progress_bar import ProgressBar, progress_bar

__all__ = ["MAX_ROUNDOFF_GROWTH", "RitzPairs", "davidson", "residual_floor"]

# Maximum number of basis vectors, which is the order of H. Above order 32, torch.linalg.eigh
# becomes a sequential loop on CUDA.
MAX_BASIS = 20
KEPT_AT_RESTART = 6
ACCUMULATION_CHUNK = 2**14
# The roundoff tolerance is one `residual_floor`, plus one for each restart, but at most this many
# in total.
MAX_ROUNDOFF_GROWTH = 16
# Minimum number of products. On a star graph, which has only three distinct eigenvalues, the
# orthonormalized start vectors are already eigenvectors, although the basis still lacks other
# eigenvectors of the same eigenvalue.
MIN_MATVECS = 4


@dataclass
class RitzPairs:
    """The two lowest Ritz pairs of each operator, orthogonal to its null vector.

    Attributes
    ----------
    values : array of shape (b, 2)
    vectors : array of shape (b, 2, n)
    residuals : array of shape (b, 2)
        ‖A·v − θ·v‖.
    n_products : int
        Number of products with the affinity, each of two vectors.
    """

    values: Array
    vectors: Array
    residuals: Array
    n_products: int

    def where(self, mask: Array, others: "RitzPairs") -> "RitzPairs":
        """Return these pairs where `mask`, of shape (b,), is True, and `others` elsewhere."""
        choose = namespace(mask).where
        return RitzPairs(
            choose(mask[:, None], self.values, others.values),
            choose(mask[:, None, None], self.vectors, others.vectors),
            choose(mask[:, None], self.residuals, others.residuals),
            self.n_products,
        )

    def select(self, batches: Array) -> "RitzPairs":
        """Return the pairs of some batches, given by a mask of shape (b,)."""
        return RitzPairs(
            self.values[batches], self.vectors[batches], self.residuals[batches], self.n_products
        )

    def scatter(self, rows: Array, pairs: "RitzPairs") -> None:
        """Replace the pairs of the batches `rows`."""
        self.values[rows], self.vectors[rows] = pairs.values, pairs.vectors
        self.residuals[rows], self.n_products = pairs.residuals, pairs.n_products


def residual_floor(operator: LaplacianOperator) -> Array:
    """Return the residual, of shape (b,), below which only roundoff is left.

    The floor is max(8, √n / 8)·eps·‖A‖, because the roundoff error of a sum grows with the
    square root of its length. max |a| stands in for ‖A‖.
    """
    a = operator.diagonal
    return max(8.0, a.shape[-1] ** 0.5 / 8) * epsilon(a) * _scale(a)


def _scale(a: Array) -> Array:
    """Return max |a| for each row, (b,), or 1 where it is 0."""
    xp = namespace(a)
    scale = xp.amax(xp.abs(a), -1)
    return xp.where(scale > 0, scale, xp.ones_like(scale))


def davidson(
    operator: LaplacianOperator,
    start: Array,
    *,
    tol: float,
    max_products: int,
    verbose: bool = False,
) -> RitzPairs:
    """Return the two lowest Ritz pairs of `operator` orthogonal to its null vector.

    Parameters
    ----------
    operator : LaplacianOperator
        A batch of b operators of order n > 25.
    start : array of shape (b, 2, n)
        Start vectors. The second should have a component along every eigenvector. Cyclic shifts
        of the second one also replace expansion vectors that are linearly dependent on the
        basis.
    tol : float
        Tolerance in (4). Iteration also stops when roundoff prevents further progress.
    max_products : int
        Maximum number of products with the affinity, each of two vectors.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    RitzPairs
    """
    with progress_bar(None, desc="Fiedler vector", unit="iteration", enabled=verbose) as bar:
        return _davidson(operator, start, tol, max_products, bar)


def _davidson(
    operator: LaplacianOperator, start: Array, tol: float, max_products: int, bar: ProgressBar
) -> RitzPairs:
    basis = _Basis(operator, start[:, 1:])
    basis.append(start)
    pairs, residual = basis.ritz()
    result = best = pairs
    rows = arange(len(start), start)  # numbers of the batches that are still in the basis
    open_ = rows >= 0
    while True:
        # A batch keeps the first pairs that converged, so that its result does not depend on
        # the other batches.
        best = pairs.where(open_, best)
        # Each restart adds roundoff to the basis.
        floor = basis.floor * min(1 + basis.n_restarts, MAX_ROUNDOFF_GROWTH)
        done = _done(pairs, floor, tol)
        open_ = open_ & ~(done & (basis.n_products >= MIN_MATVECS))
        bar.update()
        n_open = int(open_.sum())
        finished = n_open == 0 or basis.n_products >= max_products
        if finished or 2 * n_open < len(open_):
            result.scatter(rows, best)
            if finished:
                return result
            rows, residual = rows[open_], residual[open_]
            basis, pairs = basis.select(open_), pairs.select(open_)
            best, open_ = pairs, open_[open_]
        chain = min(_expansions_per_check(basis), max_products - basis.n_products)
        if basis.size + 2 * chain > MAX_BASIS:
            basis.restart()
        preconditioner = basis.preconditioner(pairs.values)
        t = residual * preconditioner
        for _ in range(chain):
            t = basis.append(t) * preconditioner
        pairs, residual = basis.ritz()


def _expansions_per_check(basis: "_Basis") -> int:
    """Return the number of expansions between two convergence checks.

    One expansion per check needs the fewest products. But each check costs an eigendecomposition
    of the size of the basis, and on a GPU the host has to wait for it.
    """
    if is_cuda(basis.operator.diagonal):
        return 3
    return 1 if basis.size < 6 else 2


def _done(pairs: RitzPairs, floor: Array, tol: float) -> Array:
    """Return which pairs satisfy (4), or cannot be improved because of roundoff."""
    first, second = pairs.residuals[:, 0], pairs.residuals[:, 1]
    gap = pairs.values[:, 1] - pairs.values[:, 0] - second
    # Without a positive gap, continue until the second residual shows that there is none.
    settled = (first <= floor) & ((gap > 0) | (second <= floor))
    return settled | (first <= tol * gap)


class _Basis:
    """An orthonormal basis Q, its products B·Q, and H = Qᵀ·A·Q.

    The null vector z is stored as row 0 of Q, so that projecting out Q removes it too.
    """

    def __init__(self, operator: LaplacianOperator, noise: Array) -> None:
        b, n = operator.diagonal.shape
        self.operator = operator
        self.size = 0
        self.n_products = 0
        self.n_restarts = 0
        self.floor = residual_floor(operator)
        self._least = 1e-2 * _scale(operator.diagonal)[:, None, None]
        self._noise = noise
        self._q = zeros((b, 1 + MAX_BASIS, n), operator.diagonal)
        self._q[:, 0] = operator.null
        self._bq = zeros((b, MAX_BASIS, n), operator.diagonal)
        self._h = zeros((b, MAX_BASIS, MAX_BASIS), astype(operator.diagonal[:, :1], "float64"))

    @property
    def _vectors(self) -> Array:
        return self._q[:, 1 : self.size + 1]

    def append(self, t: Array) -> Array:
        """Append the vectors `t`, (b, 2, n), after step (6); return B times the new vectors."""
        m, stop = self.size, self.size + 2
        q = self._q[:, : m + 1]
        once, _ = _orthonormalize_pair(_project_out(_unit(t), q))
        twice, rest = _orthonormalize_pair(_project_out(once, q))
        # Two passes of Gram-Schmidt are enough. A vector that loses more than half of its
        # squared norm in the second pass was roundoff after the first (criterion of Kahan and
        # Parlett).
        dependent = rest < 0.5
        if dependent.any():  # rare; even on a GPU, checking is cheaper than always replacing
            twice = self._replace_dependent(twice, dependent, q)
        self._q[:, m + 1 : stop + 1] = twice
        self.size, self.n_products = stop, self.n_products + 1
        new = self._vectors[:, m:]
        self._bq[:, m:stop] = product = self.operator.affinity_dot(new)
        applied = self.operator.diagonal[:, None] * new - product
        h = _inner(self._vectors, applied)
        self._h[:, :stop, m:stop] = h
        self._h[:, m:stop, :stop] = h.swapaxes(-1, -2)
        return product

    def _replace_dependent(self, t: Array, dependent: Array, q: Array) -> Array:
        """Return `t` with noise orthogonal to the basis in place of dependent vectors."""
        xp = namespace(t)
        noise = xp.concatenate([xp.roll(self._noise, q.shape[1] + j, -1) for j in (0, 1)], 1)
        fresh = xp.where(dependent[..., None], noise, t)
        # Recompute both vectors: the second was orthogonalized against a possibly dependent first.
        for _ in range(3):
            fresh, _ = _orthonormalize_pair(_project_out(_unit(fresh), q))
        # Vectors of other batches stay bitwise identical.
        return xp.where((dependent[:, :1] | dependent[:, 1:])[..., None], fresh, t)

    def preconditioner(self, theta: Array) -> Array:
        """Return 1 / (a − θ) of (5), (b, 2, n), with a − θ raised to a positive minimum."""
        difference = self.operator.diagonal[:, None] - theta[..., None]
        return 1.0 / namespace(theta).maximum(difference, self._least)

    def ritz(self) -> tuple[RitzPairs, Array]:
        """Return the two lowest Ritz pairs (2) and their residuals (3), (b, 2, n)."""
        m, a = self.size, self.operator.diagonal
        self._values, rotation = namespace(a).linalg.eigh(self._h[:, :m, :m])
        self._rotation = cast(rotation, a)
        y = self._rotation[:, :, :2].swapaxes(-1, -2)
        vectors = y @ self._vectors
        theta = cast(self._values[:, :2], a)
        residual = a[:, None] * vectors - y @ self._bq[:, :m] - theta[..., None] * vectors
        return RitzPairs(theta, vectors, _norm(residual), self.n_products), residual

    def restart(self) -> None:
        """Replace the basis with its lowest Ritz vectors; H becomes diagonal."""
        m, k = self.size, KEPT_AT_RESTART
        y = self._rotation[:, :, :k].swapaxes(-1, -2)
        self._q[:, 1 : k + 1] = y @ self._vectors
        self._bq[:, :k] = y @ self._bq[:, :m]
        self._h = zeros(tuple(self._h.shape), self._h)
        for j in range(k):
            self._h[:, j, j] = self._values[:, j]
        self.size, self.n_restarts = k, self.n_restarts + 1

    def select(self, batches: Array) -> "_Basis":
        """Return the bases of some batches, given by a mask of shape (b,)."""
        kept = _Basis(self.operator.take(batches), self._noise[batches])
        kept._q, kept._bq, kept._h = self._q[batches], self._bq[batches], self._h[batches]
        kept._values, kept._rotation = self._values[batches], self._rotation[batches]
        kept.size, kept.n_products = self.size, self.n_products
        kept.n_restarts = self.n_restarts
        return kept


def _project_out(t: Array, q: Array) -> Array:
    """Return `t` minus its projection onto the rows of `q`."""
    return t - cast(_inner(t, q), t) @ q


def _orthonormalize_pair(t: Array) -> tuple[Array, Array]:
    """Orthonormalize each pair in `t`, (b, 2, n), in place; return `t` and squared norms.

    The squared norms, (b, 2), are those of the vectors before normalization, after removing from
    the second vector its component along the first.
    """
    vecdot = namespace(t).linalg.vecdot
    first, second = t[:, 0], t[:, 1]
    left = vecdot(first, first)
    first /= _root(left)
    second -= vecdot(first, second)[..., None] * first
    right = vecdot(second, second)
    second /= _root(right)
    return t, namespace(t).stack([left, right], 1)


def _root(squares: Array) -> Array:
    """Return the square roots of squared norms, (b, 1), with 1 in place of 0."""
    return ((squares + (squares == 0)) ** 0.5)[..., None]


def _inner(u: Array, v: Array) -> Array:
    """Return the inner products (b, s, t) of rows.

    A float32 sum of a million products is too inaccurate, so chunk sums are added in float64.
    """
    n = u.shape[-1]
    if n <= ACCUMULATION_CHUNK:
        return u @ v.swapaxes(-1, -2)
    total = 0.0
    for start in range(0, n, ACCUMULATION_CHUNK):
        chunk = slice(start, start + ACCUMULATION_CHUNK)
        total = total + astype(u[..., chunk] @ v[..., chunk].swapaxes(-1, -2), "float64")
    return total


def _norm(t: Array) -> Array:
    return namespace(t).linalg.vecdot(t, t) ** 0.5


def _unit(t: Array) -> Array:
    """Return vectors scaled to norm 1; zero vectors stay zero."""
    return t / _root(namespace(t).linalg.vecdot(t, t))
