"""Select rows of candidate batches by saved scores."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spectral_select._selectors.weighted_sampling import draw_from_batches

__all__ = ["ScoreSelector"]


class ScoreSelector(BaseEstimator):
    """Draw rows at random from each candidate batch, weighted by the single column of X.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of rows to discard from each candidate batch.
    candidate_size : int, optional
        Number of rows in a candidate batch; by default, all rows.
    random_state : int, default=0
        Seed for the draws.
    """

    def __init__(
        self,
        filter_ratio: float = 0.8,
        candidate_size: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.filter_ratio = filter_ratio
        self.candidate_size = candidate_size
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw rows from `X`, an array of shape (n, 1)."""
        with np.errstate(divide="ignore"):
            logs = np.log(np.asarray(X, np.float64)[:, 0])
        rng = np.random.default_rng(self.random_state)
        self._kept = draw_from_batches(
            logs, self.candidate_size, self.filter_ratio, lambda number: rng
        )
        self._n = len(logs)
        return self

    def get_support(self, indices: bool = False) -> NDArray[Any]:
        """Return a mask of the rows that were drawn, or their indices."""
        return self._kept if indices else np.isin(np.arange(self._n), self._kept)
