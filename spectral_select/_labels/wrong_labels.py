"""Find wrong labels in a dataset, using its similarity graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._fiedler.fiedler_vector import seed_of
from spectral_select._labels.label_filter import fit_label_filter
from spectral_select._labels.label_scores import LabelScorer, LabelScores
from spectral_select._utils.labels import check_labels, class_codes, labeled_codes
from spectral_select._utils.validation import (
    check_int,
    check_matrix,
    check_not_masked,
)

__all__ = [
    "WrongLabels",
    "find_wrong_labels",
    "wrong_labels_in",
]

_MAX_ENTRIES = 2**24  # maximum number of probabilities used to estimate the noise matrix
_BLOCK_ENTRIES = 2**20

_NO_MARK = type("NoMark", (), {"__repr__": lambda self: "<none>"})()

Probabilities = Callable[[Any], NDArray[np.float32]]


@dataclass(frozen=True)
class WrongLabels:
    """Wrong labels, found by `find_wrong_labels`.

    Attributes
    ----------
    wrong : ndarray of shape (n,), bool
        Whether a label is flagged: another class is more than 1.5 times as likely as the labeled
        one.
    trust : ndarray of shape (n,), float64
        Probability that the label is correct, in [0, 1]. Review the samples with the lowest
        trust first. NaN for samples without a label.
    label_probability : ndarray of shape (n,), float64
        Probability of the given label, as predicted from the labels of the other samples
        without correcting for wrong labels. NaN for samples without a label.
    suggested : ndarray of shape (n,)
        The most likely class of each sample.
    suggested_probability : ndarray of shape (n,), float64
        Probability of the suggested class.
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    noise_rate : float
        Estimated share of wrong labels.
    class_noise_rate : ndarray of shape (n_classes,), float64
        Estimated share of wrong labels among those of each class.
    noise_matrix : ndarray of shape (n_classes, n_classes), float64
        Probability of each label (column) for samples of each true class (row).
    graph : str
        Name of the chosen similarity graph. Empty if only `pred_probs` was given.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import find_wrong_labels
    >>> found = find_wrong_labels(*load_digits(return_X_y=True))
    >>> found.trust.shape, found.noise_matrix.shape, bool(found.noise_rate < 0.01)
    ((1797,), (10, 10), True)
    """

    wrong: NDArray[np.bool_]
    trust: NDArray[np.float64]
    label_probability: NDArray[np.float64]
    suggested: NDArray[Any]
    suggested_probability: NDArray[np.float64]
    classes: NDArray[Any]
    noise_rate: float
    class_noise_rate: NDArray[np.float64]
    noise_matrix: NDArray[np.float64]
    graph: str


@np.errstate(all="ignore")  # underflow to 0 is correct; inputs are checked
def find_wrong_labels(
    X: Any,
    y: ArrayLike,
    *,
    pred_probs: ArrayLike | None = None,
    unlabeled: Any = _NO_MARK,
    n_landmarks: int = 1024,
    random_state: Any = None,
) -> WrongLabels:
    """Find wrong labels from features, a model's class probabilities, or both.

    Parameters
    ----------
    X : array-like, sparse array or torch.Tensor of shape (n, d), or None
        Features, for example embeddings. Values must be finite. Memory maps are read in blocks.
        If None, only `pred_probs` is used.
    y : array-like of shape (n,)
        Labels: integers or strings.
    pred_probs : array-like of shape (n, n_classes), optional
        Class probabilities from a model that was not trained on the sample itself, for example
        from cross-validation. Columns follow the sorted classes. If `X` is also given, the two
        sets of probabilities are multiplied and renormalized.
    unlabeled : object, optional
        The value in `y` that marks samples without a label, such as -1 or NaN. These samples
        get a suggested label, and their trust is NaN. By default, all samples have labels.
    n_landmarks : int, default=1024
        Maximum number of landmarks in nonlinear graphs. More landmarks take longer, but the
        graphs are more accurate. With 0, only the linear graph is used, which is fastest.
    random_state : int, RandomState or None, default=None
        Seed for choosing the landmarks and the rows used for model selection. None uses a fixed
        seed.

    Returns
    -------
    WrongLabels

    Raises
    ------
    ValueError, TypeError
        If features or probabilities are not finite or have the wrong shape, if the length of
        `y` does not match, or if there is only one class.

    See Also
    --------
    inspect_dataset : Wrong labels, outliers and near-duplicates together.
    GuidedSampler, GuidedBatchSelector : Selection of samples by trust.

    Notes
    -----
    A low-pass filter on a similarity graph (cosine, or one of four heat kernels, with
    landmarks) predicts class probabilities P for each sample from the labels of the other samples
    (leave-one-out). The graph and the filter strength are chosen to minimize the leave-one-out
    error. The noise matrix T holds T_yc, the probability that a sample of class y is labeled c,
    estimated on the samples of class y that look least like class c. The probabilities q of the
    true classes solve P = q·T. The trust in label g is

        t = q_g·T_gg / ((q·T)_g + β·q_g·(1 − r_g)),   r ∝ q / π,   β = 0.3.               (1)

    The last term of the denominator allows for mistakes that the noise matrix cannot represent:
    those between classes that are both plausible for this sample. People who label a sample by its
    looks do not consider how common a class is. So r is q divided by the estimated shares π of
    the true classes, and normalized. The noise rate is the mean of 1 − t, with t computed without
    that term. The rate therefore underestimates mistakes on samples that lie between two classes:
    from the features alone, no method can distinguish such mistakes from correct labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import find_wrong_labels
    >>> X, y = load_digits(return_X_y=True)
    >>> rng = np.random.default_rng(0)
    >>> wrong = rng.random(len(y)) < 0.1
    >>> noisy = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    >>> found = find_wrong_labels(X, noisy)
    >>> print(f"{found.wrong[wrong].mean():.2f} {found.wrong[~wrong].mean():.2f}")
    0.99 0.01
    >>> bool((found.suggested[wrong] == y[wrong]).mean() > 0.95)
    True
    """
    check_int(n_landmarks, "n_landmarks", 0)
    seed = seed_of(random_state)
    if X is None and pred_probs is None:
        raise ValueError("X or pred_probs must be given; got None for both")
    rows = None if X is None else Rows(check_matrix(X))
    return wrong_labels_in(
        rows, y, pred_probs=pred_probs, unlabeled=unlabeled, n_landmarks=n_landmarks, seed=seed
    )


def wrong_labels_in(
    rows: Rows | None,
    y: ArrayLike,
    *,
    pred_probs: ArrayLike | None,
    unlabeled: Any = _NO_MARK,
    n_landmarks: int,
    seed: int,
) -> WrongLabels:
    """Find wrong labels of standardized rows; see `find_wrong_labels`."""
    n = len(pred_probs) if rows is None else rows.n  # type: ignore[arg-type]
    if unlabeled is _NO_MARK:
        classes, labels = class_codes(check_labels(y, n))
    else:
        classes, labels = labeled_codes(y, n, unlabeled)
    given = None if pred_probs is None else _check_probabilities(pred_probs, n, len(classes))
    if rows is None:
        order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
        sampled = np.sort(order[: max(_MAX_ENTRIES // len(classes), len(classes))])
        values = np.asarray(given)
        graph, places = "", _places(n, len(classes))
        probabilities: Probabilities = values.__getitem__
        table = values[sampled]
    else:
        found = fit_label_filter(rows, labels, len(classes), n_landmarks=n_landmarks, seed=seed)
        graph, places, sampled = found.graph, found.places(), found.sampled
        probabilities = _product(found.probabilities, given)
        table = probabilities(sampled)
    scorer = LabelScorer(table, labels[sampled])
    return _result(scorer, labels, classes, places, probabilities, graph)


def _result(
    scorer: LabelScorer,
    labels: NDArray[np.int64],
    classes: NDArray[Any],
    places: list[slice],
    probabilities: Probabilities,
    graph: str,
) -> WrongLabels:
    parts = [vars(scorer.score(probabilities(place), labels[place])) for place in places]
    scores = LabelScores(
        *(np.concatenate(field) for field in zip(*map(dict.values, parts), strict=True))
    )
    known = labels >= 0
    suspicion = np.bincount(labels[known], scores.suspicion[known], len(classes))
    counts = np.bincount(labels[known], minlength=len(classes))
    return WrongLabels(
        wrong=scores.wrong,
        trust=scores.trust,
        label_probability=scores.label_probability,
        suggested=classes[scores.suggested],
        suggested_probability=scores.probability,
        classes=classes,
        noise_rate=float(suspicion.sum() / max(counts.sum(), 1)),
        class_noise_rate=suspicion / np.maximum(counts, 1),
        noise_matrix=scorer.noise.dense(),
        graph=graph,
    )


def _places(n: int, width: int) -> list[slice]:
    """Return slices over n rows, each of about a million entries."""
    step = max(1, _BLOCK_ENTRIES // width)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _product(of_graph: Probabilities, given: NDArray[np.float32] | None) -> Probabilities:
    """Return the normalized product of the graph's and the model's probabilities."""
    if given is None:
        return of_graph

    def probabilities(place: Any) -> NDArray[np.float32]:
        both = of_graph(place) * np.maximum(given[place], np.float32(1e-6))
        return np.asarray(both / both.sum(1, keepdims=True), np.float32)

    return probabilities


def _check_probabilities(pred_probs: ArrayLike, n: int, n_classes: int) -> NDArray[np.float32]:
    check_not_masked(pred_probs, "pred_probs")
    values = np.asarray(pred_probs, np.float32)
    if values.shape != (n, n_classes):
        raise ValueError(
            f"pred_probs must have shape {(n, n_classes)}, a column for each of the sorted "
            f"classes; got {values.shape}"
        )
    sums = values.sum(1)
    bad = np.flatnonzero(~((values >= 0).all(1) & (np.abs(sums - 1) < 1e-2)))
    if len(bad):
        raise ValueError(
            f"pred_probs must be probabilities whose rows sum to 1; row {bad[0]} sums to "
            f"{sums[bad[0]]:g} and its minimum is {values[bad[0]].min():g}"
        )
    return values
