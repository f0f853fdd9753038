"""A Fiedler vector with its eigenvalue, error bound and status."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from spectral_select._utils.array_namespace import Array, namespace

__all__ = ["FiedlerResult", "Status", "first_batch", "rescale", "to_tensors"]


class Status(IntEnum):
    """Outcome of a solve; `message` explains it and suggests a remedy.

    Examples
    --------
    >>> from spectral_select import Status
    >>> Status.NOT_CONVERGED.name, int(Status.NOT_CONVERGED)
    ('NOT_CONVERGED', 2)
    >>> Status.CONVERGED.message
    'converged'
    """

    CONVERGED = 0
    NEAR_DEGENERATE = 1
    NOT_CONVERGED = 2
    DISCONNECTED = 3

    @property
    def message(self) -> str:
        """A one-line explanation of the status."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.CONVERGED: "converged",
    Status.NEAR_DEGENERATE: (
        "the second and third smallest eigenvalues of the Laplacian are too close to tell "
        "apart, so the Fiedler vector is not unique; the batch may hold duplicates or "
        "unconnected components, or float64 features may be needed"
    ),
    Status.NOT_CONVERGED: (
        "the solver ran out of iterations before the Fiedler vector was accurate to `tol`; "
        "raise `max_iter` or `tol`"
    ),
    Status.DISCONNECTED: (
        "the graph is not connected, so the vector separates its largest component from the "
        "rest; raise `n_neighbors`, or select from each component separately"
    ),
}


@dataclass(frozen=True)
class FiedlerResult:
    """A Fiedler vector with its eigenvalue, error bound and status.

    For a stack of b batches, every field has a leading axis of length b.

    Attributes
    ----------
    vector : array of shape (n,) or (b, n)
        The Fiedler vector, of unit norm. Its entry of largest magnitude is positive.
    value : float or array of shape (b,)
        The algebraic connectivity: the quadratic form of the Laplacian at the vector. With the
        unnormalized Laplacian of cosine similarities, the eigenvalue of SALN's Algorithm 1 is
        ``2 * value - n``.
    gap : float or array of shape (b,)
        Distance to the next computed eigenvalue, minus the residual of the latter. This is a lower
        bound on the true distance unless the solver missed an eigenvalue. The gap is 0 or negative
        if none could be established.
    residual : float or array of shape (b,)
        ‖L·v − λ·v‖ as computed.
    error_bound : float or array of shape (b,)
        Davis–Kahan bound on the distance to the true eigenvector, including roundoff; infinite if
        `gap` is not positive.
    n_iter : int or array of shape (b,)
        Number of iterations, each of which multiplies two vectors by the affinity; 0 for a dense
        solve.
    status : Status or array of shape (b,)
        Outcome of the solve.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select import fiedler_vector
    >>> path = np.diag([1.0, 1.0], 1) + np.diag([1.0, 1.0], -1)  # three vertices in a row
    >>> result = fiedler_vector(path, affinity="precomputed")
    >>> round(result.value, 6), round(result.gap, 6), result.status.name
    (1.0, 2.0, 'CONVERGED')
    >>> np.abs(result.vector).round(3)
    array([0.707, 0.   , 0.707])
    """

    vector: Array
    value: Any
    gap: Any
    residual: Any
    error_bound: Any
    n_iter: Any
    status: Any


def to_tensors(result: FiedlerResult, X: Array) -> FiedlerResult:
    """Return the result as torch tensors with the dtype and device of `X`."""
    torch = namespace(X)
    names = ("vector", "value", "gap", "residual", "error_bound")
    fields = {
        name: torch.as_tensor(getattr(result, name), dtype=X.dtype, device=X.device)
        for name in names
    }
    return replace(result, **fields)


def rescale(result: FiedlerResult, factor: float) -> FiedlerResult:
    """Return the result for affinities multiplied by `factor`."""
    names = ("value", "gap", "residual")
    return replace(result, **{name: getattr(result, name) * factor for name in names})


def first_batch(result: FiedlerResult) -> FiedlerResult:
    """Return the result for the first batch, with Python numbers."""
    return FiedlerResult(
        result.vector[0],
        float(result.value[0]),
        float(result.gap[0]),
        float(result.residual[0]),
        float(result.error_bound[0]),
        int(result.n_iter[0]),
        Status(int(result.status[0])),
    )
