"""Rows of a feature table as samples, and as inputs of a network."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_select.integrations.data.decoding import cache_room, to_device
from spectral_select.integrations.data.labeled_dataset import LabeledDataset
from spectral_select.integrations.data.part import Part

__all__ = ["FeatureDataset", "FeatureInputs", "FeatureRows"]

_BLOCK = 4096  # rows hashed or copied at a time


class FeatureRows:
    """The rows of a feature table.

    Parameters
    ----------
    features : array of shape (n, d)
        The table, in memory or memory-mapped.
    source : str
        Name of the table, for messages.
    ids : sequence of str, optional
        Identifier of each row; by default, SOURCE[INDEX].
    content : bytes, optional
        Digest of the table, if known; by default, it is computed from all rows.

    Examples
    --------
    >>> rows = FeatureRows(np.eye(3), "eye.npy")
    >>> rows.load(1), rows.id(1)
    (array([0., 1., 0.], dtype=float32), 'eye.npy[1]')
    """

    def __init__(
        self,
        features: NDArray[Any],
        source: str,
        ids: Sequence[str] | None = None,
        content: bytes | None = None,
    ) -> None:
        self.features = features
        self.source = source
        self.ids = ids
        self._content = content

    def __len__(self) -> int:
        return len(self.features)

    def id(self, i: int) -> str:
        """Return the identifier of row `i`."""
        return f"{self.source}[{i}]" if self.ids is None else self.ids[i]

    def name(self, i: int) -> str:
        """Return the name of row `i`, for messages."""
        return self.id(i)

    def load(self, i: int) -> NDArray[np.float32]:
        """Return row `i`."""
        return np.asarray(self.features[i], dtype=np.float32)

    def digest(self, indices: NDArray[np.int64]) -> bytes:
        """Return a SHA-256 digest of the table and of `indices`, in order."""
        if self._content is None:
            digest = hashlib.sha256(f"{self.features.shape}{self.features.dtype}".encode())
            for start in range(0, len(self), _BLOCK):
                digest.update(np.ascontiguousarray(self.features[start : start + _BLOCK]).tobytes())
            self._content = digest.digest()
        return hashlib.sha256(self._content + indices.astype("<i8").tobytes()).digest()

    def joined(self, others: "Sequence[FeatureRows]") -> "FeatureRows":
        """Return these rows followed by those of `others`."""
        parts = (self, *others)
        ids = [part.id(i) for part in parts for i in range(len(part))]
        return FeatureRows(np.concatenate([part.features for part in parts]), self.source, ids)


class FeatureDataset(LabeledDataset):
    """A table of features with three splits; the samples are its rows.

    Examples
    --------
    >>> from spectral_select.integrations.data.labeled_dataset import SplitOptions
    >>> parts = {"train": (FeatureRows(np.eye(6), "eye"), np.array([0, 1, 0, 1, 0, 1]))}
    >>> data = FeatureDataset.divide("eye", parts, ["a", "b"], SplitOptions(), "one table")
    >>> data.train_features.shape, data.train[0][0].dtype
    ((5, 6), dtype('float32'))
    """

    unit = "rows"

    @cached_property
    def train_features(self) -> NDArray[Any]:
        """The rows of the training split, shape (n, d); not copied if they are the whole table."""
        table: NDArray[Any] = self.train.samples.features
        if np.array_equal(self.train.indices, np.arange(len(table))):
            return table
        return np.asarray(table[self.train.indices])


class FeatureInputs:
    """The rows of a split as inputs of a network, with the interface of `DecodedImages`.

    The rows are kept on the device if they fit, otherwise read from the table each time.

    Parameters
    ----------
    dataset : LabeledSplit or Part
        A split of a `FeatureDataset`, or a part of one.
    cache_bytes : int
        Maximum memory for the rows.
    device : torch.device, optional
        Device for the batches; the CPU by default.

    Attributes
    ----------
    resident : bool
        Whether the rows are kept on `device`.
    forgets : bool
        Whether the rows are read from the table each time.
    n_decoded : int
        Number of rows read so far.

    Examples
    --------
    >>> from spectral_select.integrations.data.labeled_dataset import SplitOptions
    >>> parts = {"train": (FeatureRows(np.eye(6), "eye"), np.array([0, 1, 0, 1, 0, 1]))}
    >>> data = FeatureDataset.divide("eye", parts, ["a", "b"], SplitOptions(), "one table")
    >>> FeatureInputs(data.train, cache_bytes=10**6).take([0, 3]).shape
    torch.Size([2, 6])
    """

    def __init__(
        self, dataset: Any, *, cache_bytes: int, device: torch.device | None = None
    ) -> None:
        self.dataset = dataset
        self.device = torch.device("cpu") if device is None else device
        self.n_decoded = 0
        indices = np.arange(len(dataset))
        while isinstance(dataset, Part):
            dataset, indices = dataset.dataset, dataset.indices[indices]
        self._features: NDArray[Any] = dataset.samples.features
        self._indices: NDArray[np.int64] = dataset.indices[indices]
        n_bytes = 4 * len(indices) * self._features.shape[1]
        self.resident = n_bytes <= min(cache_bytes, cache_room(self.device))
        self.forgets = not self.resident
        self._table: Tensor | None = None

    def __len__(self) -> int:
        return len(self._indices)

    def take(self, indices: Any) -> Tensor:
        """Return rows.

        Parameters
        ----------
        indices : array of int, shape (n,)
            Indices into the dataset.

        Returns
        -------
        Tensor of shape (n, d), float32
            The rows, on the device.
        """
        indices = np.asarray(indices, dtype=np.int64)
        if not self.resident:
            return to_device(self._read(indices), self.device)
        if self._table is None:
            self._table = to_device(self._read(np.arange(len(self))), self.device)
        return self._table[to_device(torch.from_numpy(indices), self.device)]

    def blank(self, count: int) -> Tensor:
        """Return `count` rows of zeros, on the device."""
        return torch.zeros(count, self._features.shape[1], device=self.device)

    def fill(self, indices: Any) -> None:
        """Do nothing; rows need no decoding."""

    def close(self) -> None:
        """Do nothing; there are no threads."""

    def _read(self, indices: NDArray[np.int64]) -> Tensor:
        self.n_decoded += len(indices)
        rows = np.asarray(self._features[self._indices[indices]], dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(rows))
