"""Iterative refinement of a float32 Fiedler vector in float64.

The operator is A = diag(d) − S, S = X̂·X̂ᵀ. Its eigenvectors orthogonal to 1 are those of the
Laplacian of the graph with the weights (1 + S)/2 (see `laplacian`). One step from a unit vector
v ⟂ 1

1. computes the residual in float64 from the factors,  r = A·v − θ·v,  θ = vᵀ·A·v       (1)
2. solves the correction equation in float32,          P·(A − θ)·P·t = −r,              (2)
   where P projects out v and 1, by conjugate gradients with the preconditioner 1 / (d − θ);
3. corrects the vector,                                v ← (v + t) / ‖v + t‖.           (3)

(A − θ) is positive definite on the range of P, because v is close to the lowest eigenvector. If
(2) is solved up to a residual ρ, the corrected vector has the residual ρ, apart from a component
(rᵀ·t)·v and from the float32 roundoff in (A − θ)·t. Both are proportional to ‖t‖, so the
Davis–Kahan bound needs no further float64 product:

    ‖v − v*‖ ≤ √2·(‖ρ‖ + ‖r‖·‖t‖ + c·eps·‖A‖·‖t‖) / gap.                                (4)

The float64 norms and degrees are computed only in the first step. No Gram matrix is computed in
float64.

References
----------
.. [1] J. J. Dongarra, C. B. Moler and J. H. Wilkinson, "Improving the accuracy of computed
   eigenvalues and eigenvectors", SIAM J. Numer. Anal. 20 (1983), doi:10.1137/0720002.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._fiedler.graph import DenseGraph, FactoredGraph, inverse_root

__all__ = ["refine"]

Floats = NDArray[np.float64]
Product = Callable[[Any], Any]

MAX_STEPS = 3
MAX_INNER = 12  # iterations of (2) per step
# Below this relative residual of (2), a new step (1) helps more than another iteration.
INNER_TOL = 1e-3
ROUNDOFF = 8.0  # c in (4), per product
_BLOCK_ENTRIES = 2**17  # 1 MiB of float64: a block stays in the cache


@np.errstate(all="ignore")  # BLAS may set floating-point flags in unused SIMD lanes
def refine(
    X: NDArray[np.float32],
    graph: DenseGraph | FactoredGraph,
    batch: int,
    vector: NDArray[np.float32],
    gap: float,
    settles: Callable[[Floats, float], bool],
) -> Floats | None:
    """Refine the Fiedler vector of one batch in float64 until `settles` returns True.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
        Features of the batch.
    graph : DenseGraph or FactoredGraph
        Cosine similarities of the stack that the batch belongs to, in float32.
    batch : int
        Position of the batch in the stack.
    vector : ndarray of shape (n,), float32
        Fiedler vector of the unnormalized Laplacian.
    gap : float
        Lower bound on the distance to the next eigenvalue of A.
    settles : callable
        Called with a vector and its error bound; returns whether the vector is accurate enough.

    Returns
    -------
    ndarray of shape (n,), float64, or None
        None if no vector was accurate enough.
    """
    dot = _product(graph, batch)
    factors = _Factors(X)
    v = vector.astype(np.float64)
    for _ in range(MAX_STEPS):
        v -= v.mean()
        v /= np.linalg.norm(v)
        product = factors.dot(v)
        theta = float(v @ (factors.degrees * v - product))
        r = factors.degrees * v - product - theta * v
        size = float(np.abs(factors.degrees).max()) + len(v)  # ≥ ‖A‖, as trace(S) ≤ n
        floor = ROUNDOFF * np.finfo(np.float64).eps * size
        for t, rest, n_products in _corrections(dot, factors.degrees, theta, v, r):
            length = float(np.linalg.norm(t))
            roundoff = ROUNDOFF * n_products * float(np.finfo(np.float32).eps) * size
            residual = rest + (float(np.linalg.norm(r)) + roundoff) * length + floor
            corrected: Floats = (v + t) / np.hypot(1, length)
            if settles(corrected, float(np.sqrt(2)) * residual / gap):
                return corrected
        v = corrected
    return None


def _corrections(
    dot: Product, degrees: Floats, theta: float, v: Floats, r: Floats
) -> Iterator[tuple[Floats, float, int]]:
    """Yield each iterate t of (2), the norm of its residual, and the number of products so far."""
    scale = float(np.linalg.norm(r))
    t = np.zeros_like(v)
    yield t, scale, 0
    if scale == 0:
        return
    a, unit = (degrees - theta).astype(np.float32), v.astype(np.float32)
    least = np.float32(1e-2 * np.abs(degrees).max())
    rest = (-r / scale).astype(np.float32)  # scaled to norm 1, so that nothing underflows
    z = _project(rest / np.maximum(a, least), unit)
    p, power = z, rest @ z
    for n_products in range(1, MAX_INNER + 1):
        q = _project(a * p - dot(p), unit)
        curvature = p @ q
        if not curvature > 0:
            return
        step = power / curvature
        t += scale * (step * p).astype(np.float64)
        rest = rest - step * q
        norm = float(np.linalg.norm(rest))
        yield t, norm * scale, n_products
        if norm <= INNER_TOL:
            return
        z = _project(rest / np.maximum(a, least), unit)
        previous, power = power, rest @ z
        p = z + (power / previous) * p


def _project(t: Any, v: Any) -> Any:
    """Return P·t: the component of `t` orthogonal to the unit vector `v` and to 1."""
    t = t - (v @ t) * v
    return t - t.mean()


def _product(graph: DenseGraph | FactoredGraph, batch: int) -> Product:
    """Return the product v ↦ S·v for one batch of the graph, in float32."""
    scale = graph.scale[batch] if graph.scale is not None else np.float32(1)
    if isinstance(graph, FactoredGraph):
        X = graph.X[batch]
        return lambda v: scale * (X @ ((scale * v) @ X))
    matrix = graph.matrix[batch]
    return lambda v: scale * ((scale * v) @ matrix)


class _Factors:
    """Computes S·v = X̂(X̂ᵀv) in float64; the first product also computes the degrees."""

    degrees: Floats

    def __init__(self, X: NDArray[np.float32]) -> None:
        self._X = X
        n, d = X.shape
        rows = max(1, _BLOCK_ENTRIES // d)
        self._blocks = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
        self._scale: Floats | None = None

    def dot(self, v: Floats) -> Floats:
        """Return S·v for v of shape (n,)."""
        first = self._scale is None
        scale = np.empty_like(v) if self._scale is None else self._scale
        vectors = [v, np.ones_like(v)] if first else [v]
        w = np.zeros((len(vectors), self._X.shape[1]))
        for where in self._blocks:
            rows = self._X[where].astype(np.float64)
            if first:
                scale[where] = inverse_root(np.linalg.vecdot(rows, rows))
            for total, u in zip(w, vectors, strict=True):
                total += (scale[where] * u[where]) @ rows
        out = np.empty((len(vectors), len(v)))
        for where in self._blocks:
            rows = self._X[where].astype(np.float64)
            for total, result in zip(w, out, strict=True):
                result[where] = scale[where] * (rows @ total)
        if first:
            self._scale, self.degrees = scale, out[1]
        product: Floats = out[0]
        return product
