"""Trust in labels, and the share of wrong ones, from leave-one-out class probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_select._labels.noise_matrix import estimate_noise_matrix

__all__ = ["LabelScorer", "LabelScores"]

_ALIKE = 0.3  # β of (1) in `find_wrong_labels`
_TIMES = 1.5  # a label is flagged if another class is more likely by this factor
_LEAST_SHARE = 1e-6  # minimum share of a class
_TINY = 1e-12


@dataclass(frozen=True)
class LabelScores:
    """Label scores for a block of rows, as arrays of shape (k,).

    Attributes
    ----------
    wrong : ndarray of bool
        Whether the label is flagged.
    trust : ndarray of float64
        Probability that the label is correct; NaN for rows without a label.
    label_probability : ndarray of float64
        Probability of the label, as predicted from the other labels; NaN for rows without one.
    suggested : ndarray of int64
        Index of the most likely class.
    probability : ndarray of float64
        Probability of the most likely class.
    suspicion : ndarray of float64
        1 − t, with t computed without the β term of (1) in `find_wrong_labels`.
    """

    wrong: NDArray[np.bool_]
    trust: NDArray[np.float64]
    label_probability: NDArray[np.float64]
    suggested: NDArray[np.int64]
    probability: NDArray[np.float64]
    suspicion: NDArray[np.float64]


class LabelScorer:
    """Scores labels, given their leave-one-out class probabilities.

    Parameters
    ----------
    P : ndarray of shape (n, n_classes)
        Class probabilities of labeled samples, from which the noise is estimated.
    labels : ndarray of shape (n,)
        Class numbers of these samples.

    Attributes
    ----------
    noise : NoiseMatrix
        The noise matrix.
    shares : ndarray of shape (n_classes,)
        Estimated shares of the true classes, π of (1) in `find_wrong_labels`.
    """

    def __init__(self, P: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self.noise = estimate_noise_matrix(P, labels)
        mean = P.mean(0, dtype=np.float64, keepdims=True)  # = π·T
        self.shares = np.maximum(self.noise.true_classes(mean)[0], _LEAST_SHARE)

    def score(self, P: NDArray[np.float32], labels: NDArray[np.int64]) -> LabelScores:
        """Score a block of labels; negative class numbers mark samples without a label."""
        q = self.noise.true_classes(P)
        rows = np.arange(len(q))
        known = labels >= 0
        own = q[rows, labels].astype(np.float64)  # meaningless for unlabeled samples; masked below
        right = own * self.noise.diagonal[labels]
        labeled = self.noise.times(q)[rows, labels]
        likely = q / self.shares
        plausible = likely[rows, labels] / np.maximum(likely.sum(1), _TINY)
        trust = right / np.maximum(labeled + _ALIKE * own * (1 - plausible), _TINY)
        suggested = q.argmax(1)
        probability = q[rows, suggested].astype(np.float64)
        return LabelScores(
            wrong=known & (probability > _TIMES * own),
            trust=np.where(known, np.clip(trust, 0, 1), np.nan),
            label_probability=np.where(known, P[rows, labels], np.nan).astype(np.float64),
            suggested=suggested,
            probability=probability,
            suspicion=np.clip(1 - right / np.maximum(labeled, _TINY), 0, 1),
        )
