"""Convert the labels in a file to class names and integer codes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.labels import is_missing

__all__ = ["label_codes", "sorted_classes"]


def sorted_classes(labels: Sequence[Any], places: Sequence[str], column: str) -> list[str]:
    """Return the sorted class names in a column of labels; integers are sorted as numbers.

    Parameters
    ----------
    labels : sequence of int or str
        Label of each sample.
    places : sequence of str
        Where each sample comes from, for messages.
    column : str
        Name of the column, for messages.

    Raises
    ------
    ValueError
        If a label is missing, or is not an integer or string; the message names the place.

    Examples
    --------
    >>> sorted_classes(["10", "9", "10"], ["a:1", "a:2", "a:3"], "label")
    ['9', '10']
    >>> sorted_classes(["cat", None], ["a:1", "a:2"], "label")
    Traceback (most recent call last):
        ...
    ValueError: a:2: 'label' is missing; every sample needs a label
    """
    names = set(_class_names(labels, places, column))
    if all(name.removeprefix("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def label_codes(
    labels: Sequence[Any], places: Sequence[str], column: str, classes: Sequence[str]
) -> NDArray[np.int64]:
    """Return the index of each label among the class names.

    Parameters
    ----------
    labels, places, column
        As for `sorted_classes`.
    classes : sequence of str
        Class names.

    Returns
    -------
    ndarray of shape (n,), int64

    Raises
    ------
    ValueError
        As for `sorted_classes`, or if a label is not one of `classes`.

    Examples
    --------
    >>> label_codes([1, 0], ["a:1", "a:2"], "label", ["0", "1"])
    array([1, 0])
    """
    codes = {name: code for code, name in enumerate(classes)}
    names = _class_names(labels, places, column)
    for place, name in zip(places, names, strict=True):
        if name not in codes:
            raise ValueError(
                f"{place}: {column!r} is {name!r}, a class that the training data lacks"
            )
    return np.array([codes[name] for name in names], dtype=np.int64)


def _class_names(labels: Sequence[Any], places: Sequence[str], column: str) -> list[str]:
    missing = [i for i, label in enumerate(labels) if is_missing(label) or label == ""]
    if missing:
        more = f" ({len(missing)} labels are missing)" if len(missing) > 1 else ""
        raise ValueError(
            f"{places[missing[0]]}: {column!r} is missing{more}; every sample needs a label"
        )
    for place, label in zip(places, labels, strict=True):
        whole = isinstance(label, float) and label.is_integer()
        if not whole and not isinstance(label, int | str | np.integer):
            raise ValueError(
                f"{place}: {column!r} must be an integer or a string; "
                f"got {label!r} of type {type(label).__name__}"
            )
    return [str(int(label)) if isinstance(label, float) else str(label) for label in labels]
