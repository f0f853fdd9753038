"""PFB: keep samples from dense regions of feature space less often."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._samplers.stride_scheduler import inclusion_probabilities
from spectral_select._utils.array_namespace import to_numpy
from spectral_select._utils.validation import check_features, check_finite, check_number
from spectral_select.integrations.methods.interface import (
    FEATURES,
    Candidates,
    Choice,
    Indices,
    Method,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["PFB"]

Floats = NDArray[np.float64]

_N_LANDMARKS = 1024
_CHUNK = 4096  # rows compared with the landmarks at once
_CERTAIN = 1 - 1e-9  # samples with at least this inclusion probability are always kept


@register
@dataclass(frozen=True)
class PFB(Method):
    """Keep samples with probabilities proportional to 1 / (f + r), where f is their density.

    This is Partial Forward Blocking (Wu et al., ICCV 2025). Let x̂ be a row of the features
    after centering and normalization, and l̂ one of the landmarks: at most 1024 random rows,
    normalized in the same way, excluding the sample itself. Then

    (1)  f(x) = mean of exp(γ(⟨x̂, l̂⟩ − 1)) over the landmarks,

    (2)  π_i = min(1, c / (f(x_i) + r)), with c such that the probabilities π_i in a candidate
         batch sum to the number of samples to keep.

    Differences from the paper: the features are read from the store instead of being computed
    by the first layers of the network being trained, so the density is computed once and no
    extra forward pass is needed; (1) is a kernel density estimate, with landmarks from all the
    data, instead of a running estimate; r is a multiple of the median density; and exactly the
    requested number of samples is kept, by systematic sampling (Madow, 1949) with the inclusion
    probabilities (2).

    Parameters
    ----------
    gamma : float, default=16
        Inverse width γ of the kernel.
    r : float, default=1
        Smoothing r as a multiple of the median density, above 0. Larger values make the draw
        more uniform.
    """

    gamma: float = 16.0
    r: float = 1.0

    name = "pfb"
    summary = "drawn with weights that are smaller in dense regions of the features (PFB)"
    needs = frozenset({FEATURES})

    def __post_init__(self) -> None:
        check_number(self.gamma, "gamma", 0, 1e6)
        check_number(self.r, "r", 0, 1e6, closed="right")

    def precompute(self, labels: Indices, features: Any) -> Floats:
        """Return the logarithm of each sample's weight, 1 / (f + r).

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Not used.
        features : array of shape (n_samples, d)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        f = _density(features, self.gamma)
        # If most samples are isolated, the median is 0; the floor keeps their weights finite.
        r = max(self.r * float(np.median(f)), np.finfo(np.float64).tiny)
        log_weights: Floats = -np.log(f + r)
        return log_weights

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by densities among all samples, or among the candidates if none are precomputed."""
        log_weights = candidates.precomputed
        if log_weights is None:
            log_weights = self.precompute(candidates.labels, candidates.features)
        n, k = len(candidates), candidates.n_keep
        return Choice(_systematic(inclusion_probabilities(log_weights, k / n), k, candidates.rng))


def _density(features: Any, gamma: float) -> Floats:
    """Return equation (1) for each row."""
    X = check_features(features, "features")
    X = X.toarray() if hasattr(X, "toarray") else to_numpy(X)
    check_finite(X, "features")
    n, center = len(X), X.mean(axis=0, dtype=np.float64)

    def unit(rows: NDArray[Any]) -> Floats:
        centered = rows - center
        norms = np.linalg.norm(centered, axis=1, keepdims=True)
        normalized: Floats = centered / np.maximum(norms, np.finfo(np.float64).tiny)
        return normalized

    # The seed is constant, because the density is a property of the data and not of a run.
    landmarks = np.random.default_rng(0).permutation(n)[:_N_LANDMARKS]
    place = np.full(n, -1)
    place[landmarks] = np.arange(len(landmarks))
    among = unit(X[landmarks])
    f = np.zeros(n)
    for start in range(0, n, _CHUNK):
        kernel = np.exp(gamma * (unit(X[start : start + _CHUNK]) @ among.T - 1))
        own = place[start : start + _CHUNK]
        rows = np.flatnonzero(own >= 0)
        kernel[rows, own[rows]] = 0.0
        others = len(landmarks) - (own >= 0)
        f[start : start + _CHUNK] = kernel.sum(axis=1) / np.maximum(others, 1)
    return f


def _systematic(probabilities: Floats, k: int, rng: np.random.Generator) -> Indices:
    """Draw `k` positions with the given inclusion probabilities, which must sum to `k`."""
    certain = probabilities >= _CERTAIN
    kept = np.flatnonzero(certain)
    order = rng.permutation(np.flatnonzero(~certain))
    ticks = np.concatenate([[0.0], np.cumsum(probabilities[order])])
    ticks[-1] = max(k - len(kept), 0)  # exact despite roundoff
    # The start has only 30 bits, so that its sum with the last tick is exact.
    start = rng.integers(1 << 30) / (1 << 30)
    places = np.floor(np.minimum(ticks, ticks[-1]) + start)
    return np.concatenate([kept, order[np.diff(places) > 0]])
