"""The probability that each label is right, from the similarity graph of the whole dataset.

The computation, for n rows x̂ᵢ of norm 1 with labels cᵢ:

1. Graph.        S has entries (1 + x̂ᵢ·x̂ⱼ)/2 ≥ 0. Its normalized affinity has factors
                 with d + 1 columns,         I − L = D^(-1/2)·S·D^(-1/2) = Z·Zᵀ.          (1)
                 Z is centered, which removes the prior of the classes.
2. Filter.       The low-pass filter μ ↦ μ/(μ + λ) of the eigenvalues μ of Z·Zᵀ, applied to
                 the class indicators Y, is ridge regression on Z:
                                             F = Z·(ZᵀZ + λ)⁻¹·ZᵀY.                      (2)
                 It needs ZᵀZ only: no n × n array, and a few passes over the rows.
3. Leave-one-out. With the leverages hᵢ = zᵢ·(ZᵀZ + λ)⁻¹·zᵢ, the prediction for row i
                 without its own label is    F⁽ⁱ⁾ = (Fᵢ − hᵢ·Yᵢ) / (1 − hᵢ).             (3)
                 λ is chosen by the squared error of (3).
4. Ranks.        The rival of i is the class j ≠ cᵢ with the largest score in (3). If cᵢ is
                 wrong, i most likely belongs to its rival, so its score for cᵢ is ranked
                 among the scores for cᵢ of samples labeled with the rival:
                                             uᵢ = rank of F⁽ⁱ⁾[cᵢ] in [0, 1].            (4)
                 u is uniform for wrong labels and near 1 for right labels.
5. Noise rate.   Storey's estimate           π = 2·P(u < 1/2),                           (5)
                 bounded by the disagreement at anchor points.
6. Trust.        One minus the local false discovery rate, with the density f of u
                 estimated under the constraint that it increases:
                                             P(right | u) = 1 − π / f(u).                (6)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse
from sklearn.isotonic import isotonic_regression

from spectral_select._fiedler.fiedler_vector import seed_of
from spectral_select._utils.array_namespace import Array, to_numpy
from spectral_select._utils.labels import check_labels, class_codes
from spectral_select._utils.validation import check_features, check_finite

__all__ = ["LabelTrust", "label_trust"]

_BLOCK_ENTRIES = 2**19
# Rows on which λ is chosen, and whose scores form the reference distribution of (4).
_N_SAMPLED = 20_000
# Candidates for λ, in units of the mean eigenvalue of ZᵀZ.
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# Estimates of a class shrink toward those of all classes, with this many prior samples.
_PRIOR_COUNT = 10.0
_TINY = 1e-9  # avoids division by 0 if all labels look wrong, or none
# Shares of each predicted class that serve as anchor points.
_SURE = (0.02, 0.05, 0.1)
_STANDARD_ERRORS = 2.0  # added to the disagreement at the anchor points

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelTrust:
    """Estimates about labels, made by `label_trust`.

    Attributes
    ----------
    trust : ndarray of shape (n,), float64
        Probability that a label is right, in [0, 1].
    noise_rate : float
        Estimated share of labels that are wrong.
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    class_noise_rate : ndarray of shape (n_classes,), float64
        Estimated share of wrong labels among those of each class.
    scores : ndarray of shape (n,), float64
        Leave-one-out score of each sample for its label: about 1 where its neighborhood has
        the same label, about 0 where it does not.
    strength : float
        The λ of the filter, in units of the mean eigenvalue.
    separation : float
        How well the graph separates right labels from wrong ones: 1 if all right labels rank
        above all wrong ones, 0 if their ranks have the same distribution. If it is low, the
        features say little about the classes, and the other estimates are unreliable.
    class_separation : ndarray of shape (n_classes,), float64
        The same for the labels of each class.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import label_trust
    >>> found = label_trust(*load_digits(return_X_y=True))
    >>> found.trust.shape, found.classes.shape, found.class_noise_rate.shape
    ((1797,), (10,), (10,))
    """

    trust: Floats
    noise_rate: float
    classes: NDArray[Any]
    class_noise_rate: Floats
    scores: Floats
    strength: float
    separation: float
    class_separation: Floats


@np.errstate(all="ignore")  # underflow to 0 is correct; inputs and results are checked
def label_trust(X: Any, y: ArrayLike, *, random_state: Any = None) -> LabelTrust:
    """Return the probability that each label is right, from the similarity graph.

    Parameters
    ----------
    X : array-like, sparse array or torch.Tensor of shape (n, d)
        Features, finite; a memory map is read block by block.
    y : array-like of shape (n,)
        Labels: integers or strings.
    random_state : int, RandomState or None, default=None
        Seed of the sample of at most 20,000 rows that forms the reference distribution. None
        is a fixed seed.

    Returns
    -------
    LabelTrust

    Raises
    ------
    ValueError, TypeError
        If `X` is not finite, `y` has another length, or there is only one class.

    Notes
    -----
    The scores are leave-one-out predictions of ridge regression of the class indicators on
    the factors of the normalized graph; the strength λ with the smallest leave-one-out error
    is used. The rival of a sample is the class with its highest score other than its label.
    A sample with a wrong label most likely belongs to its rival, so its score for its label
    is ranked among the scores, for the same label, of samples of the rival class. This rank u
    is like a p-value: uniform for wrong labels, near 1 for right labels. The share of wrong
    labels is Storey's estimate 2·P(u < 1/2) [1]_, for all samples and, with shrinkage, by
    class. The probability that a label is right is one minus the local false discovery rate
    [2]_, with a density of u that increases (Grenander's estimator). Rare classes and hard
    samples with right labels keep a high trust: a label has to agree with the neighbors better
    than that of a sample of the rival class, not perfectly.

    If the features say little about the classes, right labels get low ranks too, and Storey's
    estimate is too high. It is therefore bounded by anchor points [3]_: of the samples that
    are predicted with the largest margin (2, 5 and 10% of each predicted class), the share
    with another label plus two standard errors. If this bound is below Storey's estimate, the
    shares of all classes are scaled down by the same factor. The bound assumes that labels of
    anchor points are wrong as often as others; of errors that occur only between similar
    classes, few are found.

    The separation is the mean of 2u − 1 weighted by trust, with shrinkage for each class. For
    a few hundred samples with uninformative features it can be too high by chance.

    References
    ----------
    .. [1] J. D. Storey, "A direct approach to false discovery rates", Journal of the Royal
       Statistical Society B 64 (2002), doi:10.1111/1467-9868.00346.
    .. [2] B. Efron, R. Tibshirani, J. D. Storey and V. Tusher, "Empirical Bayes analysis
       of a microarray experiment", JASA 96 (2001), doi:10.1198/016214501753382129.
    .. [3] T. Liu and D. Tao, "Classification with noisy labels by importance reweighting",
       IEEE Transactions on Pattern Analysis and Machine Intelligence 38 (2016),
       doi:10.1109/TPAMI.2015.2456899.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import label_trust
    >>> X, y = load_digits(return_X_y=True)
    >>> rng = np.random.default_rng(0)
    >>> wrong = rng.random(len(y)) < 0.2
    >>> noisy = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    >>> found = label_trust(X, noisy)
    >>> print(f"{found.noise_rate:.1f}")
    0.2
    >>> bool(found.trust[wrong].mean() < 0.1 < 0.9 < found.trust[~wrong].mean())
    True
    """
    X = check_features(X)
    if X.ndim != 2:
        raise ValueError(f"X must have shape (n_samples, n_features); got shape {tuple(X.shape)}")
    classes, labels = class_codes(check_labels(y, X.shape[0]))
    seed = seed_of(random_state)
    check_finite(X)
    factors = _Factors(X)
    found = _filtered(factors, labels, len(classes), seed)
    ranks = _ranks(found, labels)
    trust, rate, by_class = _two_groups(ranks, labels, len(classes), _most_wrong(found, labels))
    separation = _separation(ranks, trust, labels, len(classes))
    return LabelTrust(trust, rate, classes, by_class, found.own, found.strength, *separation)


class _Factors:
    """The centered rows of Z in (1), block by block."""

    def __init__(self, X: Array) -> None:
        self._X = X
        self.n, d = X.shape
        self._rows = max(1, _BLOCK_ENTRIES // (d + 1))
        total = np.zeros(d + 1)
        for _, rows in self._unit_rows():
            total += rows.sum(0, dtype=np.float64)
        self._total = total.astype(np.float32)
        mean = np.zeros(d + 1)
        for _, rows in self._scaled():
            mean += rows.sum(0, dtype=np.float64)
        self._mean = (mean / self.n).astype(np.float32)

    def __iter__(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        for place, rows in self._scaled():
            yield place, rows - self._mean

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the rows at ascending `indices`."""
        starts = range(0, len(indices), self._rows)
        blocks = (_unit(self._X[indices[start : start + self._rows]]) for start in starts)
        return np.concatenate([self._scale(rows) - self._mean for rows in blocks])

    def _unit_rows(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        for start in range(0, self.n, self._rows):
            place = slice(start, min(start + self._rows, self.n))
            yield place, _unit(self._X[place])

    def _scaled(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        for place, rows in self._unit_rows():
            yield place, self._scale(rows)

    def _scale(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        # Degrees are at least 1/2, because (1 + x̂ᵢ·x̂ᵢ)/2 is 1, or 1/2 for a row of zeros.
        degrees = rows @ self._total
        scaled: NDArray[np.float32] = rows * np.sqrt(self.n / degrees)[:, None]
        return scaled


def _unit(X: Array) -> NDArray[np.float32]:
    """Return (x̂, 1)/√2 for each row, whose inner products are (1 + x̂ᵢ·x̂ⱼ)/2."""
    rows = X.toarray() if sparse.issparse(X) else to_numpy(X)
    largest = np.abs(rows).max(1, keepdims=True)
    rows = np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    out = np.full((len(rows), rows.shape[1] + 1), 0.5**0.5, np.float32)
    np.divide(rows, norms * 2**0.5, out=out[:, :-1], where=norms > 0, casting="same_kind")
    out[:, :-1][norms[:, 0] == 0] = 0
    return out


@dataclass
class _Filtered:
    """Leave-one-out scores (3)."""

    own: Floats  # score of each sample for its label
    rivals: NDArray[np.int64]  # class with the highest score other than the label
    sampled: NDArray[np.int64]  # rows of the reference distribution
    table: NDArray[np.float32]  # their scores for all classes
    strength: float  # λ


def _filtered(factors: _Factors, labels: NDArray[np.int64], n_classes: int, seed: int) -> _Filtered:
    """Compute the leave-one-out scores (3), with the best λ."""
    n = factors.n
    gram: Any = 0.0
    products: Any = 0.0
    for place, Z in factors:
        gram = gram + (Z.T @ Z).astype(np.float64)  # accumulate in float64
        indicators = sparse.csr_array(
            (np.ones(len(Z), np.float32), (np.arange(len(Z)), labels[place])),
            shape=(len(Z), n_classes),
        )
        products = products + (indicators.T @ Z).T
    prior = np.bincount(labels, minlength=n_classes) / n
    values, vectors = linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    turned = vectors.T @ products
    chosen = np.sort(np.random.default_rng(seed).permutation(n)[:_N_SAMPLED])
    Z = factors.take(chosen) @ vectors
    unit = values.mean() or 1.0
    tried = [_left_out(Z, labels[chosen], prior, values + s * unit, turned, n) for s in _STRENGTHS]
    best = int(np.argmin([_error(scores, labels[chosen]) for scores in tried]))
    damped = values + _STRENGTHS[best] * unit
    own, rivals = np.empty(n), np.empty(n, np.int64)
    for place, rows in factors:
        given, every = labels[place], np.arange(len(rows))
        scores = _left_out(rows @ vectors, given, prior, damped, turned, n)
        own[place] = scores[every, given]
        scores[every, given] = -np.inf
        rivals[place] = scores.argmax(1)
    return _Filtered(own, rivals, chosen, tried[best], _STRENGTHS[best])


def _left_out(
    Z: NDArray[Any],
    labels: NDArray[np.int64],
    prior: Floats,
    damped: Floats,
    turned: Floats,
    n: int,
) -> NDArray[np.float32]:
    """Return the leave-one-out scores (3) of some rows for all classes.

    In the eigenbasis of ZᵀZ, `damped` holds its eigenvalues plus λ and `turned` is ZᵀY.
    """
    fitted = Z @ (turned / damped[:, None])
    leverage = np.square(Z) @ (1 / damped) + 1 / n
    own = -np.tile(prior, (len(Z), 1))
    own[np.arange(len(Z)), labels] += 1
    left = (fitted - leverage[:, None] * own) / np.maximum(1 - leverage[:, None], 1e-6)
    return np.asarray(left + prior, np.float32)


def _error(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean squared error against the class indicators."""
    right = scores[np.arange(len(scores)), labels]
    return float((np.square(scores).sum(1) - 2 * right + 1).mean(dtype=np.float64))


def _ranks(found: _Filtered, labels: NDArray[np.int64]) -> Floats:
    """Return the ranks u of (4).

    If few samples have the label of the rival, samples of all other labels are added with a
    small weight.
    """
    ranks = np.empty(len(labels))
    theirs = labels[found.sampled]
    n_classes = found.table.shape[1]
    members = [np.flatnonzero(theirs == label) for label in range(n_classes)]
    order = np.lexsort((found.rivals, labels))
    cuts = np.flatnonzero(np.diff(labels[order]) | np.diff(found.rivals[order])) + 1
    last = -1
    for group in np.split(order, cuts):
        label, rival = labels[group[0]], found.rivals[group[0]]
        if label != last:
            general, last = np.sort(found.table[theirs != label, label]), label
        near = np.sort(found.table[members[rival], label])
        scores = found.own[group].astype(np.float32)
        among = np.searchsorted(general, scores) / max(len(general), 1)
        # The denominator keeps ranks below 1, because the reference sample is finite.
        ranks[group] = (np.searchsorted(near, scores) + _PRIOR_COUNT * among) / (
            len(near) + _PRIOR_COUNT + 1
        )
    return ranks


def _most_wrong(found: _Filtered, labels: NDArray[np.int64]) -> float:
    """Return an upper bound of the share of wrong labels, from anchor points.

    It is the smallest of the bounds from 2, 5 and 10% of each predicted class.
    """
    predicted = found.table.argmax(1)
    top = np.partition(found.table, -2, axis=1)
    order = np.lexsort((top[:, -2] - top[:, -1], predicted))  # by class, largest margin first
    classes = predicted[order]
    wrong = classes != labels[found.sampled[order]]
    place = np.arange(len(order)) - np.searchsorted(classes, classes)  # within the class
    counts = np.bincount(classes)[classes]
    return min(_upper_bound(wrong[place < np.ceil(share * counts)]) for share in _SURE)


def _upper_bound(events: NDArray[np.bool_]) -> float:
    """Return the share of true values plus two standard errors."""
    n = len(events) + 2  # one value of each kind is added as a prior
    share = (1 + np.count_nonzero(events)) / n
    return float(share + _STANDARD_ERRORS * np.sqrt(share * (1 - share) / n))


def _two_groups(
    ranks: Floats, labels: NDArray[np.int64], n_classes: int, most: float
) -> tuple[Floats, float, Floats]:
    """Return the trust (6), the noise rate (5), and the noise rate by class."""
    low = ranks < 0.5
    storey = 2.0 * float(low.mean())
    rate = min(storey, most, 1.0)
    wrong_of_low = rate / max(low.mean(), _TINY)  # 2, or less because of the bound
    counts = np.bincount(labels, minlength=n_classes)
    lows = np.bincount(labels, low, minlength=n_classes)
    by_class = (wrong_of_low * lows + _PRIOR_COUNT * rate) / (counts + _PRIOR_COUNT)
    by_class = np.minimum(by_class, 1.0)
    density = _rising_density(ranks)
    # Density of u among right labels: f = π + (1 − π)·right, as u is uniform for wrong labels.
    right = np.maximum(density - rate, 0.0) / max(1 - rate, _TINY)
    wrong = by_class[labels]
    mixture = wrong + (1 - wrong) * right
    trust = np.where(mixture > 0, 1 - wrong / np.maximum(mixture, np.finfo(float).tiny), 1.0)
    return np.clip(trust, 0.0, 1.0), rate, by_class


def _separation(
    ranks: Floats, trust: Floats, labels: NDArray[np.int64], n_classes: int
) -> tuple[float, Floats]:
    """Return the separation of right and wrong labels, for all samples and by class.

    The rank of a wrong label is uniform, so the rank of a right label is the probability that
    it exceeds the rank of a wrong one.
    """
    right = np.bincount(labels, trust, n_classes)
    above = np.bincount(labels, trust * (2 * ranks - 1), n_classes)
    general = max(float(above.sum() / max(right.sum(), _TINY)), 0.0)
    by_class = (above + _PRIOR_COUNT * general) / (right + _PRIOR_COUNT)
    return general, np.maximum(by_class, 0.0)


def _rising_density(ranks: Floats) -> Floats:
    """Return the density f of (6) at each rank: a histogram made non-decreasing."""
    n = len(ranks)
    n_bins = int(np.clip(n // 50, 10, 200))
    inner = np.quantile(ranks, np.linspace(0, 1, n_bins + 1))
    edges = np.unique(np.concatenate([[0.0], inner, [1.0]]))
    counts, _ = np.histogram(ranks, edges)
    widths = np.diff(edges)
    rising = isotonic_regression(counts / (n * widths), sample_weight=widths)
    places = np.clip(np.searchsorted(edges, ranks, side="right") - 1, 0, len(widths) - 1)
    return np.asarray(rising[places], np.float64)
