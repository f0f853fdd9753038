"""Selection of rows by the Fiedler vector, as a scikit-learn estimator."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from spectral_select._fiedler.fiedler_vector import AFFINITIES, LAPLACIANS, Status, seed_of
from spectral_select._selectors.candidate_batches import select_rows
from spectral_select._selectors.ratio import batch_counts
from spectral_select._selectors.row_selector import RowSelectorMixin, checked_rows, keep_rows
from spectral_select._selectors.rules import RULES
from spectral_select._utils.array_namespace import Array, is_torch, namespace
from spectral_select._utils.validation import (
    NotFiniteError,
    check_affinity,
    check_features,
    check_finite,
    check_int,
)

__all__ = ["FiedlerBatchSelector"]


class FiedlerEstimator(BaseEstimator):
    """Parameters and fitting, shared by the selector and the resampler."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "filter_ratio": [Interval(Real, 0, 1, closed="left")],
        "candidate_size": [Interval(Integral, 1, None, closed="left"), None],
        "rule": [StrOptions(set(RULES))],
        "laplacian": [StrOptions(set(LAPLACIANS))],
        "affinity": [StrOptions(set(AFFINITIES))],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="neither"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        filter_ratio: float = 0.8,
        *,
        candidate_size: int | None = None,
        rule: str = "extreme",
        laplacian: str = "unnormalized",
        affinity: str = "cosine",
        n_neighbors: int = 10,
        tol: float | None = None,
        max_iter: int = 500,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.filter_ratio = filter_ratio
        self.candidate_size = candidate_size
        self.rule = rule
        self.laplacian = laplacian
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X: Any, y: Any = None) -> None:
        for name in ("candidate_size", "n_neighbors", "max_iter"):
            if getattr(self, name) is not None:
                check_int(getattr(self, name), name, 1)  # refuses a bool
        X = self._checked(X)
        seed = seed_of(self.random_state)
        try:
            size, k, last_k = batch_counts(X.shape[0], self.candidate_size, self.filter_ratio)
            selection = select_rows(
                X,
                k,
                size,
                last_k,
                rule=self.rule,
                seed=None if self.random_state is None else seed,
                laplacian=self.laplacian,
                affinity=self.affinity,
                n_neighbors=self.n_neighbors,
                tol=self.tol,
                max_iter=self.max_iter,
                start_seed=seed,
                single=self.candidate_size is None and not is_torch(X),
                verbose=self.verbose,
            )
        except NotFiniteError:
            check_finite(X)
            raise
        keep_rows(self, selection.indices, int(X.shape[0]))
        self.fiedler_vector_ = selection.vector
        self.scores_ = namespace(selection.vector).abs(selection.vector)
        whole = self.candidate_size is None
        self.algebraic_connectivity_ = float(selection.value[0]) if whole else selection.value
        self.gap_ = float(selection.gap[0]) if whole else selection.gap
        self.error_bound_ = float(selection.error_bound[0]) if whole else selection.error_bound
        self.status_ = Status(int(selection.status[0])) if whole else selection.status
        self.n_iter_ = max(1, int(selection.n_iter.max()))
        _warn(selection.status)

    def _checked(self, X: Any) -> Array:
        """Return X in the form the solver needs; set n_features_in_ and feature_names_in_."""
        X = checked_rows(self, X)
        X = check_affinity(X) if self.affinity == "precomputed" else check_features(X)
        if self.affinity == "nearest_neighbors":
            check_finite(X)
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.affinity == "precomputed"
        return tags


