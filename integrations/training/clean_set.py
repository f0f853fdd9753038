"""The clean set: correctly labeled samples whose losses some methods use for comparison."""

from typing import Any

import numpy as np

from spectral_select.integrations.data.part import Part
from spectral_select.integrations.data.splits import stratified_split

__all__ = ["CLEAN_SHARE", "clean_set"]

CLEAN_SHARE = 0.01  # size of a clean set as a share of the training data


def clean_set(dataset: Any, n_train: int) -> Part:
    """Return a clean set: 1% as many samples as the training data, but at least one.

    Parameters
    ----------
    dataset : map-style dataset
        The dataset to take the samples from, usually the validation data. Its ``labels`` must
        be correct.
    n_train : int
        Number of training samples.

    Returns
    -------
    Part
        A stratified subset of `dataset` that is the same in all runs, or all of `dataset` if
        it has fewer samples than required.

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
