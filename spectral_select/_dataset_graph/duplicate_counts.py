"""How many near-duplicates each sample of a dataset has."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import euclidean_distances

from spectral_select._dataset_graph.nearest_neighbors import Points, nearest_neighbors
from spectral_select._dataset_graph.similarity_graph import Rows

__all__ = ["count_near_duplicates", "near_duplicate_distance"]

_SIMILARITY = 0.95
_CHANCE = 1e-3  # share of samples that may have a near-duplicate by chance
_N_SAMPLED, _LEAST_SAMPLED = 1000, 64
_MOST = 32  # near-duplicates that are counted


def count_near_duplicates(rows: Rows, seed: int) -> NDArray[np.int64]:
    """Return the number of near-duplicates of each sample, at most 32, itself not counted.

    Only direct neighbors count. Groups would also hold samples that are linked through a chain
    of others, such as all frames of a video.

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
    found = nearest_neighbors(points, _MOST, seed)
    counts: NDArray[np.int64] = (found.distances <= near_duplicate_distance(points, seed)).sum(1)
    return counts


def near_duplicate_distance(points: Points, seed: int) -> float:
    """Return the distance up to which two samples are near-duplicates.

    It is that of a cosine of 0.95, or less where samples would often be that similar by chance.

    Parameters
    ----------
    points : Points
        The dataset.
    seed : int
        Seed for sampling.
    """
    return min(float(np.sqrt(2 * (1 - _SIMILARITY))), _by_chance(points, seed))


def _by_chance(points: Points, seed: int) -> float:
    """Return the distance below which few samples have a neighbor by chance.

    In a dataset of intrinsic dimension D, the number of neighbors within r is proportional to
    r^D. So for the distances to the fifth and tenth neighbors, (r_5/r_10)^D has the distribution
    Beta(5, 5), whose median is 1/2 (compare [1]_). Medians, and a sample that holds few of the
    near-duplicates of a row, keep near-duplicates out of the estimate.

    References
    ----------
    .. [1] E. Levina and P. Bickel, "Maximum likelihood estimation of intrinsic dimension",
       NeurIPS 2004.
    """
    order = np.random.default_rng(seed).permutation(points.n)
    some = points[np.sort(order[: min(_N_SAMPLED, max(points.n // 8, _LEAST_SAMPLED))])]
    if len(some) <= 10:
        return 0.0
    distances = euclidean_distances(some.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(np.partition(distances, 9, axis=1)[:, :10], axis=1)
    apart = nearest[nearest[:, 4] > 0]
    spread = float(np.median(np.log(apart[:, 9] / apart[:, 4]))) if len(apart) else 0.0
    if spread == 0:  # copies only
        return 0.0
    chance = _CHANCE / np.log(2) * len(some) / points.n
    return float(np.median(nearest[:, 0])) * float(chance ** (spread / np.log(2)))