class FiedlerBatchSelector(RowSelectorMixin, FiedlerEstimator):
    """Select rows of each candidate batch by its Fiedler vector.

    The rows are the vertices of a graph with the edge weights W = (1 + cos)/2. With the Laplacian
    L = D − W, the Fiedler vector v minimizes vᵀ·L·v over unit vectors v ⟂ 1. A share
    ``1 - filter_ratio`` of the rows is kept: by default, those with the largest |v|, as in SALN
    [1]_.

    Parameters
    ----------
    filter_ratio : float, default=0.8
        Share of rows to discard, in [0, 1). Of n rows, ``n_kept(n, filter_ratio)`` are kept: the
        floor of n·(1 − filter_ratio), but at least one.
    candidate_size : int, optional
        Number of rows in a candidate batch. X is divided into consecutive batches of this size,
        the last one possibly shorter, and rows are selected from each batch separately. By
        default, X is one candidate batch.
    rule : {"extreme", "stratified"}, default="extreme"
        "extreme" keeps the rows with the largest |v|, mostly outliers. "stratified" covers the
        data: it sorts the rows by v, divides them into n_kept equal parts and keeps the middle
        row of each part. With a `random_state`, the position in the parts is random.
    laplacian : {"unnormalized", "symmetric", "random_walk"}, default="unnormalized"
        See `fiedler_vector`. "symmetric" works well with "stratified".
    affinity : {"cosine", "nearest_neighbors", "precomputed"}, default="cosine"
        The weights (1 + cos)/2 between all rows of a batch, or the cosines between nearest
        neighbors only. With "precomputed", X itself holds the symmetric affinities, of shape
        (n, n), dense or sparse.
    n_neighbors : int, default=10
        Number of neighbors per row for ``affinity="nearest_neighbors"``.
    tol : float, optional
        Accuracy of the solver; see `fiedler_vector`.
    max_iter : int, default=500
        Maximum number of solver iterations per batch.
    random_state : int, RandomState or None, default=None
        Seed for the solver's start vector and for the stratified rule. None means a fixed seed
        for the solver and no randomness in the rule.
    verbose : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Attributes
    ----------
    support_ : ndarray of shape (n_samples,)
        Mask of the kept rows.
    sample_indices_ : ndarray of shape (n_kept,)
        Indices of the kept rows, ascending.
    scores_ : array of shape (n_samples,)
        |v| of each row.
    fiedler_vector_ : array of shape (n_samples,)
        The Fiedler vector v. With `candidate_size`, the batches' vectors are concatenated.
    algebraic_connectivity_ : float or ndarray of shape (n_batches,)
        vᵀ·L·v; see `FiedlerResult` for Algorithm 1's eigenvalue. With `candidate_size`, this and
        the next three attributes have one entry per batch.
    gap_ : float or ndarray of shape (n_batches,)
        Distance to the next eigenvalue.
    error_bound_ : float or ndarray of shape (n_batches,)
        Davis–Kahan bound on the error of v.
    status_ : Status or ndarray of shape (n_batches,)
        Outcome of the solve.
    n_iter_ : int
        Largest number of solver iterations for any batch; 1 for a dense solve.
    n_features_in_ : int
        Number of columns of X.
    n_samples_in_ : int
        Number of rows of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, set only if X has names that are all strings.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if features are empty or not finite, or if a parameter is outside its domain.

    Warns
    -----
    ConvergenceWarning
        If the data do not determine the Fiedler vector of a batch, or if the solver ran out of
        iterations.

    See Also
    --------
    FiedlerResampler : The same for imbalanced-learn pipelines, which resample y too.
    SpectralBatchSampler : The same inside a PyTorch DataLoader.
    fiedler_vector : Computes the Fiedler vector.

    References
    ----------
    .. [1] M. Sharifi, "Optimizing data curation through spectral analysis and joint
       batch selection (SALN)", arXiv:2412.17069, Algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import FiedlerBatchSelector
    >>> X, y = load_digits(return_X_y=True)
    >>> selector = FiedlerBatchSelector(filter_ratio=0.8, candidate_size=128).fit(X)
    >>> selector.transform(X).shape
    (351, 64)
    >>> X_kept, y_kept = selector.select(X, y)
    >>> len(y_kept)
    351
    """

    _resampler = "FiedlerResampler"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Select rows of `X`.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features, one row per sample.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._fit(X)
        return self

    def select(self, X: Any, *arrays: Any) -> Any:
        """Select rows of `X`, and return them with the same rows of other arrays.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, n_features)
            Features to fit on.
        *arrays : sequences of length n_samples
            Labels, weights, groups, paths: anything that can be indexed by row; None stays None.

        Returns
        -------
        rows or list
            The selected rows of X, of shape (n_kept, n_features) and of the same kind as X. With
            other arrays, a list of these rows and the same rows of each array.

        Raises
        ------
        ValueError
            If the lengths differ. This is checked before any other work.
        """
        kept = self._select((X,), arrays)
        return kept if arrays else kept[0]


def _warn(status: np.ndarray[Any, Any]) -> None:
    for kind in (Status.NOT_CONVERGED, Status.NEAR_DEGENERATE, Status.DISCONNECTED):
        count = int((status == kind).sum())
        if count:
            warnings.warn(
                f"{count} of {len(status)} candidate batches: {kind.message}",
                ConvergenceWarning,
                stacklevel=5,  # skip _fit, fit and scikit-learn's wrapper of fit
            )
