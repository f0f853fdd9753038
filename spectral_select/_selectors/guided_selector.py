"""Selection of rows by label trust, hardness, near-duplicates and losses."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._fiedler.fiedler_vector import seed_of
from spectral_select._selectors.guided_weights import fill_unknown, guided_parts, log_weights
from spectral_select._selectors.ratio import batch_counts
from spectral_select._selectors.row_selector import RowSelectorMixin, checked_rows, keep_rows
from spectral_select._selectors.weighted_sampling import draw_from_batches
from spectral_select._utils.array_namespace import to_numpy
from spectral_select._utils.labels import check_labels
from spectral_select._utils.validation import check_int, check_matrix, check_not_masked

__all__ = ["GuidedBatchSelector", "GuidedEstimator"]

# Makes the generators differ from default_rng(seed), which users may use on the same data.
_STREAM = 1

# The wording of scikit-learn's estimators.
_NO_LABELS = "requires y to be passed, but the target y is None"

Floats = NDArray[np.float64]


def _check_losses(losses: Any, n: int) -> Floats:
    check_not_masked(losses, "losses")
    values = np.asarray(to_numpy(losses))
    if values.shape != (n,):
        raise ValueError(f"losses must have shape ({n},), one per sample; got {values.shape}")
    if values.dtype.kind not in "fiu":
        raise TypeError(f"losses must hold real numbers; got dtype {values.dtype}")
    return values.astype(np.float64)


class GuidedEstimator(BaseEstimator):
    """Parameters and fitting, shared by the selector and the resampler."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "filter_ratio": [Interval(Real, 0, 1, closed="left")],
        "candidate_size": [Interval(Integral, 1, None, closed="left"), None],
        "hardness_power": [Interval(Real, 0, None, closed="left")],
        "trust_power": [Interval(Real, 0, None, closed="left")],
        "duplicate_power": [Interval(Real, 0, None, closed="left")],
        "loss_power": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        filter_ratio: float = 0.8,
        *,
        candidate_size: int | None = None,
        hardness_power: float = 0.25,
        trust_power: float = 2.0,
        duplicate_power: float = 1.0,
        loss_power: float = 0.5,
        random_state: Any = None,
    ) -> None:
        self.filter_ratio = filter_ratio
        self.candidate_size = candidate_size
        self.hardness_power = hardness_power
        self.trust_power = trust_power
        self.duplicate_power = duplicate_power
        self.loss_power = loss_power
        self.random_state = random_state

    def _fit(self, X: Any, y: Any, losses: Any = None) -> None:
        if self.candidate_size is not None:
            check_int(self.candidate_size, "candidate_size", 1)  # refuses a bool
        if y is None:
            raise ValueError(f"{type(self).__name__} {_NO_LABELS}")
        X = check_matrix(checked_rows(self, X))
        n = int(X.shape[0])
        y = check_labels(y, n)
        if losses is not None:
            losses = _check_losses(losses, n)
        parts, self.wrong_labels_ = guided_parts(
            Rows(X),
            y,
            hardness_power=self.hardness_power,
            trust_power=self.trust_power,
            duplicate_power=self.duplicate_power,
            loss_power=self.loss_power,
        )
        seed = seed_of(self.random_state)
        if losses is not None:
            size, _, _ = batch_counts(n, self.candidate_size, self.filter_ratio)
            starts = range(0, n, size)
            losses = np.concatenate([fill_unknown(losses[s : s + size]) for s in starts])
        logs = log_weights(parts, losses)
        with np.errstate(all="ignore"):
            self.weights_ = np.exp(logs)
        kept = draw_from_batches(
            logs,
            self.candidate_size,
            self.filter_ratio,
            lambda number: np.random.default_rng([seed, number, _STREAM]),
        )
        keep_rows(self, kept, n)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = True
        return tags


