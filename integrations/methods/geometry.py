"""Methods that use only the features: degree, k-center, facility location.

These methods measure similarity by the cosine, as `FiedlerBatchSelector` does by default;
`KCenter` can also use the Euclidean distance. A row of zeros has similarity 0 to every row.
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
    """Return the candidates' features on the host, shape (n, d), checked to be finite."""
    X = check_features(given(candidates, "features"), "features")
    X = X.toarray() if hasattr(X, "toarray") else to_numpy(X)
    check_finite(X, "features")
    rows: Floats = X
    return rows


def _unit_rows(X: Floats) -> Floats:
    """Scale each row to unit norm; a row of zeros is left unchanged."""
    rows = unit_maximum(X)  # so that squares neither overflow nor underflow
    unit: Floats = rows * inverse_root(np.einsum("ij,ij->i", rows, rows))[:, None]
    return unit


class _Degree(Method):
    """Select the candidates with the lowest or highest degree, the sum of a row's cosines."""

    needs = frozenset({FEATURES})
    sign: float

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by degree; ties are broken in favor of the first candidates."""
        degrees = cosine_graph(_rows(candidates)[None]).degrees[0]
        return Choice(top_k(self.sign * degrees, candidates.n_keep))


@register
class LowDegree(_Degree):
    """Select the candidates with the lowest mean cosine to the candidate batch: the outliers.

    In a dense graph, these are mostly the samples with the largest absolute Fiedler entries:
    (dᵢ − λ)vᵢ = Σⱼ sᵢⱼvⱼ, so |v| is large where the degree d is small. Computing the degrees
    takes only one product of the similarity matrix with a vector.
    """

    name = "low-degree"
    summary = "the lowest mean cosine within the candidate batch"
    sign = -1.0


@register
class HighDegree(_Degree):
    """Select the candidates with the highest mean cosine to the batch: typical samples."""

    name = "high-degree"
    summary = "the highest mean cosine within the candidate batch"
    sign = 1.0


@register
@dataclass(frozen=True)
class KCenter(Method):
    """Farthest first: repeatedly select the candidate farthest from those already selected.

    This is the greedy algorithm for k-center (Gonzalez, Theoretical Computer Science, 1985).
    If the distance is a metric, the largest distance from a candidate to the selection is at most
    twice the optimum. Sener and Savarese (ICLR 2018) apply the algorithm to training data.

    Parameters
    ----------
    distance : {"cosine", "euclidean"}
        "cosine" is 1 − cos. It gives the same order as the Euclidean distance between
        normalized rows, so the factor of 2 holds for the latter. "euclidean" uses the
        features without normalization.
    first : {"random", "medoid"}
        How the first candidate is chosen. "random" draws it with the batch's generator; "medoid"
        takes the candidate with the smallest sum of distances to all others.
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
        """Choose candidates one by one; ties go to the candidate that is earlier in the batch."""
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
        """Return values with the same order as the distances from all rows to `center`."""
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
    """Select the candidates that best represent the batch: greedy argmax of Σᵢ maxⱼ∈S sᵢⱼ over S.

    The greedy steps are the same whether the similarity s is the cosine or (1 + cos)/2. With the
    latter, the sum is nonnegative, monotone and submodular. So its value for the selected
    candidates is at least 1 − 1/e times the optimum (Nemhauser, Wolsey and Fisher, Mathematical
    Programming, 1978).
    """

    name = "facility-location"
    summary = "greedily maximizes the sum of each candidate's cosine to its nearest selected one"
    needs = frozenset({FEATURES})

    def choose(self, candidates: Candidates) -> Choice:
        """Choose candidates one by one; ties go to the candidate that is earlier in the batch."""
        U = _unit_rows(_rows(candidates))
        similarity = np.clip(U @ U.T, -1, 1).astype(np.float64)
        return Choice(_maximize_coverage(similarity, candidates.n_keep))


def _maximize_coverage(similarity: NDArray[np.float64], k: int) -> Indices:
    """Return the greedy maximizers of Σᵢ maxⱼ∈S similarity[i, j] over S, in order of selection.

    A step changes `covered` only at the rows whose nearest selected sample is the new one. Once
    some samples are selected, there are few such rows, and only these rows are needed to update
    all gains.
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
