"""Some rows of a dataset, which are found by their numbers in the whole dataset."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GatheredRows"]


class GatheredRows:
    """Some rows of an array of n rows.

    Parameters
    ----------
    numbers : ndarray of shape (m,)
        Row numbers, ascending.
    values : ndarray of shape (m, ...)
        The rows.
    n : int
        Number of rows of the whole array.

    Examples
    --------
    >>> rows = GatheredRows(np.array([3, 70]), np.array([[0.5], [1.5]]), 100)
    >>> rows.shape, rows[np.array([70])].tolist()
    ((100, 1), [[1.5]])
    """

    def __init__(self, numbers: NDArray[np.int64], values: NDArray[Any], n: int) -> None:
        self._numbers, self._values = numbers, values
        self.shape, self.dtype = (n, *values.shape[1:]), values.dtype

    def __getitem__(self, numbers: Any) -> NDArray[Any]:
        places = np.searchsorted(self._numbers, numbers)
        places = np.minimum(places, len(self._numbers) - 1)
        if not np.array_equal(self._numbers[places], numbers):
            raise IndexError("a row is requested that was not gathered")
        return np.asarray(self._values[places])
