"""Methods that look at nothing but the features: degree, k-center, facility location.

All measure similarity by cosine as the selector does: a row of zeros has similarity 0
with every row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from spectral_select._fiedler.graph import cosine_graph, inverse_root, unit_maximum
from spectral_select._selectors.weighted_sampling import top_k
from spectral_select._utils.array_namespace import to_numpy
from spectral_select._utils.validation import check_features, check_finite, check_in
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    FEATURES,
    Candidates,
    Choice,
    Indices,
    Method,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["FacilityLocation", "HighDegree", "KCenter", "LowDegree"]

Floats = NDArray[np.floating[Any]]


def _rows(candidates: Candidates) -> Floats:
    """Return the candidates' features, shape (n, d), finite, on the host."""
    X = check_features(given(candidates, "features"), "features")
    X = X.toarray() if hasattr(X, "toarray") else to_numpy(X)
    check_finite(X, "features")
    rows: Floats = X
    return rows


def _unit_rows(X: Floats) -> Floats:
    """Return each row over its norm; a row of zeros stays one."""
    rows = unit_maximum(X)  # so that no square over- or underflows
    unit: Floats = rows * inverse_root(np.einsum("ij,ij->i", rows, rows))[:, None]
    return unit


class _Degree(Method):
    """The candidates at one end of the order by degree, the sum of a row's cosines."""

    needs = frozenset({FEATURES})
    sign: float

    def choose(self, candidates: Candidates) -> Choice:
        """Choose the first ones by degree; of equal ones, those that come first.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        degrees = cosine_graph(_rows(candidates)[None]).degrees[0]
        return Choice(top_k(self.sign * degrees, candidates.n_keep))


@register
class LowDegree(_Degree):
    """The candidates with the lowest mean cosine to the candidate batch: the outliers.

    What the largest Fiedler entries of a dense graph pick for the most part, at the price
    of one product: (dᵢ − λ)vᵢ = Σⱼ sᵢⱼvⱼ, so |v| is large where the degree d is small.
    """

    name = "low-degree"
    summary = "the lowest mean cosine within the candidate batch"
    sign = -1.0


@register
class HighDegree(_Degree):
    """The candidates with the highest mean cosine to the candidate batch: the typical ones."""

    name = "high-degree"
    summary = "the highest mean cosine within the candidate batch"
    sign = 1.0


@register
@dataclass(frozen=True)
class KCenter(Method):
    """Farthest first: each next one is the farthest from all that were taken.

    The greedy algorithm for k-center (Gonzalez, Theoretical Computer Science, 1985): the
    farthest candidate is at most twice as far from the chosen ones as under the best
    choice, in a metric. For training data: Sener and Savarese, ICLR 2018.

    Parameters
    ----------
    distance : {"cosine", "euclidean"}
        "cosine" is 1 − cos. It orders as the Euclidean distance between normalized rows
        does, so the factor 2 holds for that. "euclidean" takes the features as they are.
    first : {"random", "medoid"}
        The first one: any, by the batch's generator, or the one whose distances to all
        others have the smallest sum.
    """

    distance: str = "cosine"
    first: str = "random"

    name = "k-center"
    summary = "farthest first: greedy k-center by cosine distance"
    needs = frozenset({FEATURES})

    def __post_init__(self) -> None:
        check_in(self.distance, "distance", ("cosine", "euclidean"))
        check_in(self.first, "first", ("random", "medoid"))

    def choose(self, candidates: Candidates) -> Choice:
        """Choose one after the other; of equally far ones, the one that comes first.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        X = _rows(candidates)
        X = _unit_rows(X) if self.distance == "cosine" else X.astype(np.float64)
        taken = [self._first(X, candidates.rng)]
        nearest = np.full(len(X), np.inf)
        while len(taken) < candidates.n_keep:
            nearest = np.minimum(nearest, self._distances(X, taken[-1]))
            nearest[taken[-1]] = -np.inf
            taken.append(int(nearest.argmax()))
        return Choice(np.array(taken, np.int64))

    def _distances(self, X: Floats, center: int) -> Floats:
        """Return what orders as the distances of all rows to one do."""
        if self.distance == "cosine":
            distances: Floats = 1 - X @ X[center]
            return distances
        away = X - X[center]
        squared: Floats = np.einsum("ij,ij->i", away, away)
        return squared

    def _first(self, X: Floats, rng: np.random.Generator) -> int:
        if self.first == "random":
            return int(rng.integers(len(X)))
        if self.distance == "cosine":
            return int((X @ X.sum(0)).argmax())
        return int(cdist(X, X).sum(0).argmin())


@register
class FacilityLocation(Method):
    """The candidates that best stand for all: greedy argmax of Σᵢ max over S of sᵢⱼ.

    Sums are of (1 + cos)/2, which is never negative; that changes no step of the greedy
    algorithm and makes the sum monotone and submodular, so it reaches 1 − 1/e of the
    best (Nemhauser, Wolsey and Fisher, Mathematical Programming, 1978).
    """

    name = "facility-location"
    summary = "greedy maximum of the sum of cosines to the nearest chosen"
    needs = frozenset({FEATURES})

    def choose(self, candidates: Candidates) -> Choice:
        """Choose one after the other; of equal gains, the one that comes first.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        U = _unit_rows(_rows(candidates))
        similarity = np.clip(U @ U.T, -1, 1).astype(np.float64)
        return Choice(_maximize_coverage(similarity, candidates.n_keep))


def _maximize_coverage(similarity: NDArray[np.float64], k: int) -> Indices:
    """Return the greedy maximizers of Σᵢ max over S of similarity[i, j], in their order.

    A step lifts `covered`, and with it changes the gains, at those rows only that the new
    one is nearest to: few, once some are chosen. So all gains are kept up to date at the
    price of those rows.
    """
    covered = np.full(len(similarity), -1.0)
    gains = similarity.sum(0) + len(similarity)
    taken = np.empty(k, np.int64)
    for step in range(k):
        best = taken[step] = gains.argmax()
        lifted = np.flatnonzero(similarity[:, best] > covered)
        rows, before = similarity[lifted], covered[lifted]
        covered[lifted] = after = rows[:, best]
        above = np.maximum(rows, before[:, None])
        gains -= (np.minimum(above, after[:, None]) - before[:, None]).sum(0)
        gains[best] = -np.inf
    return taken