class GuidedBatchSelector(RowSelectorMixin, GuidedEstimator):
    """Draw rows whose label is probably correct and hard to predict, with few near-duplicates.

    A share ``1 - filter_ratio`` of the rows is drawn without replacement, with weights
    ``trust**c * hardness**a * loss**p / n_alike**b``. The trust is the probability that the label
    is correct, and the hardness is 1 minus the probability with which the other labels predict it
    (`find_wrong_labels`). ``n_alike`` is the number of near-duplicates, including the row itself,
    so that many copies together weigh as much as one row. The loss, if passed, is a network's
    current loss. In a class with a share r of wrong labels, a large loss is less informative, so
    its power is ``p * max(1 - 2 * r, 0)``, unless `trust_power` is 0.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of rows to discard, in [0, 1). Of n rows, ``n_kept(n, filter_ratio)`` are kept: the
        floor of n·(1 − filter_ratio), but at least one.
    candidate_size : int, optional
        Number of rows in a candidate batch. X is divided into consecutive batches of this size,
        the last one possibly shorter, and rows are drawn from each batch separately. By default,
        X is one candidate batch. The graph always includes all rows.
    hardness_power : float, default=0.25
        Power a of the hardness; 0 ignores it.
    trust_power : float, default=2.0
        Power c of the trust; 0 treats every label as correct. ``trust**c`` is
        divided by the square root of its mean over the rows with the same label, so that rare
        classes keep most of their share.
    duplicate_power : float, default=1.0
        Power b of the number of near-duplicates, of which at most 32 are counted; 0 ignores them.
    loss_power : float, default=0.5
        Power p of the loss; 0 ignores it. It has no effect without losses.
    random_state : int, RandomState or None, default=None
        Seed for the draws; each candidate batch has its own random generator. None means a fixed
        seed.

    Attributes
    ----------
    support_ : ndarray of shape (n_samples,)
        Mask of the kept rows.
    sample_indices_ : ndarray of shape (n_kept,)
        Indices of the kept rows, ascending.
    wrong_labels_ : WrongLabels
        Result of `find_wrong_labels` for all rows, with their trust.
    weights_ : ndarray of shape (n_samples,)
        Weights in the draw from each candidate batch.
    n_features_in_ : int
        Number of columns of X.
    n_samples_in_ : int
        Number of rows of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, set only if X has names that are all strings.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if features are empty or not finite, if labels have the wrong length or only one
        class, or if a parameter is outside its domain.

    See Also
    --------
    find_wrong_labels : Computes the trust.
    GuidedSampler : The same weights in a PyTorch DataLoader, over all epochs.
    GuidedResampler : The same for imbalanced-learn pipelines, which resample y too.
    FiedlerBatchSelector : Selection by the features alone.

    Notes
    -----
    No row is excluded: trust, hardness and loss have lower bounds of 0.01, 0.05 and 0.001. The
    draw adds Gumbel noise to the log weights and takes the rows with the largest sums.

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

    _resampler = "GuidedResampler"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, losses: Any = None) -> Self:
        """Draw rows of `X`.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features, one row per sample.
        y : array-like of shape (n_samples,)
            Labels: integers or strings.
        losses : array-like of shape (n_samples,), optional
            Loss of each sample. NaN marks an unknown loss, which is replaced by the largest
            known loss of the candidate batch. By default, losses are ignored.

        Returns
        -------
        self
        """
        self._fit(X, y, losses)
        return self

    def fit_transform(self, X: Any, y: Any, losses: Any = None) -> Any:
        """Draw rows of `X`, and return them.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features, one row per sample.
        y : array-like of shape (n_samples,)
            Labels: integers or strings.
        losses : array-like of shape (n_samples,), optional
            Loss of each sample, as in `fit`.

        Returns
        -------
        rows of shape (n_kept, n_features)
            The selected rows, of the same kind as X.
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
            Weights, groups, paths: anything that can be indexed by row; None stays None.

        Returns
        -------
        list
            The selected rows of X, of shape (n_kept, n_features) and of the same kind as X, and
            the same rows of y and of each other array.

        Raises
        ------
        ValueError
            If the lengths differ. This is checked before any other work.
        """
        return self._select((X, y), arrays)
