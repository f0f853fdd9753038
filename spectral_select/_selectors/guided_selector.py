"""Selection of rows by what the graph says of their labels and by their losses.

The rule stands here once, for the estimator, the batch sampler and the training driver.
"""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval

from spectral_select._fiedler.fiedler_vector import seed_of
from spectral_select._labels.label_trust import LabelTrust, label_trust
from spectral_select._selectors.ratio import batch_counts
from spectral_select._selectors.row_selector import RowSelectorMixin, checked_rows, keep_rows
from spectral_select._selectors.weighted_sampling import gumbel_top_k
from spectral_select._utils.array_namespace import to_numpy
from spectral_select._utils.labels import check_labels
from spectral_select._utils.validation import check_features, check_int

__all__ = ["GuidedBatchSelector", "fill_unknown", "guided_parts", "log_weights"]

# Nobody is ruled out: the graph may err, and every sample is seen some day.
_LEAST_TRUST, _LEAST_HARDNESS, _LEAST_LOSS = 0.01, 0.05, 1e-3

# In the words of scikit-learn's own estimators.
_NO_LABELS = "requires y to be passed, but the target y is None"

Floats = NDArray[np.float64]


def guided_parts(
    found: LabelTrust, y: ArrayLike, *, hardness_power: float, trust_power: float, loss_power: float
) -> Floats:
    """Return the parts of the weights that do not change during training.

    Trust counts as far as the graph can tell right labels from wrong ones: to the power
    c·s², c being `trust_power` and s the separation of a sample's class. Where labels are
    wrong, a large loss says less: the power of the loss falls with the share r of wrong
    labels in a sample's class, as p·(1 − 2·c·s²·r), and not below 0.

    Parameters
    ----------
    found : LabelTrust
        What the graph says of the labels.
    y : array-like of shape (n,)
        The labels themselves.
    hardness_power, trust_power, loss_power : float
        As in `GuidedBatchSelector`.

    Returns
    -------
    ndarray of shape (n, 3)
        The logarithms of what trust and hardness make of the weight, and the power of the loss.
    """
    trust = np.maximum(found.trust, _LEAST_TRUST)
    hard = np.maximum(1 - found.scores, _LEAST_HARDNESS)
    codes = np.searchsorted(found.classes, np.asarray(y))
    believed = trust_power * found.class_separation[codes] ** 2
    powers = loss_power * np.maximum(1 - 2 * believed * found.class_noise_rate[codes], 0)
    return np.stack([believed * np.log(trust), hardness_power * np.log(hard), powers], axis=1)


def log_weights(parts: Floats, losses: ArrayLike | None) -> Floats:
    """Return the logarithms of the weights of some rows, with the losses they have now.

    Parameters
    ----------
    parts : ndarray of shape (n, 3)
        From `guided_parts`.
    losses : array-like of shape (n,), or None
        None leaves the losses out. A row of loss NaN gets NaN: it is drawn last.

    Returns
    -------
    ndarray of shape (n,)
    """
    logs: Floats = parts[:, 0] + parts[:, 1]
    if losses is None:
        return logs
    return logs + parts[:, 2] * np.log(np.maximum(np.asarray(losses, np.float64), _LEAST_LOSS))


def fill_unknown(losses: ArrayLike) -> Floats:
    """Return losses with the largest known one where none is known.

    Parameters
    ----------
    losses : array-like of shape (n,)
        Those of a candidate batch; what is not finite is not known.

    Returns
    -------
    ndarray of shape (n,), float64
        All 1 if none is known.
    """
    values = np.asarray(losses, np.float64)
    known = np.isfinite(values)
    return np.where(known, values, values[known].max() if known.any() else 1.0)


def _checked_losses(losses: Any, n: int) -> Floats:
    values = np.asarray(to_numpy(losses))
    if values.shape != (n,):
        raise ValueError(f"losses must have shape ({n},), one a sample; got {values.shape}")
    if values.dtype.kind not in "fiu":
        raise TypeError(f"losses must hold real numbers; got dtype {values.dtype}")
    return values.astype(np.float64)


