"""The similarity graph of each candidate batch, as an operator.

A graph is represented by its degrees and its product with a vector. The cosine similarities are
the Gram matrix S of the normalized rows. They are stored either as the Gram matrix itself or as
its factors, which avoid an n × n array. Dense rows are not copied to normalize them: the
reciprocals of their norms are applied to the vectors instead. The similarity graph has the
weights (1 + S)/2, which are never negative (`NonnegativeGraph`).

Every graph has a leading batch axis: features have shape (b, n, d), and s vectors per batch have
shape (b, s, n), one vector per row.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from spectral_select._utils.array_namespace import Array, is_torch, namespace
from spectral_select._utils.validation import NotFiniteError

__all__ = [
    "DenseGraph",
    "FactoredGraph",
    "Graph",
    "NonnegativeGraph",
    "SparseGraph",
    "cosine_graph",
    "degrees_of",
    "inverse_root",
    "sparse_cosine_graph",
    "unit_maximum",
]

# With at least this many matrix entries, multiplying one vector at a time is faster (measured).
_LARGE = 2**19


class Graph(Protocol):
    """A batch of weighted graphs on n vertices each."""

    degrees: Array  # (b, n)

    @property
    def explicit(self) -> bool:
        """Whether the graph stores an n × n array."""
        ...

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
    explicit = True

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
    explicit = False

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
    explicit = False

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


@dataclass
class NonnegativeGraph:
    """The graph with the weights (1 + s_ij)/2 ≥ 0 for cosine similarities s_ij.

    Its degrees are positive, even for signed features. A row of zeros has weight ½ with every row,
    including itself.

    Parameters
    ----------
    similarities : Graph
        The cosine similarities as weights, some of which may be negative.
    """

    similarities: Graph

    def __post_init__(self) -> None:
        degrees = self.similarities.degrees
        self.degrees = (degrees.shape[-1] + degrees) / 2

    @property
    def explicit(self) -> bool:
        """Whether the similarities are stored as an n × n array."""
        return self.similarities.explicit

    def dot(self, v: Array) -> Array:
        """Return W·v = (S·v + 1·(1ᵀ·v))/2 for the weights W."""
        return (self.similarities.dot(v) + v.sum(-1)[..., None]) / 2

    def take(self, batches: Array) -> "NonnegativeGraph":
        """Return the graphs of some batches."""
        return NonnegativeGraph(self.similarities.take(batches))


@np.errstate(all="ignore")  # BLAS may set floating-point flags in unused SIMD lanes
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
    """Return the cosine similarities of each batch as a graph, in the cheaper form.

    Some weights may be negative; see `NonnegativeGraph`.

    Parameters
    ----------
    X : array of shape (b, n, d)
        Features in float32 or float64.
    factored : bool, optional
        Whether to use the factors instead of the Gram matrix. By default, True if n > 2d.

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
    """Return the cosine similarities of sparse features (n, d) in the factored form X̂·X̂ᵀ."""
    rows = unit_maximum(X)
    scale = inverse_root(np.asarray((rows * rows).sum(axis=1)).ravel())
    rows.data = rows.data * np.repeat(scale, np.diff(rows.indptr)).astype(X.dtype)
    return SparseGraph(rows, factored=True)


def unit_maximum(X: Array) -> Array:
    """Return (n, d) features, dense or sparse, with each row scaled to largest magnitude 1."""
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
