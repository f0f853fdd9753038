"""Selection of rows together with their labels, for imbalanced-learn pipelines."""

from typing import Any, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils.validation import _num_samples

from spectral_select._selectors.fiedler_selector import FiedlerEstimator
from spectral_select._selectors.guided_selector import GuidedEstimator
from spectral_select._selectors.row_selector import check_length, take_rows

__all__ = ["FiedlerResampler", "GuidedResampler"]


class _ResamplerMixin:
    """`fit` and `fit_resample` for an estimator with a method `_fit(X, y)`."""

    sample_indices_: np.ndarray[Any, Any]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Select rows of `X`.

        Parameters
        ----------
        X : array-like, sparse array or dataframe of shape (n_samples, n_features)
            Features, one row per sample.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self
        """
        self._fit(X, y)  # type: ignore[attr-defined]
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Select rows of `X`, and return them with their labels.

        Parameters
        ----------
        X : array-like, sparse array or dataframe of shape (n_samples, n_features)
            Features, one row per sample.
        y : sequence of length n_samples
            Labels.

        Returns
        -------
        X_kept : rows of shape (n_kept, n_features)
            The selected rows, of the same kind as X.
        y_kept : sequence of length n_kept
            Their labels, of the same kind as y.

        Raises
        ------
        ValueError
            If `X` and `y` differ in length.
        """
        check_length(y, _num_samples(X), "y")
        self._fit(X, y)  # type: ignore[attr-defined]
        return take_rows(X, self.sample_indices_), take_rows(y, self.sample_indices_)


class FiedlerResampler(_ResamplerMixin, FiedlerEstimator):
    """Select rows of each candidate batch by its Fiedler vector, together with their labels.

    This is `FiedlerBatchSelector` for imbalanced-learn pipelines, which pass `y` to
    `fit_resample` and skip the step in `predict`. Such pipelines reject a step with both
    `transform` and `fit_resample`, so this is a separate class. imbalanced-learn need not be
    installed.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of rows to discard, in [0, 1). For details of this and the following parameters, see
        `FiedlerBatchSelector`.
    candidate_size : int, optional
        Number of rows in a candidate batch; by default, X is one batch.
    rule : {"extreme", "stratified"}, default="extreme"
        Keep the rows with the largest |v|, or a systematic sample in the order of v.
    laplacian : {"unnormalized", "symmetric", "random_walk"}, default="unnormalized"
        The Laplacian whose Fiedler vector is used.
    affinity : {"cosine", "nearest_neighbors", "precomputed"}, default="cosine"
        Edge weights of the graph.
    n_neighbors : int, default=10
        Number of neighbors per row for ``affinity="nearest_neighbors"``.
    tol : float, optional
        Accuracy of the solver.
    max_iter : int, default=500
        Maximum number of solver iterations per batch.
    random_state : int, RandomState or None, default=None
        Seed for the solver's start vector and for the stratified rule.
    verbose : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_kept,)
        Indices of the kept rows, ascending. The other attributes are those of
        `FiedlerBatchSelector`.

    See Also
    --------
    FiedlerBatchSelector : The same as a scikit-learn transformer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import FiedlerResampler
    >>> X, y = load_digits(return_X_y=True)
    >>> X_kept, y_kept = FiedlerResampler(filter_ratio=0.5).fit_resample(X, y)
    >>> X_kept.shape, y_kept.shape
    ((898, 64), (898,))
    """


class GuidedResampler(_ResamplerMixin, GuidedEstimator):
    """Draw rows whose label is probably correct and hard to predict, with their labels.

    This is `GuidedBatchSelector` for imbalanced-learn pipelines; see `FiedlerResampler`.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of rows to discard, in [0, 1). For details of this and the following parameters, see
        `GuidedBatchSelector`.
    candidate_size : int, optional
        Number of rows in a candidate batch; by default, X is one batch.
    hardness_power : float, default=0.25
        Power of the hardness; 0 ignores it.
    trust_power : float, default=2.0
        Power of the trust; 0 treats every label as correct.
    duplicate_power : float, default=1.0
        Power of the number of near-duplicates; 0 ignores them.
    loss_power : float, default=0.5
        Has no effect here, because pipelines do not pass losses.
    random_state : int, RandomState or None, default=None
        Seed for the draws.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_kept,)
        Indices of the kept rows, ascending. The other attributes are those of
        `GuidedBatchSelector`.

    See Also
    --------
    GuidedBatchSelector : The same as a scikit-learn transformer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import GuidedResampler
    >>> X, y = load_digits(return_X_y=True)
    >>> X_kept, y_kept = GuidedResampler(filter_ratio=0.5).fit_resample(X, y)
    >>> X_kept.shape, y_kept.shape
    ((898, 64), (898,))
    """
