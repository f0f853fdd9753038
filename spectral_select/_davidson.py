"""The lowest non-trivial eigenpair of a batch of Laplacians, by Davidson's method.

A = diag(a) − B with B the scaled affinity. Since (aᵢ − λ)vᵢ = (B·v)ᵢ, the diagonal is
nearly the whole story on a dense graph, and dividing a residual by (a − θ), Davidson's
preconditioner, converges in 8 to 16 products where Lanczos takes about 40. Everything
is vectorised over the batch axis, and a round of expansions needs no decision on the
host.

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
_KEPT_AT_RESTART = 5
_CHAIN = 2


@dataclass
class RitzPairs:
    """The two lowest Ritz pairs of each operator, orthogonal to its null vector.

    Attributes
    ----------
    values : array of shape (b, 2)
    vectors : array of shape (b, 2, n)
    residuals : array of shape (b, 2)
        ‖A·v − θ·v‖.
    n_products : array of shape (b,)
        Products with the affinity.
    """

    values: Array
    vectors: Array
    residuals: Array
    n_products: Array


def residual_floor(operator: LaplacianOperator) -> Array:
    """Return the residual, of shape (b,), below which rounding is all that is left.

    The one tolerance of the solver: 8·eps·‖A‖, with ‖A‖ measured by the diagonal.
    """
    a = operator.diagonal
    return 8.0 * epsilon(a) * namespace(a).amax(namespace(a).abs(a), -1)


def davidson(
    operator: LaplacianOperator,
    start: list[Array],
    *,
    tol: float,
    max_products: int,
) -> RitzPairs:
    """Return the two lowest Ritz pairs of `operator` orthogonal to its null vector.

    Parameters
    ----------
    operator : LaplacianOperator
        Of order n > 3, a batch of b.
    start : list of arrays of shape (b, n)
        At least two start vectors, not parallel to the null vector.
    tol : float
        A pair is done when its residual over its gap, the Davis–Kahan bound on the
        sine of the angle to the true eigenvector, is at most `tol`, or when rounding
        allows no more.
    max_products : int
        Largest number of products with the affinity per operator.

    Returns
    -------
    RitzPairs
    """
    basis = _Basis(operator)
    floor = residual_floor(operator)
    xp = namespace(floor)
    for vector in start:
        basis.append(vector)
    while True:
        pairs, residual_vectors = basis.ritz()
        first, second = pairs.residuals[:, 0], pairs.residuals[:, 1]
        gap = pairs.values[:, 1] - pairs.values[:, 0] - second
        settled = first <= floor
        done = (settled & (second <= xp.where(gap > 0, gap, floor))) | (first <= tol * gap)
        if bool(done.all()) or basis.n_products + _CHAIN + 1 > max_products:
            return pairs
        if basis.size + _CHAIN > min(_MAX_BASIS, operator.diagonal.shape[-1] - 1):
            basis.restart()
        # Once the first vector is as good as rounding allows, work on the gap.
        residual = xp.where(settled[:, None], residual_vectors[:, 1], residual_vectors[:, 0])
        preconditioner = _preconditioner(operator.diagonal, pairs.values[:, :1])
        t = residual * preconditioner
        for _ in range(_CHAIN):
            t = basis.append(t) * preconditioner


def _preconditioner(diagonal: Array, theta: Array) -> Array:
    """Return 1 / (a − θ), kept away from its poles."""
    xp = namespace(diagonal)
    difference = diagonal - theta
    floor = 1e-2 * xp.amax(xp.abs(diagonal), -1)[:, None] + xp.zeros_like(difference)
    floor = xp.where(floor > 0, floor, xp.ones_like(floor))
    return 1.0 / xp.where(xp.abs(difference) < floor, floor, difference)


class _Basis:
    """An orthonormal basis Q, its products B·Q, and H = Qᵀ·A·Q."""

    def __init__(self, operator: LaplacianOperator) -> None:
        b, n = operator.diagonal.shape
        self.operator = operator
        self.size = 0
        self.n_products = 0
        self._q = zeros((b, _MAX_BASIS, n), operator.diagonal)
        self._bq = zeros((b, _MAX_BASIS, n), operator.diagonal)
        self._h = zeros((b, _MAX_BASIS, _MAX_BASIS), astype(operator.diagonal[:, :1], "float64"))

    def append(self, t: Array) -> Array:
        """Add the part of `t` outside the basis; return its product with B."""
        xp, m = namespace(t), self.size
        null, a = self.operator.null, self.operator.diagonal
        for _ in range(2):  # twice is enough
            t = t - null * (t * null).sum(-1)[:, None]
            if m:
                q = self._q[:, :m]
                t = t - ((q @ t[..., None]).swapaxes(-1, -2) @ q)[:, 0]
            norm = xp.sqrt((t * t).sum(-1))[:, None]
            t = xp.where(norm > 0, t / xp.where(norm > 0, norm, xp.ones_like(norm)), t)
        product = self.operator.affinity_dot(t)
        self._q[:, m], self._bq[:, m] = t, product
        h = astype((self._q[:, : m + 1] @ (a * t - product)[..., None])[..., 0], "float64")
        # A vector with no part outside the basis is stored as 0: keep its spurious
        # Ritz value 0 out of the low end.
        dead = astype(norm[:, 0] == 0, "float64") * 4.0 * astype(xp.amax(xp.abs(a), -1), "float64")
        h[:, m] = h[:, m] + dead
        self._h[:, m, : m + 1] = h
        self._h[:, : m + 1, m] = h
        self.size, self.n_products = m + 1, self.n_products + 1
        return product

    def ritz(self) -> tuple[RitzPairs, Array]:
        """Return the two lowest Ritz pairs and their residual vectors, (b, 2, n)."""
        m, a = self.size, self.operator.diagonal
        xp = namespace(a)
        self._values, rotation = xp.linalg.eigh(self._h[:, :m, :m])
        self._rotation = astype(rotation, str(a.dtype).removeprefix("torch."))
        y = self._rotation[:, :, :2].swapaxes(-1, -2)
        vectors = y @ self._q[:, :m]
        values = self._values[:, :2]
        theta = astype(values, str(a.dtype).removeprefix("torch."))
        residual = a[:, None] * vectors - y @ self._bq[:, :m] - theta[..., None] * vectors
        norms = xp.sqrt((residual * residual).sum(-1))
        count = xp.full_like(norms[:, 0], self.n_products)
        return RitzPairs(theta, vectors, norms, count), residual

    def restart(self) -> None:
        """Keep the lowest Ritz vectors only."""
        m, k = self.size, min(_KEPT_AT_RESTART, self.size - 1)
        y = self._rotation[:, :, :k].swapaxes(-1, -2)
        self._q[:, :k], self._bq[:, :k] = y @ self._q[:, :m], y @ self._bq[:, :m]
        self._h = zeros(tuple(self._h.shape), self._h)
        for j in range(k):
            self._h[:, j, j] = self._values[:, j]
        self.size = k
