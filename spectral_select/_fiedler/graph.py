"""The similarity graph of each candidate batch, as an operator.

A graph is represented by its degrees and its product with a vector. For cosine similarity, the
affinity S is the Gram matrix of the normalized rows. It is stored either as the Gram matrix
itself or as its factors, which avoid an n × n array. Rows are never normalized in a copy: their
norms are applied to the vectors instead.

Every graph has a leading batch axis: features have shape (b, n, d), and s vectors per batch have
shape (b, s, n), one vector per row.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from spectral_select._utils.array_namespace import Array, is_torch, namespace
from spectral_select._utils.validation import NotFiniteError

__all__ = [
    "LAPLACIANS",
    "DenseGraph",
    "FactoredGraph",
    "Graph",
    "LaplacianOperator",
    "NegativeDegreeError",
    "SparseGraph",
    "cosine_graph",
    "degrees_of",
    "inverse_root",
    "laplacian_operator",
    "sparse_cosine_graph",
    "unit_maximum",
]

LAPLACIANS = ("unnormalized", "symmetric", "random_walk")

_LARGE = 2**19  # number of entries; measured


class NegativeDegreeError(ValueError):
    """A normalized Laplacian is requested although a row has a negative degree.

    Parameters
    ----------
    laplacian : str
    degree : float
    row : int
        Row number in the whole input.
    name : str, default="X"
        Name of the argument that holds the features or affinities.
    """

    def __init__(self, laplacian: str, degree: float, row: int, name: str = "X") -> None:
        self.laplacian, self.degree, self.row, self.name = laplacian, degree, row, name
        super().__init__(
            f"laplacian={laplacian!r} needs a graph without negative degrees, but row {row} of "
            f"{name} has degree {degree:.3g}: most of its similarities to other rows are negative. "
            "Use laplacian='unnormalized', or features without negative entries"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.laplacian, self.degree, self.row, self.name)


class Graph(Protocol):
    """A batch of weighted graphs on n vertices each."""

    degrees: Array  # (b, n)

    def dot(self, v: Array) -> Array:
        """Return S·v for each vector: (b, s, n) in, (b, s, n) out."""
        ...

    def take(self, batches: Array) -> "Graph":
        """Return the graphs of some batches, given by a mask of shape (b,)."""
        ...


@dataclass
class DenseGraph:
    """A graph with an explicit affinity matrix, up to a diagonal scaling.

    Parameters
    ----------
    matrix : array of shape (b, n, n)
        Symmetric matrices.
    scale : array of shape (b, n) or None
        The affinity is ``scale[:, None] * matrix * scale[None, :]``.
    """

    matrix: Array
    scale: Array | None = None

    def __post_init__(self) -> None:
        self.degrees = degrees_of(self, self.matrix[..., 0])

    def dot(self, v: Array) -> Array:
        """Return S·v."""
        if self.scale is None:
            return _times(v, self.matrix)
        scale = self.scale[:, None]
        return scale * _times(scale * v, self.matrix)

    def take(self, batches: Array) -> "DenseGraph":
        """Return the graphs of some batches."""
        scale = None if self.scale is None else self.scale[batches]
        return DenseGraph(self.matrix[batches], scale)


@dataclass
class FactoredGraph:
    """The cosine graph as S·v = X̂(X̂ᵀv), which avoids an n × n array; used if n > 2d.

    Parameters
    ----------
    X : array of shape (b, n, d)
        Features, not normalized.
    scale : array of shape (b, n)
        Reciprocal of the norm of each row; 0 for a row of zeros.
    """

    X: Array
    scale: Array

    def __post_init__(self) -> None:
        self.degrees = degrees_of(self, self.scale)

    def dot(self, v: Array) -> Array:
        """Return S·v."""
        scale = self.scale[:, None]
        return scale * _times(_times(scale * v, self.X), self.X.swapaxes(-1, -2))

    def take(self, batches: Array) -> "FactoredGraph":
        """Return the graphs of some batches."""
        return FactoredGraph(self.X[batches], self.scale[batches])


@dataclass
class SparseGraph:
    """A single graph, given by a sparse affinity matrix or by sparse factors.

    Parameters
    ----------
    matrix : sparse array of shape (n, n), or of shape (n, d) if `factored`
    factored : bool
        Whether the affinity is ``matrix @ matrix.T``.
    """

    matrix: sparse.sparray
    factored: bool = False

    def __post_init__(self) -> None:
        self.degrees = degrees_of(self, np.ones((1, self.matrix.shape[0]), self.matrix.dtype))

    def dot(self, v: Array) -> Array:
        """Return S·v."""
        w = v[0].T
        if self.factored:
            w = self.matrix.T @ w
        return (self.matrix @ w).T[None]

    def take(self, batches: Array) -> "SparseGraph":
        """Return the graph itself, because there is only one."""
        return self


@np.errstate(all="ignore")  # BLAS may set flags in lanes whose results it does not use
def _times(v: Array, matrix: Array) -> Array:
    """Return the vectors (b, s, n) times the matrix (b, n, m) of each batch.

    Multiplying a few vectors by a matrix is memory-bound, and BLAS copies the matrix first unless
    it is called for one vector at a time.
    """
    if not is_torch(v):
        return (v[:, :, None] @ matrix[:, None])[:, :, 0]
    if v.is_cuda or matrix.shape[-2] * matrix.shape[-1] < _LARGE:
        return v @ matrix
    stack = namespace(v).stack
    return stack([stack([u @ m for u in vectors]) for vectors, m in zip(v, matrix, strict=True)])


def degrees_of(graph: Graph, like: Array) -> Array:
    """Return the degrees S·1, with the shape of `like`, (b, n)."""
    return graph.dot(namespace(like).ones_like(like)[:, None])[:, 0]


def cosine_graph(X: Array, *, factored: bool | None = None) -> DenseGraph | FactoredGraph:
    """Return the cosine-similarity graph of each batch, in the cheaper form.

    Parameters
    ----------
    X : array of shape (b, n, d)
        Features in float32 or float64.
    factored : bool, optional
        Whether to use the factors instead of the Gram matrix; by default, if n > 2d.

    Returns
    -------
    DenseGraph or FactoredGraph
        A row of zeros has similarity 0 with every row, including itself.

    Raises
    ------
    NotFiniteError
        If X holds NaN or infinity.
    """
    _, n, d = X.shape
    if factored is None:
        factored = n > 2 * d
    with np.errstate(all="ignore"):  # rescaled below if necessary
        if factored:
            squared = _squared_norms(X)
        else:
            gram = X @ X.swapaxes(-1, -2)
            squared = namespace(X).diagonal(gram, 0, -2, -1)
    if not _safe(squared):
        rescaled = _rescaled(X)
        if rescaled is not X:
            return cosine_graph(rescaled, factored=factored)
    scale = inverse_root(squared)
    return FactoredGraph(X, scale) if factored else DenseGraph(gram, scale)


def sparse_cosine_graph(X: sparse.sparray) -> SparseGraph:
    """Return the cosine graph of sparse features (n, d) in the factored form S = X̂·X̂ᵀ."""
    rows = unit_maximum(X)
    scale = inverse_root(np.asarray((rows * rows).sum(axis=1)).ravel())
    rows.data = rows.data * np.repeat(scale, np.diff(rows.indptr)).astype(X.dtype)
    return SparseGraph(rows, factored=True)


def unit_maximum(X: Array) -> Array:
    """Return (n, d) features, dense or sparse, with each row scaled to a largest magnitude of 1."""
    largest = abs(X).max(axis=1)
    largest = largest.toarray().ravel() if sparse.issparse(X) else largest
    largest = np.where(largest > 0, largest, 1).astype(X.dtype)
    if not sparse.issparse(X):
        return X / largest[:, None]
    rows = X.copy()
    rows.data = rows.data / np.repeat(largest, np.diff(rows.indptr))
    return rows


def _squared_norms(X: Array) -> Array:
    """Return the squared norm of each row in one pass, without a temporary of X's size."""
    return namespace(X).linalg.vecdot(X, X)


