"""The number of near-duplicates of each sample in a dataset."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import euclidean_distances

from spectral_select._dataset_graph.near_pairs import Points, near_pairs
from spectral_select._dataset_graph.similarity_graph import Rows

__all__ = ["count_near_duplicates", "near_duplicate_distance"]

_SIMILARITY = 0.95
_CHANCE = 3e-4  # share of samples that may have a near-duplicate by chance
_SUBSET, _N_SUBSETS, _QUANTILE = 48, 24, 0.75
_MOST = 32  # maximum number of near-duplicates counted per sample


def count_near_duplicates(rows: Rows, seed: int) -> NDArray[np.int64]:
    """Return each sample's number of near-duplicates, at most 32, excluding the sample itself.

    Only direct neighbors are counted. Groups would also include samples that are linked through a
    chain of others, such as all frames of a video.

    Parameters
    ----------
    rows : Rows
        The dataset, n rows.
    seed : int
        Seed for the landmarks and for sampling.

    Returns
    -------
    ndarray of shape (n,)
    """
    points = Points(rows)
    found = near_pairs(points, near_duplicate_distance(points, seed), seed, most=_MOST)
    return np.minimum(np.bincount(found.pairs.ravel(), minlength=points.n), _MOST)


def near_duplicate_distance(
    points: Points, seed: int, *, similarity: float | None = None, n: int | None = None
) -> float:
    """Return the largest distance at which two samples are near-duplicates.

    By default, this is the distance for a cosine of 0.95, or a smaller one if samples would often
    be that similar by chance.

    Parameters
    ----------
    points : Points
        The dataset, or a random part of it.
    seed : int
        Seed for sampling.
    similarity : float, optional
        Smallest cosine at which two samples are near-duplicates.
    n : int, optional
        Size of the dataset; by default, the number of points.
    """
    if similarity is not None:
        return float(np.sqrt(2 * (1 - similarity)))
    by_chance = _by_chance(points, points.n if n is None else n, seed)
    return min(float(np.sqrt(2 * (1 - _SIMILARITY))), by_chance)


def _subsets(n: int, seed: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    size = min(_SUBSET, n)
    return [np.sort(rng.choice(n, size, replace=False)) for _ in range(_N_SUBSETS)]


def _by_chance(points: Points, n: int, seed: int) -> float:
    """Return the distance below which few of n samples have a neighbor by chance.

    In a dataset of intrinsic dimension D, the number of neighbors within r is proportional to
    r^D. So for the distances to the fifth and tenth neighbors, (r_5/r_10)^D has the distribution
    Beta(5, 5), whose median is 1/2 (compare [1]_). The number of neighbors within r has a Poisson
    distribution, so the q-quantile of the distance to the nearest neighbor is the radius that
    holds −ln(1 − q) rows on average.

    Near-duplicates, which can be the majority, would make these distances too short. So distances
    are measured in subsets of 48 rows, which hold few copies of the same row, and a high quantile
    is used, which skips the rows that have a copy.

    References
    ----------
    .. [1] E. Levina and P. Bickel, "Maximum likelihood estimation of intrinsic dimension",
       NeurIPS 2004.
    """
    size = min(_SUBSET, points.n)
    if size <= 10:
        return 0.0
    nearest, ratios = [], []
    for subset in _subsets(points.n, seed):
        some = points[subset]
        distances = euclidean_distances(some.astype(np.float64))
        np.fill_diagonal(distances, np.inf)
        found = np.sort(np.partition(distances, 9, axis=1)[:, :10], axis=1)
        nearest.append(found[:, 0])
        apart = found[found[:, 4] > 0]
        ratios.append(np.log(apart[:, 9] / apart[:, 4]))
    ratio = np.concatenate(ratios)
    inverse = float(np.median(ratio)) / np.log(2) if len(ratio) else 0.0  # 1/D
    if inverse == 0:  # copies only
        return 0.0
    wanted = _CHANCE * size / n  # mean number of neighbors in the subset
    held = -np.log(1 - _QUANTILE)
    radius = float(np.quantile(np.concatenate(nearest), _QUANTILE))
    return radius * float((wanted / held) ** inverse)
