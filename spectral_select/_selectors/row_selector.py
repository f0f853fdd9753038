"""Methods shared by the estimators that select rows."""

from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._set_output import (
    ADAPTERS_MANAGER,
    _get_output_config,
    _wrap_data_with_container,
)
from sklearn.utils.validation import (
    _check_feature_names,
    _num_samples,
    check_is_fitted,
    validate_data,
)

from spectral_select._utils.array_namespace import is_torch, namespace
from spectral_select._utils.validation import check_not_masked
from spectral_select._utils.widened_rows import WidenedRows, widened

__all__ = ["RowSelectorMixin", "check_length", "checked_rows", "keep_rows", "take_rows"]


class _RowTransform:
    """`transform` with its own `set_output`.

    If a subclass of `TransformerMixin` defines `transform`, scikit-learn wraps it and names all
    columns after those seen in `fit`, which other tables do not have.
    """

    sample_indices_: np.ndarray[Any, Any]
    n_samples_in_: int
    n_features_in_: int
    _resampler: ClassVar[str]

    def transform(self, X: Any) -> Any:
        """Return the selected rows of `X`.

        Parameters
        ----------
        X : array-like, sparse array, dataframe or torch.Tensor of shape (n_samples, any)
            A table with the same rows as the X passed to `fit`, in the same order. If it also has
            as many columns as that X, it is treated as features, whose names and values are
            checked. Otherwise, it may hold any other data about the same samples.

        Returns
        -------
        rows of shape (n_kept, any)
            The selected rows, of the same kind as X.

        Raises
        ------
        ValueError
            If the number of rows differs from that in `fit`, or if X has the same number of
            columns as in `fit` but different feature names or values that are not finite.

        Notes
        -----
        `set_output` applies to every table. A table with a different number of columns keeps its
        column names.
        """
        check_is_fitted(self)
        if not is_torch(X):
            X = self._checked_table(X)
        if _num_samples(X) != self.n_samples_in_:
            raise ValueError(
                f"X must have the {self.n_samples_in_} rows passed to fit; got {_num_samples(X)} "
                f"rows. {type(self).__name__} cannot select from new rows; in a pipeline that "
                f"predicts, use {self._resampler} in an imbalanced-learn pipeline"
            )
        return self._in_container(take_rows(X, self.sample_indices_), X)

    def _checked_table(self, X: Any) -> Any:
        """Check a table; return a dataframe unchanged, anything else as an array."""
        kept = X if hasattr(X, "iloc") or hasattr(X, "columns") else None
        options: dict[str, Any] = {"accept_sparse": True, "dtype": None}
        shape: tuple[int, ...] = getattr(X, "shape", ())
        if len(shape) == 2 and shape[1] != self.n_features_in_:
            # This table has different columns for the same rows; they may hold any data.
            array = check_array(X, ensure_all_finite=False, **options)
        else:
            array = validate_data(self, X, reset=False, **options)
        return array if kept is None else kept

    def _in_container(self, rows: Any, X: Any) -> Any:
        """Return the rows of the table `X` in the container requested by `set_output`."""
        shape: tuple[int, ...] = getattr(rows, "shape", ())
        if len(shape) != 2 or shape[1] == self.n_features_in_ or sparse.issparse(rows):
            return _wrap_data_with_container("transform", rows, X, self)
        container = _get_output_config("transform", self)["dense"]
        if container == "default":
            return rows
        names = getattr(X, "columns", None)
        columns = [f"column{i}" for i in range(shape[1])] if names is None else list(names)
        return ADAPTERS_MANAGER.adapters[container].create_container(rows, X, columns=columns)


class RowSelectorMixin(_RowTransform, OneToOneFeatureMixin, TransformerMixin):
    """Methods of an estimator whose `fit` selects rows; see `keep_rows`."""

    support_: np.ndarray[Any, Any]

    def get_support(self, indices: bool = False) -> np.ndarray[Any, Any]:
        """Return which rows are kept.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return integer indices instead of a mask.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_kept,)
        """
        check_is_fitted(self)
        return self.sample_indices_ if indices else self.support_

    def _select(self, fitted_to: tuple[Any, ...], arrays: tuple[Any, ...]) -> list[Any]:
        """Fit to `fitted_to`, and return the selected rows of `fitted_to` and of `arrays`."""
        n = _num_samples(fitted_to[0])
        for number, array in enumerate(arrays):
            if array is not None:
                check_length(array, n, f"arrays[{number}]")
        self.fit(*fitted_to)
        every = (*fitted_to, *arrays)
        return [None if a is None else take_rows(a, self.sample_indices_) for a in every]


def checked_rows(estimator: Any, X: Any) -> Any:
    """Return `X` as an array of floats, or unchanged if it is a tensor.

    This also sets ``n_features_in_`` and ``feature_names_in_``. NaN and infinity are not rejected.
    """
    check_not_masked(X)
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiub":
        X = widened(X)
    if is_torch(X) or isinstance(X, WidenedRows):
        if X.ndim != 2:
            raise ValueError(f"X must have shape (n_samples, n_features); got {tuple(X.shape)}")
        _check_feature_names(estimator, X, reset=True)
        estimator.n_features_in_ = int(X.shape[1])
        return X
    return validate_data(
        estimator,
        X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,  # the solver detects bad values; check_finite names the row
    )


def keep_rows(estimator: Any, indices: np.ndarray[Any, Any], n: int) -> None:
    """Set the attributes of an estimator that selected the ascending `indices` from `n` rows."""
    estimator.n_samples_in_ = n
    estimator.sample_indices_ = indices
    estimator.support_ = np.zeros(n, bool)
    estimator.support_[indices] = True


def check_length(array: Any, expected: int, name: str) -> None:
    """Raise unless `array` has `expected` rows."""
    if _num_samples(array) != expected:
        raise ValueError(
            f"{name} must have {expected} rows, one for each row of X; got {_num_samples(array)}"
        )


def take_rows(array: Any, indices: np.ndarray[Any, Any]) -> Any:
    """Return some rows of an array, tensor, table or sequence, of the same kind."""
    if is_torch(array):
        return array[namespace(array).asarray(indices, device=array.device)]
    if sparse.issparse(array):
        return array.tocsr()[indices]
    return _safe_indexing(array, indices)
