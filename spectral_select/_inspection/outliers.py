"""Outliers in a dataset: samples with a low degree in a graph of heat-kernel similarities.

The degree is taken over landmarks l, a random subset of the samples,

    f_i = (1/m)·Σ_l exp(−γ·‖x̂_i − x̂_l‖²/s),                                                (1)

where the m landmarks do not include i, the rows x̂ are standardized and scaled to length 1, and s
is the median squared distance between rows and landmarks. A narrow kernel (γ = 8) counts how many
samples are similar to i. The Fiedler vector of the linear graph also singles out samples of low
degree, but the degree f ranks planted outliers better. If outliers resemble each other, f also
ranks them better than the distance to the nearest neighbors does (`benchmarks/outliers.py`).
"""

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.similarity_graph import Block, Graph, Rows, heat_graph

__all__ = [
    "is_below",
    "is_outlier",
    "mean_degrees",
    "outlier_fence",
    "outlier_graph",
    "outlier_score",
    "outlier_scores",
]

_GAMMA = 8.0
_FENCE = 1.6  # distance of the fence below the median, relative to that of the 0.1 quantile


def outlier_scores(rows: Rows, n_landmarks: int, seed: int) -> NDArray[np.float64]:
    """Return the score r/(f + r) of each sample, where f is its degree (1) and r the median of f.

    Parameters
    ----------
    rows : Rows
        The dataset, n rows.
    n_landmarks : int
        Maximum number of landmarks.
    seed : int
        Seed for the landmarks.

    Returns
    -------
    ndarray of shape (n,)
        Scores in [0, 1]; 1/2 is typical, and 1 means unlike all other samples.
    """
    order = np.random.default_rng(seed).permutation(rows.n)
    landmarks = np.sort(order[:n_landmarks])
    graph = outlier_graph(rows, landmarks)
    degrees = np.empty(rows.n)
    for place in rows.places(len(landmarks)):
        is_landmark = np.isin(np.arange(place.start, place.stop), landmarks)
        degrees[place] = mean_degrees(rows[place], is_landmark, graph)
    return outlier_score(degrees, float(np.median(degrees)))


def outlier_graph(rows: Rows, landmarks: NDArray[np.int64]) -> Graph:
    """Return the graph of the narrow heat kernel in (1); `landmarks` are row numbers."""
    return heat_graph(rows, _GAMMA, landmarks)


def mean_degrees(block: Block, is_landmark: NDArray[np.bool_], graph: Graph) -> NDArray[np.float64]:
    """Return the degrees (1) of a block of standardized rows; `is_landmark` marks landmarks."""
    basis = graph.basis(block)
    degrees = basis.sum(1, dtype=np.float64) - is_landmark
    return np.asarray(np.maximum(degrees, 0) / np.maximum(basis.shape[1] - is_landmark, 1))


def outlier_score(degrees: NDArray[np.float64], median: float) -> NDArray[np.float64]:
    """Return the scores of a block of degrees, given the median of all degrees."""
    usual = max(median, np.finfo(float).tiny)
    return np.asarray(usual / (degrees + usual))


def is_outlier(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each sample is far below the others on the scale of ln f.

    The fence is 1.6 times as far below the median as the 0.1 quantile is, so it does not depend on
    how the upper half of the degrees is distributed.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Result of `outlier_scores`.
    """
    return is_below(scores, outlier_fence(scores))


def outlier_fence(scores: NDArray[np.float64]) -> float:
    """Return the value of ln f, relative to the median, below which a sample is an outlier."""
    median, low = np.quantile(_log_degree(scores), [0.5, 0.1])
    return float(median - _FENCE * (median - low))


def is_below(scores: NDArray[np.float64], fence: float) -> NDArray[np.bool_]:
    """Return whether each score of a block is below the fence on the scale of ln f."""
    return np.asarray(_log_degree(scores) < fence)


def _log_degree(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(1 - scores, np.finfo(float).tiny) / scores))
