"""The lowest non-trivial eigenpair of a batch of Laplacians, by Davidson's method.

A = diag(a) − B with B the scaled affinity. Since (aᵢ − λ)vᵢ = (B·v)ᵢ, the diagonal is
nearly the whole story on a dense graph, and dividing a residual by (a − θ), Davidson's
preconditioner, converges in 8 to 16 products where Lanczos takes about 40. Everything
is vectorised over the batch axis, and a round of expansions needs no decision on the
host.

Two vectors are sought at a time: one alone converges in as many products, but is blind
to a second eigenvector of (nearly) the same eigenvalue, and would certify a gap that is
not there.

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

from ._graph import LaplacianOperator
from ._namespace import Array, astype, epsilon, namespace, zeros

__all__ = ["RitzPairs", "davidson", "residual_floor"]

# torch.linalg.eigh turns into a sequential loop on CUDA above order 32.
_MAX_BASIS = 24
_KEPT_AT_RESTART = 6


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
        Products with the affinity, of two vectors each.
    """

    values: Array
    vectors: Array
    residuals: Array
    n_products: int


def residual_floor(operator: LaplacianOperator) -> Array:
    """Return the residual, of shape (b,), below which rounding is all that is left.

    The one tolerance of the solver: 8·eps·‖A‖, with ‖A‖ measured by the diagonal.
    """
    a = operator.diagonal
    return 8.0 * epsilon(a) * namespace(a).amax(namespace(a).abs(a), -1)


def davidson(
    operator: LaplacianOperator,
    start: Array,
    *,
    tol: float,
    max_products: int,
) -> RitzPairs:
    """Return the two lowest Ritz pairs of `operator` orthogonal to its null vector.

    Parameters
    ----------
    operator : LaplacianOperator
        A batch of b, of order n > 25.
    start : array of shape (b, 2, n)
        Start vectors. The second one should have a part in every eigenvector: it also
        stands in where a direction is used up.
    tol : float
        A pair is done when its residual over its gap, the Davis–Kahan bound on the
        sine of the angle to the true eigenvector, is at most `tol`, or when rounding
        allows no more.
    max_products : int
        Largest number of products with the affinity, of two vectors each.

    Returns
    -------
    RitzPairs
    """
    basis = _Basis(operator, start[:, 1:])
    basis.append(start)
    found, _ = basis.ritz()
    rows = namespace(start).arange(len(start))  # of the batches not done before
    while True:
        pairs, residual = basis.ritz()
        done = _done(pairs, residual_floor(basis.operator), tol)
        finished = bool(done.all()) or basis.n_products >= max_products
        full = basis.size + 2 > _MAX_BASIS
        if finished or full:
            found.values[rows], found.vectors[rows] = pairs.values, pairs.vectors
            found.residuals[rows], found.n_products = pairs.residuals, basis.n_products
        if finished:
            return found
        if full:
            rows, residual = rows[~done], residual[~done]
            basis = basis.restarted(~done)
            pairs = RitzPairs(pairs.values[~done], pairs.vectors, pairs.residuals, 0)
        basis.append(residual * _preconditioner(basis.operator.diagonal, pairs.values))


def _done(pairs: RitzPairs, floor: Array, tol: float) -> Array:
    """Tell which vectors are accurate to `tol`, or as accurate as rounding allows."""
    first, second = pairs.residuals[:, 0], pairs.residuals[:, 1]
    gap = pairs.values[:, 1] - pairs.values[:, 0] - second
    # With no gap to show, go on until the second vector shows that there is none.
    settled = (first <= floor) & ((gap > 0) | (second <= floor))
    return settled | (first <= tol * gap)


def _preconditioner(diagonal: Array, theta: Array) -> Array:
    """Return 1 / (a − θ) for each θ, (b, 2, n), kept away from its poles."""
    xp = namespace(diagonal)
    difference = diagonal[:, None] - theta[..., None]
    floor = 1e-2 * xp.amax(xp.abs(diagonal), -1)[:, None, None] + xp.zeros_like(difference)
    floor = xp.where(floor > 0, floor, xp.ones_like(floor))
    return 1.0 / xp.where(xp.abs(difference) < floor, floor, difference)


