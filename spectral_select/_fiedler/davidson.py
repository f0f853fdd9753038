"""The lowest non-trivial eigenpair of a batch of Laplacians, by Davidson's method.

A = diag(a) − B with B the scaled affinity. Since (aᵢ − λ)vᵢ = (B·v)ᵢ, the diagonal is
nearly the whole story on a dense graph, and dividing a residual by (a − θ), Davidson's
preconditioner, converges in 8 to 16 products where Lanczos takes about 40. Everything
is vectorized over the batch axis, and a round of expansions needs no decision on the
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

from spectral_select._fiedler.graph import LaplacianOperator
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

__all__ = ["MOST_FLOORS", "RitzPairs", "davidson", "residual_floor"]

# torch.linalg.eigh turns into a sequential loop on CUDA above order 32.
_MAX_BASIS = 20
_KEPT_AT_RESTART = 6
_STRETCH = 2**14
# The roundoff tolerance grows by one floor per restart, up to this many floors.
MOST_FLOORS = 16
# The first guess shares the symmetries of the graph: on a star it is an eigenvector at
# once, and so is the noise, while others of the same eigenvalue were not met yet.
_LEAST_PRODUCTS = 4


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

    def where(self, mask: Array, others: "RitzPairs") -> "RitzPairs":
        """Return these pairs where `mask`, of shape (b,), holds, and `others` elsewhere."""
        choose = namespace(mask).where
        return RitzPairs(
            choose(mask[:, None], self.values, others.values),
            choose(mask[:, None, None], self.vectors, others.vectors),
            choose(mask[:, None], self.residuals, others.residuals),
            self.n_products,
        )

    def taken(self, batches: Array) -> "RitzPairs":
        """Return the pairs of some batches, given by a mask of shape (b,)."""
        return RitzPairs(
            self.values[batches], self.vectors[batches], self.residuals[batches], self.n_products
        )

    def put(self, rows: Array, pairs: "RitzPairs") -> None:
        """Replace the pairs of the batches `rows`."""
        self.values[rows], self.vectors[rows] = pairs.values, pairs.vectors
        self.residuals[rows], self.n_products = pairs.residuals, pairs.n_products


def residual_floor(operator: LaplacianOperator) -> Array:
    """Return the residual, of shape (b,), below which rounding is all that is left.

    The one tolerance of the solver: max(8, √n / 8)·eps·‖A‖, with ‖A‖ measured by the
    diagonal; the error of a long sum grows as the root of its length.
    """
    a = operator.diagonal
    return max(8.0, a.shape[-1] ** 0.5 / 8) * epsilon(a) * _scale(a)


def _scale(a: Array) -> Array:
    """Return max |a| of each row, (b,), or 1 where that is 0."""
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
    found = best = pairs
    rows = arange(len(start), start)  # of the batches in the basis
    open_ = rows >= 0
    while True:
        # A batch keeps the pairs it was first done with: what becomes of it does not
        # depend on the batches beside it.
        best = pairs.where(open_, best)
        # Each restart adds its own rounding to what the basis remembers.
        floor = basis.floor * min(1 + basis.n_restarts, MOST_FLOORS)
        done = _done(pairs, floor, tol)
        open_ = open_ & ~(done & (basis.n_products >= _LEAST_PRODUCTS))
        bar.update()
        n_open = int(open_.sum())
        finished = n_open == 0 or basis.n_products >= max_products
        if finished or 2 * n_open < len(open_):
            found.put(rows, best)
            if finished:
                return found
            rows, residual = rows[open_], residual[open_]
            basis, pairs = basis.taken(open_), pairs.taken(open_)
            best, open_ = pairs, open_[open_]
        chain = min(_chain(basis), max_products - basis.n_products)
        if basis.size + 2 * chain > _MAX_BASIS:
            basis.restart()
        preconditioner = basis.preconditioner(pairs.values)
        t = residual * preconditioner
        for _ in range(chain):
            t = basis.append(t) * preconditioner
        pairs, residual = basis.ritz()


def _chain(basis: "_Basis") -> int:
    """Return the number of expansions between two decisions.

    One converges in the fewest products, but a decision takes an eigendecomposition of
    the order of the basis, and on a GPU the host waits for it. In a chain,
    (a − θ)⁻¹·B applied again takes the place of the next residual.
    """
    if is_cuda(basis.operator.diagonal):
        return 3
    return 1 if basis.size < 6 else 2


def _done(pairs: RitzPairs, floor: Array, tol: float) -> Array:
    """Tell which vectors are accurate to `tol`, or as accurate as rounding allows."""
    first, second = pairs.residuals[:, 0], pairs.residuals[:, 1]
    gap = pairs.values[:, 1] - pairs.values[:, 0] - second
    # With no gap to show, go on until the second vector shows that there is none.
    settled = (first <= floor) & ((gap > 0) | (second <= floor))
    return settled | (first <= tol * gap)


class _Basis:
    """An orthonormal basis Q, its products B·Q, and H = Qᵀ·A·Q.

    The null vector is the first row of Q: to be orthogonal to Q is to be orthogonal to it.
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
        self._q = zeros((b, 1 + _MAX_BASIS, n), operator.diagonal)
        self._q[:, 0] = operator.null
        self._bq = zeros((b, _MAX_BASIS, n), operator.diagonal)
        self._h = zeros((b, _MAX_BASIS, _MAX_BASIS), astype(operator.diagonal[:, :1], "float64"))

    @property
    def _vectors(self) -> Array:
        return self._q[:, 1 : self.size + 1]

    def append(self, t: Array) -> Array:
        """Add the parts of the vectors `t`, (b, 2, n), outside the basis; return B times them."""
        m, stop = self.size, self.size + 2
        q = self._q[:, : m + 1]
        once, _ = _apart(_outside(_unit(t), q))
        twice, rest = _apart(_outside(once, q))
        # Twice is enough, and what loses half of its square the second time was nothing
        # but rounding error the first time (the test of Kahan and Parlett).
        used_up = rest < 0.5
        if used_up.any():  # rare: on a GPU, waiting for it costs less than doing the work
            twice = self._replaced(twice, used_up, q)
        self._q[:, m + 1 : stop + 1] = twice
        self.size, self.n_products = stop, self.n_products + 1
        new = self._vectors[:, m:]
        self._bq[:, m:stop] = product = self.operator.affinity_dot(new)
        applied = self.operator.diagonal[:, None] * new - product
        h = _inner(self._vectors, applied)
        self._h[:, :stop, m:stop] = h
        self._h[:, m:stop, :stop] = h.swapaxes(-1, -2)
        return product

    def _replaced(self, t: Array, used_up: Array, q: Array) -> Array:
        """Return `t` with noise from outside the basis in place of the vectors used up."""
        xp = namespace(t)
        noise = xp.concatenate([xp.roll(self._noise, q.shape[1] + j, -1) for j in (0, 1)], 1)
        fresh = xp.where(used_up[..., None], noise, t)
        # All over again: a second vector was kept apart from a first that was but noise.
        for _ in range(3):
            fresh, _ = _apart(_outside(_unit(fresh), q))
        # To the last bit, other batches stay as they are.
        return xp.where((used_up[:, :1] | used_up[:, 1:])[..., None], fresh, t)

    def preconditioner(self, theta: Array) -> Array:
        """Return 1 / (a − θ) for each θ, (b, 2, n), kept positive and away from its pole."""
        difference = self.operator.diagonal[:, None] - theta[..., None]
        return 1.0 / namespace(theta).maximum(difference, self._least)

    def ritz(self) -> tuple[RitzPairs, Array]:
        """Return the two lowest Ritz pairs and their residual vectors, (b, 2, n)."""
        m, a = self.size, self.operator.diagonal
        self._values, rotation = namespace(a).linalg.eigh(self._h[:, :m, :m])
        self._rotation = cast(rotation, a)
        y = self._rotation[:, :, :2].swapaxes(-1, -2)
        vectors = y @ self._vectors
        theta = cast(self._values[:, :2], a)
        residual = a[:, None] * vectors - y @ self._bq[:, :m] - theta[..., None] * vectors
        return RitzPairs(theta, vectors, _norm(residual), self.n_products), residual

    def restart(self) -> None:
        """Keep the lowest Ritz vectors only."""
        m, k = self.size, _KEPT_AT_RESTART
        y = self._rotation[:, :, :k].swapaxes(-1, -2)
        self._q[:, 1 : k + 1] = y @ self._vectors
        self._bq[:, :k] = y @ self._bq[:, :m]
        self._h = zeros(tuple(self._h.shape), self._h)
        for j in range(k):
            self._h[:, j, j] = self._values[:, j]
        self.size, self.n_restarts = k, self.n_restarts + 1

    def taken(self, batches: Array) -> "_Basis":
        """Return the bases of some batches, given by a mask of shape (b,)."""
        kept = _Basis(self.operator.take(batches), self._noise[batches])
        kept._q, kept._bq, kept._h = self._q[batches], self._bq[batches], self._h[batches]
        kept._values, kept._rotation = self._values[batches], self._rotation[batches]
        kept.size, kept.n_products = self.size, self.n_products
        kept.n_restarts = self.n_restarts
        return kept


