"""Class-balanced candidates, and a dataset that adds a weight to each sample."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset, Sampler

from spectral_select._utils.labels import check_labels
from spectral_select._utils.validation import check_int, check_not_masked, check_positive_int

__all__ = ["ClassBalancedSampler", "WeightedDataset"]


class ClassBalancedSampler(Sampler[int]):
    """Yield indices so that all classes are equally frequent throughout an epoch.

    With c classes, each group of c consecutive indices contains every class once. Inside
    `SpectralBatchSampler`, this sampler balances the candidate batches; the selector
    decides which candidates are kept. The samples of a class are shuffled, and shuffled
    again when all have been used, so the samples of small classes repeat.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Class of each sample in the dataset.
    n_indices : int, optional
        Number of indices in an epoch; by default, the number of samples.
    seed : int, default=0
        Seed for the order, which also depends on the epoch.

    Attributes
    ----------
    epoch : int
        Epoch of the next pass, set by `set_epoch`.

    Raises
    ------
    TypeError, ValueError
        If `labels` is empty or not one-dimensional, or if another argument is invalid.

    Examples
    --------
    >>> from spectral_select import ClassBalancedSampler
    >>> labels = ["cat"] * 90 + ["dog"] * 10
    >>> order = list(ClassBalancedSampler(labels, n_indices=8))
    >>> sum(labels[i] == "dog" for i in order)
    4
    """

    def __init__(self, labels: Any, n_indices: int | None = None, *, seed: int = 0) -> None:
        if not isinstance(labels, Sized):
            raise TypeError(f"labels must be a sequence with one label per sample; got {labels!r}")
        if not len(labels):
            raise ValueError("labels must hold at least one label; got none")
        labels = check_labels(labels, len(labels), "labels")
        self.data_source = range(len(labels))
        self.epoch = 0
        self._n = len(labels) if n_indices is None else check_positive_int(n_indices, "n_indices")
        self._seed = check_int(seed, "seed", 0)
        _, classes = np.unique(labels, return_inverse=True)
        order = np.argsort(classes, kind="stable")
        self._members = np.split(order, np.cumsum(np.bincount(classes))[:-1])

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass to `epoch`, an integer of at least 0."""
        self.epoch = check_int(epoch, "epoch", 0)

    def __len__(self) -> int:
        """Return the number of indices in an epoch."""
        return self._n

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of the epoch."""
        rng = np.random.default_rng([self._seed, self.epoch])
        rounds = -(-self._n // len(self._members))
        columns = [_repeated(members, rounds, rng) for members in self._members]
        table = rng.permuted(np.column_stack(columns), axis=1)
        return iter(table.ravel()[: self._n].tolist())


def _repeated(
    members: npt.NDArray[np.int64], n: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return `n` members in random order, using all of them before any is repeated."""
    times = -(-n // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(times)])[:n]


class WeightedDataset(Dataset[Any]):
    """Add a weight to each sample of a map-style dataset.

    The weight is appended to a tuple or list, and stored under the key ``"weight"`` in a
    dictionary. Any other sample becomes a pair of the sample and its weight.

    Parameters
    ----------
    dataset : Dataset
        The dataset, which returns a sample for each index.
    weights : array-like of shape (n_samples,)
        Weight of each sample, finite and non-negative.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or if there is not one weight per sample.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from spectral_select import WeightedDataset
    >>> dataset = TensorDataset(torch.arange(3.0), torch.tensor([0, 1, 0]))
    >>> WeightedDataset(dataset, [0.5, 2.0, 0.5])[1]
    (tensor(1.), tensor(1), 2.0)
    """

    def __init__(self, dataset: Any, weights: Any) -> None:
        check_not_masked(weights, "weights")
        weights = np.asarray(weights, dtype=np.float32)
        if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(
                f"weights must be finite, non-negative and of shape (n_samples,); got {weights!r}"
            )
        if isinstance(dataset, Sized) and len(dataset) != len(weights):
            raise ValueError(
                f"weights must have one entry for each of the {len(dataset)} samples; "
                f"got {len(weights)}"
            )
        self.dataset = dataset
        self.weights = weights

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.weights)

    def __getitem__(self, index: int) -> Any:
        """Return a sample and its weight."""
        sample, weight = self.dataset[index], float(self.weights[index])
        if isinstance(sample, dict):
            return {**sample, "weight": weight}
        if isinstance(sample, tuple | list):
            return (*sample, weight)
        return sample, weight
