"""Class labels from any container, as an array without missing values."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from spectral_select._utils.array_namespace import to_numpy

__all__ = ["check_labels", "class_codes", "is_missing", "labeled_codes"]

_LARGEST = 2.0**53  # integers below this are distinct in floating point


def check_labels(y: Any, n: int, name: str = "y") -> NDArray[Any]:
    """Return class labels as an array of shape (n,) of integers, booleans or strings.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        List, array, masked array, tensor, pandas or polars column, or Arrow array.
    n : int
        Number of samples.
    name : str, default="y"
        Name of the argument in messages.

    Returns
    -------
    ndarray of shape (n,)
        The labels; floats that are whole numbers become integers.

    Raises
    ------
    ValueError
        If the shape is neither (n,) nor (n, 1), or a label is missing (None, NaN, NA, masked or
        null) or not a whole number. For bad labels, the message gives the position.
    TypeError
        If labels are neither integers nor strings, or are a mixture of both.
    """
    labels = _as_array(y)
    if labels.shape == (n, 1):
        labels = column_or_1d(labels, warn=True)
    if labels.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label per sample; got {labels.shape}")
    expected = f"{name} must hold class labels, integers or strings"
    if np.ma.is_masked(y):
        _refuse_missing("masked", np.flatnonzero(np.ma.getmaskarray(y)), name)
    if labels.dtype.kind in "OT":
        labels = _from_objects(labels.tolist(), name, expected)
    if labels.dtype.kind == "f":
        _refuse_missing("NaN", np.flatnonzero(np.isnan(labels)), name)
        whole = (np.abs(labels) < _LARGEST) & (labels == np.floor(labels))
        if not whole.all():
            position = np.flatnonzero(~whole)[0]
            raise ValueError(f"{expected}; got {labels[position]} at position {position}")
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biuUS":
        raise TypeError(f"{expected}; got dtype {labels.dtype}")
    return np.asarray(labels)


def class_codes(labels: NDArray[Any], name: str = "y") -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted classes, and each label as an index into the classes."""
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{name} must hold at least two classes; got {len(classes)} class")
    return classes, codes.astype(np.int64)


def labeled_codes(y: Any, n: int, unlabeled: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted classes, and each label as an index into them; -1 for a missing label.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    n : int
        Number of samples.
    unlabeled : object
        The value in `y` that marks samples without a label. Any of None, NaN and NA stands for
        all three.
    """
    values = _as_array(y)
    if values.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one label per sample; got {values.shape}")
    if is_missing(unlabeled):
        known = np.array([not is_missing(value) for value in values.tolist()], bool)
    else:
        known = np.array([value != unlabeled for value in values.tolist()], bool)
    if not known.any():
        raise ValueError(f"y has no labels: all values are {unlabeled!r}, which means unlabeled")
    codes = np.full(n, -1)
    places = np.flatnonzero(known)
    classes, codes[places] = class_codes(check_labels(values[places].tolist(), len(places)))
    return classes, codes


def _as_array(y: Any) -> NDArray[Any]:
    if isinstance(y, list | tuple):
        # NumPy would turn missing values, and numbers mixed with strings, into strings.
        objects = np.empty(len(y), dtype=object)
        objects[:] = y
        return objects if not len(y) or np.ndim(y[0]) == 0 else np.asarray(y)
    if isinstance(y, np.ma.MaskedArray):
        return np.asarray(y.data)
    return to_numpy(y)


def _from_objects(values: list[Any], name: str, expected: str) -> NDArray[Any]:
    """Return Python objects as an array of numbers or an array of strings."""
    missing = [i for i, value in enumerate(values) if is_missing(value)]
    if missing:
        _refuse_missing(str(values[missing[0]]), missing, name)
    if all(isinstance(value, str) for value in values) and values:
        return np.array(values, dtype=str)
    strange = [i for i, value in enumerate(values) if not isinstance(value, _NUMBERS)]
    if not strange:
        numbers = np.array(values)
        return numbers if numbers.dtype != object else np.array([str(value) for value in values])
    if len(strange) < len(values) and isinstance(values[strange[0]], str):
        found = sorted({type(value).__name__ for value in values})
        raise TypeError(f"{expected}, all of one kind; got {' and '.join(found)}")
    value = values[strange[0]]
    raise TypeError(f"{expected}; got a {type(value).__name__} at position {strange[0]}")


_NUMBERS = (int, float, np.integer, np.floating, np.bool_)


def is_missing(value: Any) -> bool:
    """Return whether a label is missing: None, NaN, or pandas' NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _refuse_missing(shown: str, positions: Iterable[Any], name: str) -> None:
    listed = [int(position) for position in positions]
    if listed:
        raise ValueError(
            f"{name} must not hold missing values; got {shown} at position {listed[0]}"
            + (f", and {len(listed) - 1} more" if len(listed) > 1 else "")
        )
