"""The weights of guided selection, for the estimators, the sampler and the training driver.

The weight of sample i is

    w_i = N_i^(−b) · (t_i^c / √m) · h_i^a · ℓ_i^p,                                          (1)

where N is the number of near-duplicates including the sample itself, t is the trust, m is the mean
of t^c over all samples with the same label, and h = 1 − P is the hardness. P is the probability
with which the other labels predict this one, and ℓ is a network's loss, if there is one.

Labels of rare classes, and of classes that resemble each other, are predicted less well. Without
m, trust would therefore take too many visits from these classes. Dividing by m itself would leave
each class as many visits as without trust, but costs accuracy in short training runs, because
classes that are predicted well are also learned first. The square root is a compromise between
the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._dataset_graph.duplicate_counts import count_near_duplicates
from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._labels.wrong_labels import WrongLabels, wrong_labels_in

__all__ = ["ScoredLabels", "fill_unknown", "guided_parts", "log_weights", "parts_of_scores"]

# No sample is excluded, because the graph may err and every sample should be visited.
_MIN_TRUST, _MIN_HARDNESS, _MIN_LOSS = 0.01, 0.05, 1e-3
_SEED = 0  # the weights depend on the data alone, not on the user's seed
_N_LANDMARKS = 1024  # as in find_wrong_labels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredLabels:
    """The labels of n samples, and their probabilities given the other labels.

    Attributes
    ----------
    codes : ndarray of shape (n,), int64
        Classes, numbered from 0.
    trust : ndarray of shape (n,)
        t of (1), the probability that the label is correct.
    probability : ndarray of shape (n,)
        P, the probability of the label as predicted from the other labels.
    """

    codes: NDArray[np.int64]
    trust: Floats
    probability: Floats


@np.errstate(all="ignore")  # underflow to 0 is correct; inputs are checked
def guided_parts(
    rows: Rows,
    y: ArrayLike | None,
    *,
    hardness_power: float,
    trust_power: float,
    duplicate_power: float,
    loss_power: float = 0.0,
) -> tuple[Floats, WrongLabels | None]:
    """Return the parts of the weights (1) that do not change during training.

    In a class with a share r of wrong labels, a large loss is less informative, so its power is
    reduced from p to p·(1 − 2·r), or to 0 if that is negative, unless c is 0.

    Parameters
    ----------
    rows : Rows
        The dataset, n rows.
    y : array-like of shape (n,) or None
        The labels; None ignores trust and hardness.
    hardness_power, trust_power, duplicate_power, loss_power : float
        a, c, b and p of (1).

    Returns
    -------
    parts : ndarray of shape (n, 3)
        Columns: the logarithm of N^(−b)·t^c/√m, the logarithm of h^a, and the power of the loss.
    found : WrongLabels or None
        Result of the search for wrong labels; None without labels.
    """
    n_alike = np.zeros(rows.n)
    if duplicate_power:
        n_alike += count_near_duplicates(rows, _SEED)
    found, labels = None, None
    if y is not None:
        found = wrong_labels_in(rows, y, pred_probs=None, n_landmarks=_N_LANDMARKS, seed=_SEED)
        codes = np.searchsorted(found.classes, np.asarray(y))
        labels = ScoredLabels(codes, found.trust, found.label_probability)
    parts = parts_of_scores(
        n_alike,
        labels,
        hardness_power=hardness_power,
        trust_power=trust_power,
        duplicate_power=duplicate_power,
    )
    parts[:, 2] = loss_power
    if found is not None and trust_power:
        parts[:, 2] *= np.maximum(1 - 2 * found.class_noise_rate[codes], 0)
    return parts, found


def parts_of_scores(
    near_duplicates: NDArray[np.generic],
    labels: ScoredLabels | None,
    *,
    hardness_power: float,
    trust_power: float,
    duplicate_power: float,
) -> Floats:
    """Return the parts of the weights (1) without losses, shape (n, 3).

    Parameters
    ----------
    near_duplicates : ndarray of shape (n,)
        Number of near-duplicates of each sample, excluding the sample itself.
    labels : ScoredLabels or None
        None ignores trust and hardness.
    hardness_power, trust_power, duplicate_power : float
        a, c and b of (1).
    """
    parts = np.zeros((len(near_duplicates), 3))
    parts[:, 0] -= duplicate_power * np.log1p(near_duplicates)
    if labels is not None:
        log_trust = trust_power * np.log(np.maximum(labels.trust, _MIN_TRUST))
        parts[:, 0] += log_trust - _log_class_means(log_trust, labels.codes) / 2
        hardness = np.maximum(1 - labels.probability, _MIN_HARDNESS)
        parts[:, 1] = hardness_power * np.log(hardness)
    return parts


def _log_class_means(logs: Floats, codes: NDArray[np.int64]) -> Floats:
    """Return, for each sample, the logarithm of the mean of exp(logs) over its class."""
    largest = np.full(codes.max() + 1, -np.inf)
    np.maximum.at(largest, codes, logs)  # so that exp does not underflow in a whole class
    sums = np.bincount(codes, np.exp(logs - largest[codes]))
    means: Floats = largest + np.log(sums / np.maximum(np.bincount(codes), 1))
    return means[codes]


def log_weights(parts: Floats, losses: ArrayLike | None) -> Floats:
    """Return the log weights of some rows, given their current losses.

    Parameters
    ----------
    parts : ndarray of shape (n, 3)
        Result of `guided_parts`.
    losses : array-like of shape (n,), or None
        None ignores the losses. If a loss is NaN, so is the weight, and the row is drawn last.

    Returns
    -------
    ndarray of shape (n,)
    """
    logs: Floats = parts[:, 0] + parts[:, 1]
    if losses is None:
        return logs
    return logs + parts[:, 2] * np.log(np.maximum(np.asarray(losses, np.float64), _MIN_LOSS))


def fill_unknown(losses: ArrayLike) -> Floats:
    """Return losses with the largest known loss in place of unknown ones.

    Parameters
    ----------
    losses : array-like of shape (n,)
        Losses of a candidate batch; values that are not finite are unknown.

    Returns
    -------
    ndarray of shape (n,), float64
        If no loss is known, all values are 1.
    """
    values = np.asarray(losses, np.float64)
    known = np.isfinite(values)
    return np.where(known, values, values[known].max() if known.any() else 1.0)
