"""Mean and scale of each feature, from sums that can be added block by block."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "accumulate_moments", "combine_moments"]

Floats = NDArray[np.float64]

_CONSTANT = 1e-6  # largest spread, relative to the mean, of a feature treated as constant


@dataclass
class Moments:
    """Sums over the rows of a dataset, or of a part of it.

    Attributes
    ----------
    n : int
        Number of rows.
    total, squares : ndarray of shape (d,)
        Sum of the rows, and of their squares.

    Examples
    --------
    >>> parts = [accumulate_moments(np.eye(2)), accumulate_moments(np.zeros((2, 2)))]
    >>> mean, scale = combine_moments(parts).mean_and_scale()
    >>> print(mean, scale.round(3))
    [0.25 0.25] [2.309 2.309]
    """

    n: int
    total: Floats
    squares: Floats

    def mean_and_scale(self) -> tuple[Floats, Floats]:
        """Return the mean and 1 / standard deviation, which is set to 0 for constant features."""
        mean = self.total / self.n
        spread = np.sqrt(np.maximum(self.squares / self.n - mean**2, 0.0))
        constant = spread <= _CONSTANT * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
        scale: Floats = 1 / np.where(constant, np.inf, spread)
        return mean, scale


def accumulate_moments(block: NDArray[np.generic]) -> Moments:
    """Return the sums of a block of rows, shape (k, d)."""
    rows = np.asarray(block, np.float64)
    return Moments(len(rows), rows.sum(0), np.square(rows).sum(0))


def combine_moments(states: Iterable[Moments]) -> Moments:
    """Return the sums of all parts, added in the given order."""
    n, total, squares = 0, np.zeros(()), np.zeros(())
    for state in states:
        n += state.n
        total, squares = total + state.total, squares + state.squares
    return Moments(n, total, squares)
