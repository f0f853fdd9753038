"""Class labels as arrays: of whatever a user hands over, checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from spectral_select._utils.array_namespace import to_numpy

__all__ = ["check_labels", "class_codes"]

_LARGEST = 2.0**53  # integers below it are distinct in floating point


def check_labels(y: Any, n: int, name: str = "y") -> NDArray[Any]:
    """Return class labels as an array of shape (n,); whole numbers become integers."""
    labels: NDArray[Any] = column_or_1d(to_numpy(y), warn=True)
    if labels.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label a sample; got {labels.shape}")
    expected = f"{name} must hold class labels, integers or strings"
    if labels.dtype.kind == "f":
        whole = (np.abs(labels) < _LARGEST) & (labels == np.floor(labels))
        if not whole.all():
            raise ValueError(
                f"{expected}; got {labels[~whole][0]} at position {np.flatnonzero(~whole)[0]}"
            )
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biuUSO":
        raise TypeError(f"{expected}; got dtype {labels.dtype}")
    if labels.dtype.kind == "O":
        kinds = sorted({type(label).__name__ for label in labels})
        try:
            np.unique(labels)
        except TypeError:
            raise TypeError(f"{expected}, all of one kind; got {' and '.join(kinds)}") from None
    return labels


def class_codes(labels: NDArray[Any], name: str = "y") -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes there are, ascending, and the place of each label among them."""
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{name} must hold at least two classes; got {len(classes)} class")
    return classes, codes.astype(np.int64)
