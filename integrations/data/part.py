"""A subset of a labeled dataset."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part"]


class Part:
    """A subset of a labeled map-style dataset, in the order of `indices`.

    Parameters
    ----------
    dataset : map-style dataset
        The dataset; its array ``labels`` contains all labels.
    indices : ndarray of shape (n,), int64
        Indices of the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> part = Part(load_dataset("digits").train, np.array([5, 3]))
    >>> len(part), part.labels.shape
    (2, (2,))
    """

    def __init__(self, dataset: Any, indices: NDArray[np.int64]) -> None:
        self.dataset, self.indices = dataset, indices
        self.labels = np.asarray(dataset.labels)[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]
