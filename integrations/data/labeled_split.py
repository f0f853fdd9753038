"""One fingerprinted split of a dataset, with any kind of samples."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

__all__ = ["LabeledSplit", "Samples"]


class Samples(Protocol):
    """All samples of a dataset, loaded one at a time."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def name(self, i: int) -> str:
        """Return the name of sample `i`, for messages."""

    def id(self, i: int) -> str:
        """Return the identifier of sample `i` in a store: a relative path, or a name."""

    def load(self, i: int) -> Any:
        """Return sample `i`."""

    def digest(self, indices: NDArray[np.int64]) -> bytes:
        """Return a digest of the samples at `indices`, in order."""

    def joined(self, others: Any) -> "Samples":
        """Return these samples followed by those of `others`, which must have the same type."""


class LabeledSplit(Dataset[tuple[Any, int]]):
    """One split of a dataset: a map-style dataset of pairs (sample, label).

    Parameters
    ----------
    samples : Samples
        All samples of the dataset.
    labels : array of int, shape (len(samples),), or None
        Label of every sample in `samples`; None if the dataset has no labels.
    indices : array of int, shape (n,)
        Indices into `samples` of the samples in the split, in order.
    classes : sequence of str
        Class names, by label.
    name : str
        "train", "val", "test" or "all".
    transform : callable, optional
        Applied to a sample before it is returned.
    dataset : str
        Name of the dataset.

    Attributes
    ----------
    labels : array of int64, shape (n,), or None
        Labels of the samples in the split, available without loading samples.

    Examples
    --------
    >>> from spectral_select.integrations.data.texts import Texts
    >>> texts = Texts(["a cat", "a dog", "a cow"], ["0", "1", "2"])
    >>> split = LabeledSplit(texts, np.array([0, 1, 1]), [2, 0], ["small", "large"], "train")
    >>> split[0], split.paths, split.drawn_from
    (('a cow', 1), ['2', '0'], 3)
    """

    def __init__(
        self,
        samples: Samples,
        labels: NDArray[np.int64] | None,
        indices: NDArray[np.int64] | Sequence[int],
        classes: Sequence[str],
        name: str,
        transform: Callable[[Any], Any] | None = None,
        dataset: str = "",
    ) -> None:
        self.samples = samples
        self.indices = np.asarray(indices, dtype=np.int64)
        self.labels: Any = None
        if labels is not None:
            self.labels = np.asarray(labels, dtype=np.int64)[self.indices]
        self.classes = tuple(classes)
        self.name = name
        self.transform = transform
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        sample = self.samples.load(int(self.indices[index]))
        if self.transform is not None:
            sample = self.transform(sample)
        return sample if self.labels is None else (sample, int(self.labels[index]))

    def with_transform(self, transform: Callable[[Any], Any] | None) -> Self:
        """Return the same split with a different transform, without copying data.

        Parameters
        ----------
        transform : callable or None
            Applied to a sample before it is returned.

        Returns
        -------
        LabeledSplit
            A split of the same type that shares labels and samples with this one.
        """
        other = copy.copy(self)
        other.transform = transform
        return other

    def source(self, index: int) -> str:
        """Return the path or name of sample `index`, for messages."""
        return self.samples.name(int(self.indices[index]))

    @property
    def paths(self) -> list[str]:
        """Identifier of each sample: a path relative to the dataset's folder, or a name."""
        return [self.samples.id(int(i)) for i in self.indices]

    @property
    def drawn_from(self) -> int | None:
        """Number of samples that the split was drawn from, or None if it contains all of them."""
        return len(self.samples) if len(self) < len(self.samples) else None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the split's content and order, as 64 hexadecimal digits.

        For image files, the fingerprint covers each file's relative path, size in bytes and
        label. It does not cover pixels, so replacing a file with one of equal size is not
        detected. For arrays and texts, it covers every byte and label. In all cases, it covers the
        class names, but not the transform or the root folder, so the folder may be moved.
        """
        digest = hashlib.sha256(b"spectral_select split 1\0")
        digest.update("\0".join(self.classes).encode("utf-8", "surrogateescape"))
        digest.update(self.samples.digest(self.indices))
        if self.labels is not None:
            digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()
