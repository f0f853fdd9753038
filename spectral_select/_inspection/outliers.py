"""Outliers of a dataset: samples with a low degree in a graph of heat-kernel similarities.

The degree is taken over landmarks l, a random subset of the samples,

    f_i = (1/m)·Σ_l exp(−γ·‖x̂_i − x̂_l‖²/s),   i itself left out,                          (1)

with the rows x̂ standardized and scaled to length 1, and the median s of the squared distances.
A narrow kernel (γ = 8) counts how many samples are similar. The Fiedler vector of the linear
graph also singles out samples of low degree, but ranks planted outliers worse, and so does the
distance to the nearest neighbors where outliers resemble each other (`benchmarks/outliers.py`).
"""

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.similarity_graph import Rows, heat_graph

__all__ = ["is_outlier", "outlier_scores"]

_GAMMA = 8.0
_FENCE = 1.6  # distance of an outlier below the median, in units of that of the lowest tenth


def outlier_scores(rows: Rows, n_landmarks: int, seed: int) -> NDArray[np.float64]:
    """Return r/(f + r) of each sample, with the degree f (1) and its median r.

    Parameters
    ----------
    rows : Rows
        The dataset, n rows.
    n_landmarks : int
        Largest number of landmarks.
    seed : int
        Seed of the landmarks.

    Returns
    -------
    ndarray of shape (n,)
        In [0, 1]; 1/2 is typical, 1 is a sample unlike all others.
    """
    order = np.random.default_rng(seed).permutation(rows.n)
    landmarks = np.sort(order[:n_landmarks])
    graph = heat_graph(rows, _GAMMA, landmarks)
    degrees = np.empty(rows.n)
    for place in rows.places(len(landmarks)):
        degrees[place] = graph.basis(rows[place]).sum(1, dtype=np.float64)
    others = np.full(rows.n, float(len(landmarks)))
    others[landmarks] -= 1
    degrees[landmarks] -= 1
    degrees = np.maximum(degrees, 0) / np.maximum(others, 1)
    usual = max(float(np.median(degrees)), np.finfo(float).tiny)
    return usual / (degrees + usual)


def is_outlier(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each sample is far below the others on the scale of ln f.

    The fence is as far below the median as 1.6 times the distance from the median to the lowest
    tenth, so that it does not depend on how the other half is distributed.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        As from `outlier_scores`.
    """
    log_degree = np.log(np.maximum(1 - scores, np.finfo(float).tiny) / scores)
    median, low = np.quantile(log_degree, [0.5, 0.1])
    return np.asarray(log_degree < median - _FENCE * (median - low))