class GuidedBatchSelector(RowSelectorMixin, BaseEstimator):
    """Draw rows by how far their label can be trusted and how hard it is to guess.

    A row is drawn in proportion to ``hardness**a * trust**(c * s**2) * loss**p``. Its trust
    is the probability that its label is right, and its hardness one less what the
    neighborhood says of that label, both by the similarity graph of all of X
    (`label_trust`); s is how well that graph tells right labels from wrong ones in its
    class, from 0 to 1; its loss is the one that a network had on it when last trained on
    it, if there is one. In a class of which a share r of the labels is wrong, a large loss
    says less, and its power is ``p * max(1 - 2 * c * s**2 * r, 0)``. A share ``1 - filter_ratio``
    of the rows is drawn, without replacement.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of the rows discarded, in [0, 1). Of n rows, ``n_kept(n, filter_ratio)``
        are kept: the floor of n·(1 − filter_ratio), and at least one.
    candidate_size : int, optional
        Number of rows in a candidate batch. X is cut into consecutive batches of that
        size, the last one maybe shorter, and each is drawn from on its own. By default X
        is one candidate batch. The graph is always that of all of X.
    hardness_power : float, default=0.5
        Power a of the hardness; 0 leaves it out. Where a `SpectralBatchSampler` has samples
        take turns it grows to this: see there.
    trust_power : float, default=1.0
        Power c of the trust, where the graph separates right labels from wrong ones; with 0
        every label is taken for right.
    loss_power : float, default=0.5
        Power p of the loss, where labels are right; 0 leaves it out. Without losses it
        does not count.
    random_state : int, RandomState or None, default=None
        Seed of the draws; every candidate batch has one of its own. None is always the
        same. In a `SpectralBatchSampler`, None stands for the seed of the sampler, and
        without losses the seed says when it is whose turn first.

    Attributes
    ----------
    support_ : ndarray of shape (n_samples,)
        Mask of the rows kept.
    sample_indices_ : ndarray of shape (n_kept,)
        Their indices, ascending.
    trust_ : LabelTrust
        What the graph says of the labels.
    weights_ : ndarray of shape (n_samples,)
        What the rows were drawn in proportion to, within each candidate batch.
    n_features_in_ : int
        Number of columns of X.
    n_samples_in_ : int
        Number of rows of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X had feature names that are all strings.

    Raises
    ------
    ValueError, TypeError
        From `fit`, for features that are empty or not finite, labels of another number or
        of one class only, and for a parameter outside its domain.

    See Also
    --------
    label_trust : What the graph says of the labels, by itself.
    SpectralBatchSampler : The same weights in a PyTorch DataLoader: by turns over the epochs,
        or by draws with losses as they come.
    FiedlerBatchSelector : A selection that looks at the features alone.

    Notes
    -----
    Nobody is ruled out: trust counts as at least 0.01, hardness as at least 0.05 and a
    loss as at least 0.001. The draw adds Gumbel noise to the logarithms of the weights and
    takes the largest.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import GuidedBatchSelector
    >>> X, y = load_digits(return_X_y=True)
    >>> rng = np.random.default_rng(0)
    >>> wrong = rng.random(len(y)) < 0.2
    >>> noisy = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    >>> selector = GuidedBatchSelector(filter_ratio=0.8, candidate_size=128)
    >>> X_kept, y_kept, wrong_kept = selector.select(X, noisy, wrong)
    >>> X_kept.shape
    (351, 64)
    >>> bool(wrong_kept.mean() < 0.05)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "filter_ratio": [Interval(Real, 0, 1, closed="left")],
        "candidate_size": [Interval(Integral, 1, None, closed="left"), None],
        "hardness_power": [Interval(Real, 0, None, closed="left")],
        "trust_power": [Interval(Real, 0, None, closed="left")],
        "loss_power": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        filter_ratio: float = 0.8,
        *,
        candidate_size: int | None = None,
        hardness_power: float = 0.5,
        trust_power: float = 1.0,
        loss_power: float = 0.5,
        random_state: Any = None,
    ) -> None:
        self.filter_ratio = filter_ratio
        self.candidate_size = candidate_size
        self.hardness_power = hardness_power
        self.trust_power = trust_power
        self.loss_power = loss_power
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, losses: Any = None) -> Self:
        """Draw rows of `X`.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features, one row a sample.
        y : array-like of shape (n_samples,)
            Labels: integers or strings.
        losses : array-like of shape (n_samples,), optional
            The loss of each sample; NaN where it is not known, which counts as the largest
            known one of its candidate batch. By default losses do not count.

        Returns
        -------
        self
        """
        if self.candidate_size is not None:
            check_int(self.candidate_size, "candidate_size", 1)  # a bool is none
        if y is None:  # before X: without labels there is nothing to look at
            raise ValueError(f"{type(self).__name__} {_NO_LABELS}")
        X = check_features(checked_rows(self, X))
        n = int(X.shape[0])
        y = check_labels(y, n)
        if losses is not None:
            losses = _checked_losses(losses, n)
        self.trust_ = label_trust(X, y)
        parts = self._parts(self.trust_, y)
        seed = seed_of(self.random_state)
        size, k, last_k = batch_counts(n, self.candidate_size, self.filter_ratio)
        kept, logs = [], np.empty(n)
        for number, start in enumerate(range(0, n, size)):
            batch = slice(start, min(start + size, n))
            logs[batch] = log_weights(
                parts[batch], None if losses is None else fill_unknown(losses[batch])
            )
            count = k if batch.stop - start == size else last_k
            rng = np.random.default_rng([seed, number])
            kept.append(start + np.sort(gumbel_top_k(logs[batch], count, rng)))
        with np.errstate(over="ignore", under="ignore"):
            self.weights_ = np.exp(logs)
        keep_rows(self, np.concatenate(kept), n)
        return self

    def _parts(self, found: LabelTrust, y: Any) -> Floats:
        return guided_parts(
            found,
            y,
            hardness_power=self.hardness_power,
            trust_power=self.trust_power,
            loss_power=self.loss_power,
        )

    def fit_transform(self, X: Any, y: Any, losses: Any = None) -> Any:
        """Draw rows of `X`, and return them.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features, one row a sample.
        y : array-like of shape (n_samples,)
            Labels: integers or strings.
        losses : array-like of shape (n_samples,), optional
            The loss of each sample, as in `fit`.

        Returns
        -------
        rows of shape (n_kept, n_features)
            Of the same kind as X.
        """
        return self.fit(X, y, losses).transform(X)

    def select(self, X: Any, y: Any, *arrays: Any) -> list[Any]:
        """Draw rows of `X`, and return them with the same rows of `y` and other arrays.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features to fit on.
        y : array-like of shape (n_samples,)
            Labels to fit on.
        *arrays : sequences of length n_samples
            Weights, groups, paths: anything indexable row by row; None stays None.

        Returns
        -------
        list
            The chosen rows of X, of shape (n_kept, n_features), in the form that X has, and
            the same rows of y and of each other array.

        Raises
        ------
        ValueError
            If the lengths differ; before any work is done.
        """
        return self._select((X, y), arrays)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = True
        return tags
