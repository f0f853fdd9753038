"""The Laplacian of each graph of a batch, as an operator.

Cosine similarities s_ij may be negative. The graph has the weights w_ij = (1 + s_ij)/2 ≥ 0, so its
degrees and its unnormalized Laplacian are

(1)  d'_i = (n + d_i)/2,  L' = (n·I − 11ᵀ + L)/2,

where d and L = D − S belong to the similarities. By (1), L' and L have the same eigenvectors
orthogonal to 1, in the same order, and the eigenvalue λ of L becomes

(2)  λ' = (λ + n)/2.

So solvers for the unnormalized Laplacian work with L, which loses fewer digits if the similarities
cancel, and only the results are converted. Solvers for the normalized Laplacians work with the
degrees d', which are positive, and multiply vectors by the weights.
"""

from dataclasses import dataclass
from typing import Any

from spectral_select._fiedler.graph import Graph, NonnegativeGraph, inverse_root
from spectral_select._utils.array_namespace import Array, namespace

__all__ = ["LAPLACIANS", "LaplacianOperator", "NegativeDegreeError", "laplacian_operator"]

LAPLACIANS = ("unnormalized", "symmetric", "random_walk")


class NegativeDegreeError(ValueError):
    """A normalized Laplacian is requested for precomputed affinities with a negative degree.

    Parameters
    ----------
    laplacian : str
    degree : float
    row : int
        Row number in the whole input.
    """

    def __init__(self, laplacian: str, degree: float, row: int) -> None:
        self.laplacian, self.degree, self.row = laplacian, degree, row
        super().__init__(
            f"laplacian={laplacian!r} requires affinities with nonnegative row sums, "
            f"but row {row} of X sums to {degree:.3g}. For cosine similarities S, pass (1 + S) / 2"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.laplacian, self.degree, self.row)


@dataclass
class LaplacianOperator:
    """A graph Laplacian in the form ``scale``·(A + ``shift``·I), A = diag(diagonal) − T·S·T.

    The form holds on the complement of the trivial eigenvector. Solvers work with A.

    Attributes
    ----------
    diagonal : array of shape (b, n)
    null : array of shape (b, n)
        The unit eigenvector of the trivial eigenvalue 0 of A.
    transform : array of shape (b, n) or None
        Diagonal of T; None stands for the identity.
    scale, shift : float
    """

    graph: Graph
    diagonal: Array
    null: Array
    transform: Array | None = None
    scale: float = 1.0
    shift: float = 0.0

    def affinity_dot(self, v: Array) -> Array:
        """Return T·S·T·v for vectors (b, s, n)."""
        if self.transform is None:
            return self.graph.dot(v)
        transform = self.transform[:, None]
        return transform * self.graph.dot(transform * v)

    def take(self, batches: Array) -> "LaplacianOperator":
        """Return the operators of some batches, given by a mask of shape (b,)."""
        if bool(batches.all()):
            return self
        return LaplacianOperator(
            self.graph.take(batches),
            self.diagonal[batches],
            self.null[batches],
            None if self.transform is None else self.transform[batches],
            self.scale,
            self.shift,
        )


def laplacian_operator(graph: Graph, laplacian: str) -> LaplacianOperator:
    """Return the Laplacian of each graph.

    Parameters
    ----------
    graph : Graph
    laplacian : {"unnormalized", "symmetric", "random_walk"}
        D − S, or I − D^(-1/2)·S·D^(-1/2). The random-walk Laplacian I − D⁻¹S has the same
        eigenvalues as the symmetric one; its eigenvectors are those of the symmetric one times
        D^(-1/2).

    Returns
    -------
    LaplacianOperator

    Raises
    ------
    NegativeDegreeError
        If the Laplacian is normalized and a degree is negative; the error names the row.
    """
    degrees = graph.degrees
    xp = namespace(degrees)
    n = degrees.shape[-1]
    if laplacian == "unnormalized":
        flat = xp.full_like(degrees, n**-0.5)
        if isinstance(graph, NonnegativeGraph):  # equations (1) and (2)
            similarities = graph.similarities
            return LaplacianOperator(
                similarities, similarities.degrees, flat, scale=0.5, shift=float(n)
            )
        return LaplacianOperator(graph, degrees, flat)
    if not bool((degrees >= 0).all()):
        worst = int(degrees.reshape(-1).argmin())
        raise NegativeDegreeError(laplacian, float(degrees.reshape(-1)[worst]), worst)
    # An isolated vertex is its own component, so its row in the Laplacian is 0.
    linked = degrees > 0
    transform = xp.where(linked, inverse_root(degrees), xp.ones_like(degrees))
    diagonal = xp.where(linked, xp.ones_like(degrees), xp.zeros_like(degrees))
    null = xp.sqrt(degrees)
    total = xp.sqrt(degrees.sum(-1))[..., None]
    flat = xp.full_like(degrees, n**-0.5)
    null = xp.where(total > 0, null / xp.where(total > 0, total, xp.ones_like(total)), flat)
    return LaplacianOperator(graph, diagonal, null, transform)
