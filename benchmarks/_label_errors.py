"""Add three kinds of wrong labels to clean data, reproducibly.

- ``uniform``: any other class, with equal probability.
- ``pairwise``: the class whose mean is nearest to the mean of the sample's class.
- ``instance``: the class assigned by a weak classifier. The classifier is trained on a few
  labeled samples, and labels are drawn from its softmax, so that mistakes occur at the
  boundaries between classes, like mistakes that people make.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

__all__ = ["KINDS", "with_errors"]

KINDS = ("uniform", "pairwise", "instance")

Labels = NDArray[np.int64]

_TRAINED_ON = 0.05  # share of the samples used to train the weak classifier
_LEAST_TRAINED_ON = 3  # minimum number of samples per class used to train the weak classifier
_TEMPERATURES = np.geomspace(0.05, 20, 40)


def with_errors(X: NDArray[Any], y: Labels, kind: str, share: float, seed: int) -> Labels:
    """Return labels of which about `share` are wrong.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    y : ndarray of shape (n,)
        Correct labels, as integers from 0.
    kind : str
        One of `KINDS`.
    share : float
        Share of wrong labels, in (0, 1).
    seed : int
        Seed; the same seed always results in the same labels.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    rng = np.random.default_rng([seed, round(1000 * share), KINDS.index(kind)])
    n_classes = int(y.max()) + 1
    if kind == "uniform":
        other = (y + rng.integers(1, n_classes, len(y))) % n_classes
        return np.where(rng.random(len(y)) < share, other, y)
    Z = StandardScaler().fit_transform(X)
    if kind == "pairwise":
        means = np.stack([Z[y == label].mean(0) for label in range(n_classes)])
        distances = np.square(means[:, None] - means).sum(-1)
        np.fill_diagonal(distances, np.inf)
        return np.where(rng.random(len(y)) < share, distances.argmin(1)[y], y)
    return _as_a_weak_classifier_says(Z, y, share, rng)


def _as_a_weak_classifier_says(
    Z: NDArray[Any], y: Labels, share: float, rng: np.random.Generator
) -> Labels:
    n_classes = int(y.max()) + 1
    each = max(_LEAST_TRAINED_ON, int(_TRAINED_ON * len(y) / n_classes))
    shuffled = rng.permutation(len(y))
    few = np.concatenate([shuffled[y[shuffled] == label][:each] for label in range(n_classes)])
    weak = LogisticRegression(max_iter=200).fit(Z[few], y[few])
    scores = weak.decision_function(Z)
    if scores.ndim == 1:
        scores = np.stack([-scores / 2, scores / 2], 1)
    uniform = rng.random((len(y), 1))

    def drawn(temperature: float) -> Labels:
        shares = softmax(scores / temperature, axis=1).cumsum(1)
        return np.minimum((shares < uniform).sum(1), n_classes - 1)

    tried = {temperature: float((drawn(temperature) != y).mean()) for temperature in _TEMPERATURES}
    labels = drawn(min(tried, key=lambda temperature: abs(tried[temperature] - share)))
    # If the classifier makes more mistakes than requested, correct some of them at random.
    wrong = np.flatnonzero(labels != y)
    right = rng.permutation(wrong)[round(share * len(y)) :]
    return np.where(np.isin(np.arange(len(y)), right), y, labels)
