"""Variants of the Fiedler rule that are needed only for ablations.

The variants use dense float64 matrices, one batch at a time, because they are compared by the
samples they choose and not by speed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.metrics.pairwise import cosine_similarity

from spectral_select._utils.validation import check_in, check_int
from spectral_select.integrations.methods import FEATURES, Candidates, Choice, Method, register

__all__ = ["Core", "Several"]

_LAPLACIANS = ("unnormalized", "symmetric")


@dataclass(frozen=True)
class _Spectrum(Method):
    """Score each sample by its entries in the lowest eigenvectors after the first."""

    laplacian: str = "unnormalized"
    n_vectors: int = 1

    needs = frozenset({FEATURES})
    sign = 1

    def __post_init__(self) -> None:
        check_in(self.laplacian, "laplacian", _LAPLACIANS)
        check_int(self.n_vectors, "n_vectors", 1)

    def choose(self, candidates: Candidates) -> Choice:
        """Choose the samples with the largest or the smallest norms."""
        vectors = lowest_vectors(candidates.features, self.n_vectors, self.laplacian)
        scores = self.sign * np.square(vectors).sum(1)
        return Choice(np.argsort(-scores, kind="stable")[: candidates.n_keep])


@register
@dataclass(frozen=True)
class Core(_Spectrum):
    """The opposite of Algorithm 1: select the samples with the smallest |v|."""

    name = "core"
    summary = "the smallest |v| of the Fiedler vector"
    sign = -1


@register
@dataclass(frozen=True)
class Several(_Spectrum):
    """Algorithm 1 with several eigenvectors: select the rows with the largest norms."""

    n_vectors: int = 4

    name = "several"
    summary = "the rows with the largest norms over the lowest four eigenvectors"


def lowest_vectors(X: NDArray[np.floating], m: int, laplacian: str) -> NDArray[np.float64]:
    """Return the m eigenvectors of the Laplacian after the lowest one, as columns."""
    weights = (1 + cosine_similarity(np.asarray(X, np.float64))) / 2
    degrees = weights.sum(1)
    L = np.diag(degrees) - weights
    if laplacian == "symmetric":
        root = 1 / np.sqrt(degrees)
        L = root[:, None] * L * root
    m = min(m, len(L) - 1)
    _, vectors = linalg.eigh(L, subset_by_index=[1, m])
    return np.asarray(vectors)
