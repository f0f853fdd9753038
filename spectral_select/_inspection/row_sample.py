"""A random sample of a dataset that is read block by block, in any order.

Each row has a key, a number computed from its id. The sample holds the rows whose keys have the
smallest hashes, so it does not depend on how the dataset is divided into blocks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.moments import Moments, accumulate_moments, combine_moments

__all__ = ["RowBlock", "RowSample", "accumulate_sample", "combine_samples", "hash_keys"]


@dataclass
class RowBlock:
    """Some rows of a dataset.

    Attributes
    ----------
    keys : ndarray of shape (k,), int64
        A distinct number for each row of the dataset.
    features : ndarray of shape (k, d)
        Features.
    labels : ndarray of shape (k,), int64, or None
        Class numbers.
    """

    keys: NDArray[np.int64]
    features: NDArray[Any]
    labels: NDArray[np.int64] | None = None


@dataclass
class RowSample:
    """Sums over all rows of a dataset, and a sample of its rows.

    Attributes
    ----------
    moments : Moments
        Sums over all rows.
    hashes : ndarray of shape (m,), uint64
        The smallest hashes of the dataset, ascending.
    features, labels : ndarray
        Features and labels of the rows with these hashes, in the order of the hashes, which is
        random; see `RowBlock`.
    """

    moments: Moments
    hashes: NDArray[np.uint64]
    features: NDArray[Any]
    labels: NDArray[np.int64] | None


def hash_keys(keys: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a hash of each key, distinct for distinct keys.

    The function consists of the steps of SplitMix64, each of which is invertible [1]_.

    References
    ----------
    .. [1] G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators",
       OOPSLA 2014.
    """
    start = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    x = keys.astype(np.int64).view(np.uint64) + np.uint64(start)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def accumulate_sample(block: RowBlock, size: int, seed: int) -> RowSample:
    """Return the sums over one block of rows, and a sample of at most `size` rows."""
    hashes = hash_keys(block.keys, seed)
    first = np.argsort(hashes)[:size]
    labels = None if block.labels is None else block.labels[first]
    return RowSample(
        accumulate_moments(block.features), hashes[first], block.features[first], labels
    )


def combine_samples(states: Iterable[RowSample], size: int) -> RowSample:
    """Return the sums and the sample of all blocks; sums are added in the given order."""
    return reduce(lambda a, b: _both(a, b, size), states)


def _both(a: RowSample, b: RowSample, size: int) -> RowSample:
    moments = combine_moments([a.moments, b.moments])
    if len(a.hashes) == size and b.hashes[0] > a.hashes[-1]:
        return RowSample(moments, a.hashes, a.features, a.labels)
    order = np.argsort(np.concatenate([a.hashes, b.hashes]))[:size]

    def smallest(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.concatenate([first, second])[order])

    labels = None
    if a.labels is not None and b.labels is not None:
        labels = smallest(a.labels, b.labels)
    return RowSample(
        moments, smallest(a.hashes, b.hashes), smallest(a.features, b.features), labels
    )
