"""How often one class is labeled as another, and the probabilities of the true classes.

The noise matrix T holds T_yc, the probability that a sample of class y is labeled c. If two
classes are similar, the label probabilities P are soft even if no label is wrong. But on the
samples of class y that look least like class c, labels c are mistakes. So, of the samples
predicted to be of class y, only the 40% with the lowest P_c are used, and T_yc is the share of
labels c among them [1]_. Cells that hold significantly more labels than the others keep their own
rates; the others share one rate,

    T = diag(t) + f·(1 − I) + E,   E sparse.                                              (1)

The probabilities q of the true classes satisfy P = q·T. They are found by the Richardson–Lucy
iteration, q ← q ∘ ((P / (q·T))·Tᵀ), which keeps them positive.

References
----------
.. [1] Anchor points as in T. Liu and D. Tao, "Classification with noisy labels by importance
   reweighting", IEEE Transactions on Pattern Analysis and Machine Intelligence 38 (2016),
   doi:10.1109/TPAMI.2015.2456899; here, each cell has its own anchor points.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["NoiseMatrix", "estimate_noise_matrix"]

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

_ANCHORS = 0.4  # share of the samples predicted to be of a class
_LEAST_ANCHORS = 20
# A cell is significant if its count exceeds the expected one by this many standard deviations plus
# this many labels.
_DEVIATIONS, _LABELS = 4.0, 4
_LARGEST_NOISE = 0.9  # largest noise rate of a class
_ROUNDS = 2  # the second round predicts the classes from q
_ITERATIONS = 10
_BLOCK_ENTRIES = 2**20
_TINY = 1e-9


@dataclass
class NoiseMatrix:
    """The matrix T of (1)."""

    diagonal: Floats
    floor: Floats  # f of each row
    extra: sparse.csr_array  # E

    def dense(self) -> NDArray[np.float64]:
        """Return T, shape (n_classes, n_classes); its rows sum to 1."""
        T = np.asarray(self.floor[:, None] + self.extra.toarray(), np.float64)
        np.fill_diagonal(T, self.diagonal)
        return T

    def times(self, q: Floats) -> Floats:
        """Return q·T."""
        product: Floats = q * (self.diagonal - self.floor)
        product += (q @ self.floor)[:, None]
        if self.extra.nnz:
            product += q @ self.extra
        return product

    def transposed(self, r: Floats) -> Floats:
        """Return r·Tᵀ."""
        product: Floats = r * (self.diagonal - self.floor)
        product += r.sum(1, keepdims=True) * self.floor
        if self.extra.nnz:
            product += r @ self.extra.T
        return product

    def true_classes(self, P: Floats) -> Floats:
        """Return the probabilities q of the true classes for probabilities P of labels."""
        q = P
        for _ in range(_ITERATIONS):
            ratio = np.maximum(self.times(q), _TINY)
            np.divide(P, ratio, out=ratio)
            q = q * self.transposed(ratio)  # sums to 1, because P does
        normalized: Floats = q / np.maximum(q.sum(1, keepdims=True), _TINY)
        return normalized


def estimate_noise_matrix(P: Floats, labels: Labels) -> NoiseMatrix:
    """Estimate the noise matrix from leave-one-out probabilities and labels.

    Parameters
    ----------
    P : ndarray of shape (n, n_classes)
        Label probabilities, computed for each sample without its own label.
    labels : ndarray of shape (n,)
        Class numbers.
    """
    found = _significant(*_at_anchors(P, P.argmax(1), labels))
    step = max(1, _BLOCK_ENTRIES // P.shape[1])
    for _ in range(1, _ROUNDS):
        blocks = (P[start : start + step] for start in range(0, len(P), step))
        predicted = np.concatenate([found.true_classes(block).argmax(1) for block in blocks])
        found = _significant(*_at_anchors(P, predicted, labels))
    return found


def _at_anchors(
    P: Floats, predicted: Labels, labels: Labels
) -> tuple[sparse.coo_array, NDArray[np.float64]]:
    """Count the anchors of each cell (y, c) that are labeled c, and the anchors per cell of y."""
    n_classes = P.shape[1]
    anchors = np.zeros(n_classes)
    places, counts = [np.zeros((2, 0), np.int64)], [np.zeros(0)]
    order = np.argsort(predicted, kind="stable")
    members = np.split(order, np.searchsorted(predicted[order], np.arange(1, n_classes)))
    for y, rows in enumerate(members):
        if len(rows) == 0:
            continue
        k = min(len(rows), max(int(np.ceil(_ANCHORS * len(rows))), _LEAST_ANCHORS))
        # The count is 0 for classes that no row is labeled with.
        present = np.unique(labels[rows])
        lowest = np.argpartition(P[np.ix_(rows, present)], k - 1, axis=0)[:k]
        places.append(np.stack([np.full(len(present), y), present]))
        counts.append((labels[rows][lowest] == present).sum(0))
        anchors[y] = k
    shape = (n_classes, n_classes)
    found = sparse.coo_array((np.concatenate(counts), np.hstack(places)), shape=shape)
    return found, anchors


def _significant(counts: sparse.coo_array, anchors: NDArray[np.float64]) -> NoiseMatrix:
    """Keep the cells with significantly more labels than the common rate explains."""
    n_classes = len(anchors)
    y, c = counts.coords
    other = (y != c) & (counts.data > 0)
    y, c, count = y[other], c[other], counts.data[other].astype(np.float64)
    size = anchors[y]
    # The common rate is not known yet, so first estimate it without each row's largest cell.
    special = np.zeros(len(y), bool)
    order = np.lexsort((c, -count, y))
    special[order[np.unique(y[order], return_index=True)[1]]] = True
    rate = 0.0
    for _ in range(10):
        n_rest = anchors.sum() * (n_classes - 1) - size[special].sum()
        rate = float(count[~special].sum() / max(n_rest, 1))
        expected = rate * size
        now = count - expected > _DEVIATIONS * np.sqrt(expected) + _LABELS
        if (now == special).all():
            break
        special = now
    y, c, share = y[special], c[special], count[special] / size[special]
    rest = n_classes - 1 - np.bincount(y, minlength=n_classes)
    total = np.bincount(y, share, n_classes) + rate * rest
    shrink = np.minimum(1, _LARGEST_NOISE / np.maximum(total, _TINY))
    extra = sparse.coo_array(((share - rate) * shrink[y], (y, c)), shape=(n_classes, n_classes))
    return NoiseMatrix(
        (1 - total * shrink).astype(np.float32),
        (rate * shrink).astype(np.float32),
        sparse.csr_array(extra).astype(np.float32),
    )
