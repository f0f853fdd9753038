"""Groups of near-duplicates in a dataset, and near-duplicates in a second dataset."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from spectral_select._dataset_graph.duplicate_counts import near_duplicate_distance
from spectral_select._dataset_graph.near_pairs import Indices, NearPairs, Points, near_pairs
from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._utils.array_namespace import Array, to_numpy

__all__ = [
    "NearDuplicates",
    "find_near_duplicates",
    "first_twins",
    "linked_rows",
    "numbered_groups",
]

_STEP = 4096  # rows that are hashed at a time


@dataclass
class NearDuplicates:
    """Near-duplicates among n samples.

    Attributes
    ----------
    group : ndarray of shape (n,)
        Group number, from 0 in the order of the samples; -1 for samples in no group.
    exact : ndarray of shape (n,), bool
        Whether another sample has exactly the same features.
    count : ndarray of shape (n,)
        Number of near-duplicates of each sample, excluding the sample itself and samples that are
        linked only through others.
    similarity : ndarray of shape (n,)
        Similarity to the most similar other sample in either dataset; at most 1.
    across : ndarray of shape (n,)
        Each sample's near-duplicate in the other dataset; -1 if it has none.
    least_similarity : float
        Smallest similarity of near-duplicates.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select import inspect_dataset
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> X[3] = X[60]
    >>> duplicates = inspect_dataset(X).duplicates
    >>> int(duplicates.group[3]), np.flatnonzero(duplicates.exact).tolist()
    (0, [3, 60])
    """

    group: Indices
    exact: NDArray[np.bool_]
    count: Indices
    similarity: NDArray[np.float64]
    across: Indices
    least_similarity: float


def find_near_duplicates(
    X: Array, rows: Rows, other: Array | None, similarity: float | None, seed: int
) -> NearDuplicates:
    """Group samples by linking those that are closer to each other than a threshold.

    Parameters
    ----------
    X : array of shape (n, d)
        Checked features.
    rows : Rows
        The rows of `X`, standardized.
    other : array of shape (m, d) or None
        Checked features of a second dataset.
    similarity : float or None
        Smallest similarity of near-duplicates. The similarity of two samples is 1 − δ²/2, where δ
        is the distance in `near_pairs`; for rows of equal length, it is the cosine. None means
        0.95, or more if samples would often be that similar by chance.
    seed : int
        Seed for the landmarks and for sampling.
    """
    datasets = [rows] if other is None else [rows, Rows(other, like=rows)]
    points = Points(*datasets)
    limit = near_duplicate_distance(Points(rows), seed, similarity=similarity)
    found = near_pairs(points, limit, seed)
    twin = first_twins([X] if other is None else [X, other])
    copies = np.flatnonzero(twin != np.arange(points.n))
    pairs = np.r_[found.pairs, np.c_[twin[copies], copies]]
    component, n = linked_rows(pairs, points.n), rows.n
    inside = np.unique(pairs[pairs.max(1) < n], axis=0)
    return NearDuplicates(
        group=numbered_groups(component[:n]),
        exact=np.bincount(twin[:n], minlength=points.n)[twin[:n]] > 1,
        count=np.bincount(inside.ravel(), minlength=n),
        similarity=1 - np.square(found.nearest[:n], dtype=np.float64) / 2,
        across=_across(component, found, n),
        least_similarity=1 - limit**2 / 2,
    )


def linked_rows(pairs: Indices, n: int) -> Indices:
    """Return each row's component number in the graph on n rows with the edges `pairs`."""
    i, j = pairs.T
    links = sparse.coo_array((np.ones(len(i), bool), (i, j)), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def first_twins(datasets: list[Array]) -> Indices:
    """Return, for each row of all datasets, the number of the first row with the same features."""
    first: dict[bytes, int] = {}
    twins: list[int] = []
    for X in datasets:
        for start in range(0, X.shape[0], _STEP):
            block: Any = X[start : start + _STEP]
            block = block.toarray() if sparse.issparse(block) else to_numpy(block)
            # Adding 0 turns −0 into 0.
            for row in np.ascontiguousarray(block, np.float64) + 0.0:
                twins.append(first.setdefault(blake2b(row, digest_size=16).digest(), len(twins)))
    return np.array(twins)


def numbered_groups(component: Indices) -> Indices:
    """Return each row's group number; −1 if its component has only one member."""
    _, where, inverse, counts = np.unique(
        component, return_index=True, return_inverse=True, return_counts=True
    )
    large = np.flatnonzero(counts > 1)
    number = np.full(len(counts), -1)
    number[large[np.argsort(where[large])]] = np.arange(len(large))
    return number[inverse]


def _across(component: Indices, found: NearPairs, n: int) -> Indices:
    """Return each sample's near-duplicate in the other dataset, or −1.

    This is the nearest row that is paired with the sample or, if there is none, the first row in
    its component.
    """
    of_component = np.full(len(component), -1)
    others = np.arange(len(component) - n)[::-1]
    of_component[component[n:][::-1]] = others
    across = of_component[component[:n]]
    i, j = found.pairs[np.argsort(-found.distances, kind="stable")].T
    apart = (i < n) & (j >= n)
    across[i[apart]] = j[apart] - n  # the nearest is assigned last
    return across