def _outside(t: Array, q: Array) -> Array:
    """Return what is left of `t` without its parts in the rows of `q`."""
    return t - cast(_inner(t, q), t) @ q


def _apart(t: Array) -> tuple[Array, Array]:
    """Make each pair of `t`, (b, 2, n), orthonormal in place; return it and what was left.

    The second value, (b, 2), is the square of each vector's part outside those before it.
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
    """Return the roots of squared norms, (b, 1), or 1 where one is 0."""
    return ((squares + (squares == 0)) ** 0.5)[..., None]


def _inner(u: Array, v: Array) -> Array:
    """Return the inner products (b, s, t) of rows.

    A sum of a million float32 products is too coarse: stretches are summed in float64.
    """
    n = u.shape[-1]
    if n <= _STRETCH:
        return u @ v.swapaxes(-1, -2)
    total = 0.0
    for start in range(0, n, _STRETCH):
        stretch = slice(start, start + _STRETCH)
        total = total + astype(u[..., stretch] @ v[..., stretch].swapaxes(-1, -2), "float64")
    return total


def _norm(t: Array) -> Array:
    return namespace(t).linalg.vecdot(t, t) ** 0.5


def _unit(t: Array) -> Array:
    """Return vectors of norm 1; a vector of zeros stays one."""
    return t / _root(namespace(t).linalg.vecdot(t, t))
