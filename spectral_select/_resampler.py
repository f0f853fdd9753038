"""Selection of rows with their labels, for imbalanced-learn's pipelines."""

from typing import Any

from sklearn.base import _fit_context
from sklearn.utils.validation import _num_samples

from ._selector import FiedlerEstimator, _check_length, _take

__all__ = ["FiedlerResampler"]


class FiedlerResampler(FiedlerEstimator):
    """Keep the rows that the Fiedler vector singles out, and their labels.

    `FiedlerBatchSelector` for imbalanced-learn's Pipeline: that one hands `y` to
    `fit_resample`, and skips the step in `predict`. It refuses a step that has both
    `transform` and `fit_resample`, hence a class of its own. imbalanced-learn need not
    be installed.

    Parameters
    ----------
    filter_ratio, candidate_size, rule, laplacian, affinity, n_neighbors, tol, max_iter, \
random_state, verbose
        As in `FiedlerBatchSelector`.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_kept,)
        Indices of the rows kept, ascending. The other attributes are those of
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "FiedlerResampler":
        """Choose rows of `X`; `y` is ignored."""
        self._fit(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Choose rows of `X` and return them with their labels.

        Parameters
        ----------
        X : array-like, sparse array or dataframe of shape (n_samples, n_features)
        y : sequence of length n_samples

        Returns
        -------
        X_kept, y_kept
            Of the same kinds as X and y.

        Raises
        ------
        ValueError
            If `y` is not as long as `X`.
        """
        _check_length(y, _num_samples(X), "y")
        self._fit(X)
        return _take(X, self.sample_indices_), _take(y, self.sample_indices_)
