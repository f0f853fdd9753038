"""The cosine graph of one large batch, read block by block from memory or from disk.

Each block is multiplied by all vectors while it is in the cache. The blocks are divided among the
cores, and only a few blocks of a memory-mapped file are in memory at a time.
"""

import mmap
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from spectral_select._fiedler.graph import Graph, degrees_of, inverse_root
from spectral_select._utils.array_namespace import Array
from spectral_select._utils.threads import map_in_threads
from spectral_select._utils.validation import NotFiniteError
from spectral_select._utils.widened_rows import WidenedRows, map_beneath

__all__ = ["BlockedGraph", "mapped_file"]

R = TypeVar("R")

_BLOCK_BYTES = 2**21
# Pages that were read from a file are released after this many blocks.
_RELEASE_EVERY = 16


def mapped_file(X: Array) -> mmap.mmap | None:
    """Return the map of a memory-mapped array; None for other arrays and copy-on-write maps."""
    found = map_beneath(X)
    # Pages of a copy-on-write map may hold changes that are not in the file.
    return None if found is None or found.mode == "c" else found.base  # type: ignore[return-value]


class BlockedGraph:
    """The cosine similarities of one batch as S·v = X̂(X̂ᵀv): two passes over X per product.

    Parameters
    ----------
    X : ndarray or WidenedRows of shape (1, n, d)
        Features, in memory or in a memory-mapped file.
    """

    explicit = False

    def __init__(self, X: Any) -> None:
        self._X = X[0]
        self._file = mapped_file(X.array if isinstance(X, WidenedRows) else X)
        n, d = self._X.shape
        rows = max(1, _BLOCK_BYTES // (d * X.itemsize))
        self._blocks = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
        self._factor: np.ndarray[Any, Any] | None = None
        squared = np.concatenate(self._map(self._squared_norms))
        # If a squared norm may have overflowed or underflowed, rescale the rows and try again.
        if not ((squared > 1e-30) & (squared < 1e30)).all():
            self._factor = np.concatenate(self._map(_factors))
            squared = np.concatenate(self._map(self._squared_norms))
        self._scale = inverse_root(squared)
        self.degrees = degrees_of(self, self._scale[None])

    def dot(self, v: Array) -> Array:
        """Return S·v for vectors (1, s, n)."""
        scaled = self._scale * v[0]
        parts = self._map(lambda rows, where: np.stack([u[where] @ rows for u in scaled]))
        w = np.sum(parts, axis=0, dtype=np.float64).astype(scaled.dtype)
        out = np.empty_like(scaled)

        def second(rows: Array, where: slice) -> None:
            for j in range(len(w)):
                np.multiply(self._scale[where], rows @ w[j], out=out[j, where])

        self._map(second)
        return out[None]

    def take(self, batches: Array) -> Graph:
        """Return the graph itself, because there is only one."""
        return self

    def _squared_norms(self, rows: Array, where: slice) -> Array:
        return np.linalg.vecdot(rows, rows)

    def _map(self, function: Callable[[Array, slice], R]) -> list[R]:
        """Apply `function` to each block of rows in threads; return the results in order."""

        def apply(item: tuple[int, slice]) -> R:
            number, where = item
            rows = np.asarray(self._X[where])
            if self._factor is not None:
                rows = rows * self._factor[where, None]
            result = function(rows, where)
            if number % _RELEASE_EVERY == 0:
                self._release()
            return result

        with np.errstate(all="ignore"):  # overflow is checked explicitly
            results = list(map_in_threads(apply, list(enumerate(self._blocks))))
        self._release()
        return results

    def _release(self) -> None:
        if self._file is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._file.madvise(mmap.MADV_DONTNEED)


def _factors(rows: Array, where: slice) -> Array:
    """Return the reciprocal of the largest magnitude in each row, or 1 for a row of zeros."""
    largest = np.abs(rows).max(axis=1)
    if not np.isfinite(largest).all():
        raise NotFiniteError
    factor = 1 / np.where(largest > 0, largest, 1)
    # The reciprocal of a subnormal number may overflow. If it is capped, the largest magnitude in
    # the scaled row is below 1, but still large enough for the squared norm not to underflow.
    return np.minimum(factor, np.finfo(rows.dtype).max).astype(rows.dtype)
