"""A method's rule as a scikit-learn estimator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spectral_select._selectors.ratio import batch_counts
from spectral_select.integrations.methods.candidate_source import CandidateSource
from spectral_select.integrations.methods.interface import (
    Indices,
    Method,
    check_choice,
)

__all__ = ["RuleSelector", "as_selector"]


def as_selector(
    method: Method,
    filter_ratio: float,
    *,
    labels: Indices,
    features: Any,
    precomputed: Any = None,
    seed: int,
) -> BaseEstimator:
    """Wrap a method in an estimator that `SpectralBatchSampler` can run ahead of training.

    Parameters
    ----------
    method : Method
        A method whose `selects_ahead` is True.
    filter_ratio : float
        Share discarded, in [0, 1).
    labels : ndarray of shape (n_samples,)
        Classes of the training data.
    features : array of shape (n_samples, d) or None
        Features of the training data.
    precomputed : array of shape (n_samples, ...), optional
        Result of `Method.precompute`.
    seed : int
        Seed for the method's random numbers.

    Returns
    -------
    estimator
        Unfitted. If the method's `fits_on_features` is True, it must be fitted on features;
        otherwise, on a column of indices.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> selector = as_selector(
    ...     get_method("random"), 0.8, labels=np.zeros(10, int), features=None, seed=0
    ... )
    >>> selector.fit(np.arange(10)[:, None]).get_support(indices=True).shape
    (2,)
    """
    if method.fits_on_features:
        return method.estimator(filter_ratio)
    return RuleSelector(
        method,
        filter_ratio,
        labels=labels,
        features=features,
        precomputed=precomputed,
        random_state=seed,
    )


class RuleSelector(BaseEstimator):
    """A scikit-learn selector that calls a method's `choose` for each candidate batch.

    Parameters
    ----------
    method : Method
        The rule.
    filter_ratio : float
        Share discarded, in [0, 1).
    labels : ndarray of shape (n_samples,)
        Class label of every training sample, looked up by index.
    features : array of shape (n_samples, d), optional
        Features of every training sample, for methods that need them.
    precomputed : array of shape (n_samples, ...), optional
        Result of the method's `precompute`.
    candidate_size : int, optional
        Number of rows in a candidate batch; by default, all rows are one batch.
    random_state : int
        Seed for the batches' random generators.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> selector = RuleSelector(get_method("random"), 0.8, labels=np.zeros(100, int))
    >>> selector.fit(np.arange(40)[:, None]).get_support(indices=True).shape
    (8,)
    """

    def __init__(
        self,
        method: Method,
        filter_ratio: float = 0.8,
        *,
        labels: Indices,
        features: Any = None,
        precomputed: Any = None,
        candidate_size: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.filter_ratio = filter_ratio
        self.labels = labels
        self.features = features
        self.precomputed = precomputed
        self.candidate_size = candidate_size
        self.random_state = random_state

    def __sklearn_clone__(self) -> "RuleSelector":
        # Clones share the arrays, which may be as large as the dataset.
        return RuleSelector(**self.get_params(deep=False))

    def fit(self, X: Any, y: Any = None) -> "RuleSelector":
        """Choose among the samples whose indices are in `X`.

        Parameters
        ----------
        X : ndarray of shape (n, 1)
            Indices into the training data.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        indices = np.asarray(X)[:, 0].astype(np.int64)
        size, k, last_k = batch_counts(len(indices), self.candidate_size, self.filter_ratio)
        source = CandidateSource(self.method, self.labels, self.features, self.precomputed)
        kept = []
        for number, start in enumerate(range(0, len(indices), size)):
            part = indices[start : start + size]
            n_keep = k if len(part) == size else last_k
            rng = np.random.default_rng([self.random_state, number])
            choice = self.method.choose(source.candidates(part, n_keep, rng))
            choice = check_choice(choice, self.method, len(part), n_keep)
            if choice.weights is not None:
                raise RuntimeError(
                    f"method {self.method.name!r} returned weights; to use them, set "
                    "weighted = True in its class"
                )
            kept.append(start + choice.positions)
        self.support_ = np.zeros(len(indices), bool)
        self.support_[np.concatenate(kept)] = True
        return self

    def get_support(self, indices: bool = False) -> NDArray[Any]:
        """Return which rows are kept.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return integer indices instead of a mask.

        Returns
        -------
        ndarray of shape (n,) or (n_kept,)
        """
        return np.flatnonzero(self.support_) if indices else self.support_