def _safe(squared: Array) -> bool:
    """Return whether all squared norms are far from overflow and underflow."""
    return bool((squared > 1e-30).all()) and bool((squared < 1e30).all())


def _rescaled(X: Array) -> Array:
    """Return X with each row divided by its largest magnitude, or X itself if not needed."""
    xp = namespace(X)
    largest = xp.amax(xp.abs(X), -1)
    if not bool(xp.isfinite(largest).all()):
        raise NotFiniteError
    harmless = ((largest > 1e-12) & (largest < 1e12)) | (largest == 0) | (largest == 1)
    if bool(harmless.all()):
        return X
    return X / xp.where(largest > 0, largest, xp.ones_like(largest))[..., None]


def inverse_root(x: Array) -> Array:
    """Return x^(-1/2), and 0 where x is 0."""
    xp = namespace(x)
    positive = x > 0
    return xp.where(positive, xp.where(positive, x, xp.ones_like(x)) ** -0.5, xp.zeros_like(x))


@dataclass
class LaplacianOperator:
    """A graph Laplacian in the form A = diag(diagonal) − T·S·T.

    Attributes
    ----------
    diagonal : array of shape (b, n)
    null : array of shape (b, n)
        The unit eigenvector of the trivial eigenvalue 0.
    transform : array of shape (b, n) or None
        Diagonal of T; None stands for the identity.
    """

    graph: Graph
    diagonal: Array
    null: Array
    transform: Array | None = None

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
        return LaplacianOperator(graph, degrees, xp.full_like(degrees, n**-0.5))
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
