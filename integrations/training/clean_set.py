"""The clean set of methods that compare losses with those of right labels."""

from typing import Any

import numpy as np

from spectral_select.integrations.data.part import Part
from spectral_select.integrations.data.splits import stratified_split

__all__ = ["CLEAN_SHARE", "clean_set"]

CLEAN_SHARE = 0.01  # size of a clean set as a share of the training data


def clean_set(dataset: Any, n_train: int) -> Part:
    """Return a clean set: as many samples as 1% of the training data, at least one.

    Parameters
    ----------
    dataset : map-style dataset
        Where they are taken from, with ``labels``, which have to be right: the validation data.
    n_train : int
        Number of training samples.

    Returns
    -------
    Part
        From each class in proportion, the same in all runs; everything if there is less.

    Examples
    --------
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> data = load_dataset("digits")
    >>> len(data.train), len(clean_set(data.val, len(data.train)))
    (1294, 13)
    """
    n = min(max(1, round(CLEAN_SHARE * n_train)), len(dataset))
    _, held = stratified_split(np.asarray(dataset.labels), n, 0)
    return Part(dataset, held)
