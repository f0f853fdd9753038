"""Rows of a large array of a narrow dtype, widened only when they are read.

As float64, a whole int8 array would take eight times its own memory, and a memory map would be
loaded completely.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WidenedRows", "map_beneath", "widened"]

# Arrays that take at most 32 MiB after widening are widened as a whole.
_LARGE_BYTES = 2**25


class WidenedRows:
    """An array of shape (n, d) or (1, n, d) that is read as float32 or float64.

    Integers and booleans become float64, and float16 becomes float32. Indexing returns
    `WidenedRows` again; `numpy.asarray` does the widening.

    Parameters
    ----------
    array : ndarray of shape (n, d)
        Real numbers of any type.
    order : ndarray of shape (m,), optional
        Indices of the rows of `array` to include, in this order; by default, all rows.
    stacked : bool, default=False
        Whether there is a leading axis of length 1.
    """

    def __init__(
        self,
        array: NDArray[Any],
        order: NDArray[np.int64] | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        self.array, self.order, self.stacked = array, order, stacked
        n = len(array) if order is None else len(order)
        self.shape = (1,) * stacked + (n, array.shape[1])
        self.dtype = _wide(array.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per number, after widening."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers, after widening."""
        return int(np.prod(self.shape)) * self.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> WidenedRows:
        """Return a stack of one batch ([None]), the batch in a stack ([0]), or some rows."""
        if key is None or self.stacked:
            if key not in (None, 0) or (key is None) is self.stacked:
                raise IndexError(f"a stack of one batch has only the index 0; got {key!r}")
            return WidenedRows(self.array, self.order, stacked=key is None)
        if self.order is None:
            return WidenedRows(self.array[key])
        return WidenedRows(self.array, self.order[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        rows = self.array if self.order is None else self.array[self.order]
        return rows.astype(self.dtype if dtype is None else dtype).reshape(self.shape)


def widened(X: NDArray[Any]) -> NDArray[Any] | WidenedRows:
    """Return `X` in float32 or float64; as `WidenedRows` if a large matrix needs converting."""
    dtype = _wide(X.dtype)
    if X.dtype == dtype:
        return X
    if X.ndim == 2 and X.size * dtype.itemsize > _LARGE_BYTES:
        return WidenedRows(X)
    return X.astype(dtype)


def map_beneath(array: Any) -> np.memmap[Any, Any] | None:
    """Return the memory-mapped array that holds the data of `array`, or None."""
    while isinstance(array, np.ndarray):
        # Skip anonymous maps, which have no file and are not opened by np.memmap.
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return array
        array = array.base
    return None


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype in (np.float32, np.float64):
        return dtype
    return np.dtype(np.float32 if dtype == np.float16 else np.float64)