class _Basis:
    """An orthonormal basis Q, its products B·Q, and H = Qᵀ·A·Q."""

    def __init__(self, operator: LaplacianOperator, noise: Array) -> None:
        b, n = operator.diagonal.shape
        self.operator = operator
        self.size = 0
        self.n_products = 0
        self._noise = noise
        self._q = zeros((b, _MAX_BASIS, n), operator.diagonal)
        self._bq = zeros((b, _MAX_BASIS, n), operator.diagonal)
        self._h = zeros((b, _MAX_BASIS, _MAX_BASIS), astype(operator.diagonal[:, :1], "float64"))

    def append(self, t: Array) -> None:
        """Add the parts of the vectors `t`, (b, s, n), that are outside the basis."""
        m, stop = self.size, self.size + t.shape[1]
        for j in range(m, stop):
            once = self._outside(t[:, j - m : j - m + 1], j, replace=True)
            self._q[:, j : j + 1] = self._outside(once, j)  # twice is enough
        new = self._q[:, m:stop]
        self._bq[:, m:stop] = product = self.operator.affinity_dot(new)
        applied = self.operator.diagonal[:, None] * new - product
        h = astype(self._q[:, :stop] @ applied.swapaxes(-1, -2), "float64")
        self._h[:, :stop, m:stop] = h
        self._h[:, m:stop, :stop] = h.swapaxes(-1, -2)
        self.size, self.n_products = stop, self.n_products + 1

    def _outside(self, t: Array, m: int, *, replace: bool = False) -> Array:
        """Return `t`, (b, 1, n), without its parts in the null vector and m of Q, unit.

        With `replace`, a vector that rounding alone keeps apart from those gives way to
        noise, which is not yet freed of them.
        """
        xp, null = namespace(t), self.operator.null[:, None]
        before = _norm(t) if replace else None
        t = t - (t * null).sum(-1)[..., None] * null
        if m:
            q = self._q[:, :m]
            t = t - (t @ q.swapaxes(-1, -2)) @ q
        after = _norm(t)
        if before is not None:
            used_up = after <= 8 * epsilon(t) * before
            t = xp.where(used_up, xp.roll(self._noise, m + 1, -1), t)
            after = xp.where(used_up, _norm(self._noise), after)
        return t / after

    def ritz(self) -> tuple[RitzPairs, Array]:
        """Return the two lowest Ritz pairs and their residual vectors, (b, 2, n)."""
        m, a = self.size, self.operator.diagonal
        dtype = str(a.dtype).removeprefix("torch.")
        self._values, rotation = namespace(a).linalg.eigh(self._h[:, :m, :m])
        self._rotation = astype(rotation, dtype)
        y = self._rotation[:, :, :2].swapaxes(-1, -2)
        vectors = y @ self._q[:, :m]
        theta = astype(self._values[:, :2], dtype)
        residual = a[:, None] * vectors - y @ self._bq[:, :m] - theta[..., None] * vectors
        return RitzPairs(theta, vectors, _norm(residual)[..., 0], self.n_products), residual

    def restarted(self, batches: Array) -> "_Basis":
        """Return the lowest Ritz vectors, as a basis for some of the batches."""
        m, k = self.size, _KEPT_AT_RESTART
        kept = _Basis(self.operator.take(batches), self._noise[batches])
        y = self._rotation[batches, :, :k].swapaxes(-1, -2)
        kept._q[:, :k] = y @ self._q[batches, :m]
        kept._bq[:, :k] = y @ self._bq[batches, :m]
        for j in range(k):
            kept._h[:, j, j] = self._values[batches, j]
        kept.size, kept.n_products = k, self.n_products
        return kept


def _norm(t: Array) -> Array:
    return namespace(t).sqrt((t * t).sum(-1))[..., None]
