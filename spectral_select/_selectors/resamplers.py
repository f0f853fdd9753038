"""Selection of rows with their labels, for imbalanced-learn's pipelines."""

from typing import Any

from sklearn.base import _fit_context
from sklearn.utils.validation import _num_samples

from spectral_select._selectors.fiedler_selector import FiedlerEstimator
from spectral_select._selectors.row_selector import check_length, take_rows

__all__ = ["FiedlerResampler"]


class FiedlerResampler(FiedlerEstimator):
    """Keep the rows that the Fiedler vector singles out, and their labels.

    `FiedlerBatchSelector` for imbalanced-learn's Pipeline: that one hands `y` to
    `fit_resample`, and skips the step in `predict`. It refuses a step that has both
    `transform` and `fit_resample`, hence a class of its own. imbalanced-learn need not
    be installed.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of the rows discarded, in [0, 1). This and all that follow are the
        parameters of `FiedlerBatchSelector`, where they are described.
    candidate_size : int, optional
        Rows in a candidate batch; by default X is one.
    rule : {"extreme", "stratified"}, default="extreme"
        Keep the largest |v|, or a systematic sample along the order of v.
    laplacian : {"unnormalized", "symmetric", "random_walk"}, default="unnormalized"
        Which Laplacian v is of.
    affinity : {"cosine", "nearest_neighbors", "precomputed"}, default="cosine"
        What weights the edges of the graph.
    n_neighbors : int, default=10
        Neighbors of each row for ``affinity="nearest_neighbors"``.
    tol : float, optional
        Accuracy of the solver.
    max_iter : int, default=500
        Largest number of its iterations for a batch.
    random_state : int, RandomState or None, default=None
        Seed of the solver's start and of the stratified rule.
    verbose : bool, default=False
        Show a progress bar, if tqdm is installed.

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
        """Choose rows of `X`; `y` is ignored.

        Parameters
        ----------
        X : array-like, sparse array or dataframe of shape (n_samples, n_features)
            Features, one row a sample.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._fit(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Choose rows of `X` and return them with their labels.

        Parameters
        ----------
        X : array-like, sparse array or dataframe of shape (n_samples, n_features)
            Features, one row a sample.
        y : sequence of length n_samples
            Their labels.

        Returns
        -------
        X_kept : rows of shape (n_kept, n_features)
            The chosen rows, of the same kind as X.
        y_kept : sequence of length n_kept
            Their labels, of the same kind as y.

        Raises
        ------
        ValueError
            If `y` is not as long as `X`.
        """
        check_length(y, _num_samples(X), "y")
        self._fit(X)
        return take_rows(X, self.sample_indices_), take_rows(y, self.sample_indices_)
