"""Change clean data to match common conditions of real training data, reproducibly.

- ``as-is``: nothing is changed.
- ``long-tailed``: class sizes fall by a factor of 100, exponentially from class to class.
- ``redundant``: 70% of the pool are near-copies of another 2% of the pool.
- ``wrong-labels``: 20% of the labels are replaced by another class, chosen uniformly.
- ``instance-wrong-labels``, ``instance-wrong-labels-40``: 20% or 40% of the labels are replaced
  by mistakes of a weak classifier. Such mistakes occur at the boundaries between classes, like
  mistakes that people make (``_label_errors.py``).
- ``long-tailed-wrong-labels``: a long tail with wrong labels.

Only training data are changed; validation and test data stay clean.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _label_errors import with_errors
from numpy.typing import NDArray

from spectral_select.integrations.data.splits import stratified_split

__all__ = ["CONDITIONS", "Pool", "make_condition"]

Indices = NDArray[np.int64]

FALL = 100  # size of the largest class divided by the size of the smallest
LEAST = 2  # minimum number of samples that every class keeps
COPIES = 0.7  # share of near-copies in the pool
ORIGINALS = 0.02  # share of the pool that is copied
NOISE = 0.05  # noise in a copy, in standard deviations of each feature over the pool
WRONG = 0.2  # share of the labels that are wrong


@dataclass(frozen=True)
class Pool:
    """Training data in one of the conditions.

    Attributes
    ----------
    indices : ndarray of shape (n,), int64
        Row of each sample in the clean data; for a near-copy, the row of the original.
    labels : ndarray of shape (n,), int64
        Labels used in training, some of which may be wrong.
    features : ndarray of shape (n, d), float32
        Features; for a near-copy, the features of the original plus noise.
    true_labels : ndarray of shape (n,), int64
        Labels before errors were added.
    """

    indices: Indices
    labels: Indices
    features: NDArray[np.float32]
    true_labels: Indices

    def __len__(self) -> int:
        return len(self.indices)


def make_condition(
    name: str, features: NDArray[np.float32], labels: Indices, seed: int | list[int]
) -> Pool:
    """Return training data, changed to match a condition.

    Parameters
    ----------
    name : str
        One of `CONDITIONS`.
    features : array of shape (n, d)
        One row for each sample; may be a memory map.
    labels : ndarray of shape (n,), int64
        Class label of each sample.
    seed : int or list of int
        Seed; the same seed always results in the same data.

    Returns
    -------
    Pool

    Raises
    ------
    ValueError
        If the condition does not exist, or features and labels do not match.
    """
    if name not in CONDITIONS:
        raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}; got {name!r}")
    features, labels = np.asarray(features, np.float32), np.asarray(labels, np.int64)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise ValueError(
            "features and labels must have shapes (n, d) and (n,) with n at least 1; "
            f"got {features.shape} and {labels.shape}"
        )
    pool = Pool(np.arange(len(labels)), labels, features, labels)
    for number, change in enumerate(CONDITIONS[name]):
        pool = change(pool, np.random.default_rng([*np.atleast_1d(seed).tolist(), number]))
    return pool


def long_tailed(pool: Pool, rng: np.random.Generator) -> Pool:
    """Reduce class r = 0, ..., C - 1 to the largest size times 100^(-r / (C - 1)), at least 2.

    The order of the classes is random. Classes that are already smaller stay unchanged.
    """
    classes, sizes = np.unique(pool.labels, return_counts=True)
    order = rng.permutation(len(classes))
    falls = FALL ** -(np.arange(len(classes)) / max(len(classes) - 1, 1))
    targets = np.maximum(np.rint(sizes.max() * falls), LEAST).astype(int)
    shuffled = rng.permutation(len(pool))
    kept = [
        shuffled[pool.labels[shuffled] == c][:target]
        for c, target in zip(classes[order], targets, strict=True)
    ]
    return _rows(pool, np.sort(np.concatenate(kept)))


def redundant(pool: Pool, rng: np.random.Generator) -> Pool:
    """Replace most samples with near-copies of a few samples, but keep a sample of every class."""
    n_copies = round(COPIES * len(pool))
    distinct, _ = stratified_split(pool.labels, n_copies, int(rng.integers(2**32)))
    n_originals = max(1, round(ORIGINALS * len(pool)))
    originals = rng.choice(distinct, n_originals, replace=False)
    # Copy all originals equally often, up to a difference of one.
    copied = rng.permutation(np.resize(originals, n_copies))
    changed = _rows(pool, np.concatenate([distinct, copied]))
    spread = NOISE * pool.features.std(0, dtype=np.float64)
    noise = spread * rng.standard_normal((n_copies, pool.features.shape[1]))
    copies = changed.features[len(distinct) :] + noise
    if pool.features.min() >= 0:
        copies = np.maximum(copies, 0)  # nonnegative features stay nonnegative
    changed.features[len(distinct) :] = copies
    return changed


def wrong_labels(pool: Pool, rng: np.random.Generator) -> Pool:
    """Relabel a fifth of the samples with another class, chosen uniformly."""
    classes, codes = np.unique(pool.labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"wrong labels need at least 2 classes; got {len(classes)}")
    wrong = rng.permutation(len(pool))[: round(WRONG * len(pool))]
    codes[wrong] += rng.integers(1, len(classes), len(wrong))
    return replace(pool, labels=classes[codes % len(classes)])


def instance_wrong_labels(share: float) -> Callable[[Pool, Any], Pool]:
    """Return a function that relabels about `share` of the samples with a classifier's mistakes."""

    def change(pool: Pool, rng: np.random.Generator) -> Pool:
        classes, codes = np.unique(pool.labels, return_inverse=True)
        seed = int(rng.integers(2**31))
        labels = classes[with_errors(pool.features, codes, "instance", share, seed)]
        return replace(pool, labels=labels)

    return change


def _rows(pool: Pool, rows: Indices) -> Pool:
    return Pool(*(part[rows] for part in vars(pool).values()))


CONDITIONS: dict[str, tuple[Callable[[Pool, Any], Pool], ...]] = {
    "as-is": (),
    "long-tailed": (long_tailed,),
    "redundant": (redundant,),
    "wrong-labels": (wrong_labels,),
    "instance-wrong-labels": (instance_wrong_labels(0.2),),
    "instance-wrong-labels-40": (instance_wrong_labels(0.4),),
    "long-tailed-wrong-labels": (long_tailed, wrong_labels),
}
