"""Similarity graphs of a dataset, stored as factors without an n × n matrix.

With the basis b(x) of a row, the similarity of two rows is

    S = B·K⁻¹·Bᵀ,   S_ij = b(x_i)ᵀ·K⁻¹·b(x_j),                                            (1)

- cosine:  b(x) = (x̂, 1)/√2,  K = I,  so S_ij = (1 + x̂_i·x̂_j)/2;
- heat:    b(x) = exp(−γ·‖x̂ − l‖²/s) for the landmarks l, where s is the median of ‖x̂ − l‖², and
  K is the kernel of the landmarks (Nyström's method [1]_).

Here x̂ is the standardized row x, scaled to length 1. With few features, a heat kernel may use x
itself instead.

References
----------
.. [1] C. Williams and M. Seeger, "Using the Nyström method to speed up kernel machines",
   NeurIPS 2000.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import euclidean_distances

from spectral_select._dataset_graph.moments import Moments, accumulate_moments, combine_moments
from spectral_select._utils.array_namespace import Array, to_numpy

__all__ = [
    "Block",
    "Graph",
    "Rows",
    "cosine_graph",
    "evenly_spaced_rows",
    "heat_graph",
    "unit_rows",
]

Block = NDArray[np.float32]
Floats = NDArray[np.float64]

_BLOCK_ENTRIES = 2**20
_N_DISTANCES = 2000  # number of rows used to estimate s, the median squared distance
_JITTER = 1e-5  # added to the diagonal of K
_LEAST_DISTANCE = 1e-6


class Rows:
    """Standardized rows, read block by block; sparse rows are only scaled to length 1.

    Parameters
    ----------
    X : array of shape (n, d)
        Checked features.
    like : Rows, optional
        Rows whose mean and scale are used for standardizing; by default, those of `X`.
    """

    @np.errstate(all="ignore")  # underflow to 0 is correct
    def __init__(self, X: Array, like: "Rows | None" = None) -> None:
        self._X = X
        self.n, self.d = X.shape
        self.mean: NDArray[Any] | None = None
        self._scale: NDArray[Any] = np.ones(self.d, np.float32)
        if like is not None:
            self.mean, self._scale = like.mean, like._scale
            return
        if sparse.issparse(X):
            return
        unit = 0.0

        def parts() -> Iterator[Moments]:
            nonlocal unit
            for place in self.places(self.d):
                rows = np.asarray(to_numpy(X[place]), np.float64)
                unit = unit or float(np.abs(rows).max())
                # In this unit, squares neither overflow nor underflow.
                yield accumulate_moments(rows / (unit or 1.0))

        mean, scale = combine_moments(parts()).mean_and_scale()
        # Single precision cannot represent all double-precision values.
        dtype = np.float64 if X.dtype == np.float64 else np.float32
        self.mean = (mean * (unit or 1.0)).astype(dtype)
        self._scale = (scale / (unit or 1.0)).astype(dtype)

    @classmethod
    def scaled(cls, X: Any, mean: NDArray[Any], scale: NDArray[Any]) -> "Rows":
        """Return rows of real numbers that are standardized by a given mean and scale."""
        rows, dtype = cls.__new__(cls), X.dtype
        rows._X, (rows.n, rows.d) = X, X.shape
        # Single precision cannot represent all doubles and long integers.
        dtype = np.float32 if dtype in (np.float16, np.float32) else np.float64
        rows.mean, rows._scale = mean.astype(dtype), scale.astype(dtype)
        return rows

    def places(self, width: int) -> Iterator[slice]:
        """Yield blocks of rows, short enough that arrays of `width` columns stay small."""
        step = max(1, _BLOCK_ENTRIES // max(width, self.d))
        for start in range(0, self.n, step):
            yield slice(start, min(start + step, self.n))

    def parts(self, indices: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
        """Yield blocks of the row numbers `indices`, sized as in `places`."""
        step = max(1, _BLOCK_ENTRIES // max(width, self.d))
        for start in range(0, len(indices), step):
            yield indices[start : start + step]

    def __getitem__(self, place: Any) -> Block:
        rows: Any = self._X[place]
        rows = rows.toarray() if sparse.issparse(rows) else to_numpy(rows)
        if self.mean is None:
            largest = np.abs(rows).max(1, keepdims=True)
            return unit_rows(np.asarray(rows / np.where(largest > 0, largest, 1), np.float32))
        return np.asarray((rows - self.mean) * self._scale, np.float32)


@dataclass
class Graph:
    """A similarity graph (1).

    Attributes
    ----------
    name : str
        The kind of graph, with its scale.
    unit : bool
        Whether rows are scaled to length 1.
    landmarks : ndarray of shape (m, d) or None
        Rows at which the kernel is centered; None means the cosine graph.
    rate : float
        γ/s.
    """

    name: str
    unit: bool = True
    landmarks: Block | None = None
    rate: float = 0.0

    def __post_init__(self) -> None:
        if self.landmarks is not None:
            # −rate·‖x − l‖² = (x, ‖x‖², 1)·(2·rate·l, −rate, −rate·‖l‖²)
            squares = _squares(self.landmarks)
            last = [np.full_like(squares, -self.rate), np.float32(-self.rate) * squares]
            self._factor = np.vstack([np.float32(2 * self.rate) * self.landmarks.T, *last])

    def basis(self, rows: Block) -> Block:
        """Return b(x) of each row, shape (k, m)."""
        rows = unit_rows(rows) if self.unit else rows
        one = np.ones(len(rows), np.float32)
        if self.landmarks is None:
            return np.column_stack([rows, one]) * np.float32(0.5**0.5)
        values: Block = np.column_stack([rows, _squares(rows), one]) @ self._factor
        return np.exp(np.minimum(values, 0, out=values), out=values)

    def size(self, d: int) -> int:
        """Return m for rows of `d` columns."""
        return d + 1 if self.landmarks is None else len(self.landmarks)

    def kernel(self, d: int) -> Floats:
        """Return K, shape (m, m), for rows of `d` columns."""
        if self.landmarks is None:
            return np.eye(d + 1)
        squares = euclidean_distances(self.landmarks.astype(np.float64), squared=True)
        kernel: Floats = np.exp(-self.rate * squares) + _JITTER * np.eye(len(squares))
        return kernel


def cosine_graph() -> Graph:
    """Return the graph of cosine similarities."""
    return Graph("cosine")


def heat_graph(
    rows: Rows, scale: float, landmarks: NDArray[np.int64], *, unit: bool = True
) -> Graph:
    """Return the graph of a heat kernel.

    Parameters
    ----------
    rows : Rows
        The dataset.
    scale : float
        γ of (1).
    landmarks : ndarray of shape (m,)
        Row numbers of the landmarks.
    unit : bool, default=True
        Whether rows are scaled to length 1.
    """
    some_rows = unit_rows if unit else np.asarray
    centers: Block = some_rows(rows[landmarks])
    x = some_rows(rows[evenly_spaced_rows(rows.n, _N_DISTANCES)])
    distances = _squares(x)[:, None] + _squares(centers) - 2 * (x @ centers.T)
    median = float(np.median(distances))
    name = f"heat {scale:g}{'' if unit else ', lengths kept'}"
    return Graph(name, unit, centers, scale / max(median, _LEAST_DISTANCE))


def evenly_spaced_rows(n: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of n row numbers, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def unit_rows(rows: Block) -> Block:
    """Return the rows scaled to length 1; rows of zeros stay zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return np.asarray(rows / np.where(norms > 0, norms, 1)[:, None], np.float32)


def _squares(rows: Block) -> Block:
    squares: Block = np.einsum("ij,ij->i", rows, rows)
    return squares
