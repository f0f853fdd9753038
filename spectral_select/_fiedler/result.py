"""A Fiedler vector and what is known about it."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from spectral_select._utils.array_namespace import Array, namespace

__all__ = ["FiedlerResult", "Status", "first_batch", "rescale", "to_tensors"]


class Status(IntEnum):
    """What became of a solve; `message` says what to do about it.

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
    Status.DISCONNECTED: (
        "the graph is not connected: the vector tells its largest component from the rest; "
        "raise `n_neighbors`, or select from the components on their own"
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
        Distance to the next eigenvalue found, less its residual: a lower bound unless
        an eigenvalue was missed altogether. At most 0 when nothing could be shown.
    residual : float or array of shape (b,)
        ‖L·v − λ·v‖ as computed.
    error_bound : float or array of shape (b,)
        Davis–Kahan bound on the distance to the true eigenvector, rounding included;
        infinite when the gap could not be shown to be positive.
    n_iter : int or array of shape (b,)
        Iterations, of one product of two vectors with the affinity; 0 for a dense solve.
    status : Status or array of shape (b,)
        What became of the solve.

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
    """Return the result as torch tensors of the dtype and on the device of `X`."""
    torch = namespace(X)
    names = ("vector", "value", "gap", "residual", "error_bound")
    fields = {
        name: torch.as_tensor(getattr(result, name), dtype=X.dtype, device=X.device)
        for name in names
    }
    return replace(result, **fields)


def rescale(result: FiedlerResult, factor: float) -> FiedlerResult:
    """Return the result for the affinities times `factor`."""
    names = ("value", "gap", "residual")
    return replace(result, **{name: getattr(result, name) * factor for name in names})


def first_batch(result: FiedlerResult) -> FiedlerResult:
    """Return the result of the first batch, numbers as Python numbers."""
    return FiedlerResult(
        result.vector[0],
        float(result.value[0]),
        float(result.gap[0]),
        float(result.residual[0]),
        float(result.error_bound[0]),
        int(result.n_iter[0]),
        Status(int(result.status[0])),
    )
