"""A dataset with three splits; missing splits are drawn with a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.data.labeled_split import LabeledSplit, Samples
from spectral_select.integrations.data.splits import check_fraction, stratified_split

__all__ = ["SPLITS", "LabeledDataset", "Parts", "SplitOptions"]

#: Names of the splits; "all" contains every sample.
SPLITS = ("train", "val", "test", "all")

#: Samples and labels by split; a missing split is drawn from the training data.
Parts = Mapping[str, tuple[Any, NDArray[np.int64] | None]]


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Options for drawing the missing splits of a dataset.

    Parameters
    ----------
    val_fraction : float, default 0.1
        Share of the training data held out for validation, in [0, 1).
    test_fraction : float, default 0.2
        Share held out for testing, in [0, 1).
    train_size : int, optional
        Number of training samples to keep, stratified by class.
    seed : int, default 0
        Seed for the splits.

    Raises
    ------
    ValueError, TypeError
        If a value is out of range.

    Examples
    --------
    >>> SplitOptions(val_fraction=1.0)
    Traceback (most recent call last):
        ...
    ValueError: val_fraction must be in [0, 1); got 1.0
    """

    val_fraction: float = 0.1
    test_fraction: float = 0.2
    train_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_fraction(self.val_fraction, "val_fraction")
        check_fraction(self.test_fraction, "test_fraction")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer):
            raise ValueError(f"seed must be a nonnegative integer; got {self.seed!r}")
        if self.seed < 0:
            raise ValueError(f"seed must be a nonnegative integer; got {self.seed!r}")


@dataclass(frozen=True)
class LabeledDataset:
    """A dataset with three splits.

    Attributes
    ----------
    name : str
        Name of the dataset, or path of its file or folder.
    classes : tuple of str
        Class names, by label; empty if the dataset has no labels.
    train, val, test : LabeledSplit
        The splits; `val` and `test` may be empty.
    record : dict
        How the dataset was split (layout, seed, fractions), for JSON.
    sources : tuple of (samples, labels)
        The files or arrays that the splits were drawn from, with the labels of their samples.
    image_size : int or None
        Side of the images in pixels; None if their sizes differ or the samples are not images.

    Examples
    --------
    >>> from spectral_select.integrations.data.texts import Texts
    >>> texts = Texts(["a cat", "a dog", "a cow", "a fly"], ["0", "1", "2", "3"])
    >>> parts = {"train": (texts, np.array([0, 1, 0, 1]))}
    >>> options = SplitOptions(val_fraction=0, test_fraction=0.5)
    >>> data = LabeledDataset.divide("animals", parts, ["mammal", "insect"], options, "one part")
    >>> len(data.train), len(data.val), len(data.test), len(data.split("all"))
    (2, 0, 2, 4)
    """

    #: Plural noun for the samples in messages.
    unit: ClassVar[str] = "samples"
    _split_class: ClassVar[type[LabeledSplit]] = LabeledSplit

    name: str
    classes: tuple[str, ...]
    train: Any
    val: Any
    test: Any
    record: dict[str, Any]
    sources: tuple[tuple[Any, Any], ...] = field(default=(), repr=False)
    image_size: int | None = None

    @classmethod
    def divide(
        cls,
        name: str,
        parts: Parts,
        classes: Sequence[str],
        options: SplitOptions,
        layout: str,
        *,
        image_size: int | None = None,
    ) -> Self:
        """Build a dataset from `parts`, and draw missing splits from "train".

        A missing test split is drawn first, then a missing validation split; both draws are
        stratified by class.

        Parameters
        ----------
        name : str
            Name of the dataset.
        parts : mapping
            Samples and labels by split; "train" is required.
        classes : sequence of str
            Class names, by label.
        options : SplitOptions
            How to draw the missing splits.
        layout : str
            Original layout of the dataset, stored in ``record``.
        image_size : int, optional
            Side of the images in pixels.

        Raises
        ------
        ValueError, TypeError
            If `train_size` is out of range, or no training sample is left.
        """
        samples, labels = parts["train"]
        kept = np.arange(len(samples))
        strata = np.zeros(len(samples), np.int64) if labels is None else labels
        splits = {}
        fractions = {"test": options.test_fraction, "val": options.val_fraction}
        for stream, (key, fraction) in enumerate(fractions.items()):
            if key in parts:
                part, part_labels = parts[key]
                every = np.arange(len(part))
                splits[key] = cls._split_class(part, part_labels, every, classes, key, dataset=name)
                continue
            n_held = round(len(kept) * fraction)
            rest, held = stratified_split(strata[kept], n_held, [options.seed, stream])
            splits[key] = cls._split_class(samples, labels, kept[held], classes, key, dataset=name)
            kept = kept[rest]
        kept = _only(kept, strata, options, cls.unit)
        train = cls._split_class(samples, labels, kept, classes, "train", dataset=name)
        record = {
            "layout": layout,
            "split_seed": int(options.seed),
            "val_fraction": None if "val" in parts else float(options.val_fraction),
            "test_fraction": None if "test" in parts else float(options.test_fraction),
            "train_size": options.train_size,
        }
        sources = tuple(parts[key] for key in SPLITS if key in parts)
        return cls(
            name, tuple(classes), train, splits["val"], splits["test"], record, sources, image_size
        )

    @property
    def n_samples(self) -> int:
        """Total number of samples."""
        return sum(len(samples) for samples, _ in self.sources)

    def split(self, name: str) -> Any:
        """Return the split called `name`: "train", "val", "test", or "all" for every sample."""
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {name!r}")
        return self._all() if name == "all" else getattr(self, name)

    def _all(self) -> LabeledSplit:
        (first, labels), *others = self.sources
        samples: Samples = first.joined([part for part, _ in others]) if others else first
        if labels is not None:
            labels = np.concatenate([labels for _, labels in self.sources])
        every = np.arange(len(samples))
        return self._split_class(samples, labels, every, self.classes, "all", dataset=self.name)

    def describe(self) -> dict[str, Any]:
        """Return the record with counts and fingerprints, ready for JSON."""
        parts = {part.name: part for part in (self.train, self.val, self.test)}
        return {
            "name": self.name,
            "n_classes": len(self.classes),
            **self.record,
            **({} if self.unit == "images" else {"unit": self.unit}),
            "count": {name: len(part) for name, part in parts.items()},
            "fingerprint": {name: part.fingerprint for name, part in parts.items()},
        }


def _only(
    kept: NDArray[np.int64], strata: NDArray[np.int64], options: SplitOptions, unit: str
) -> NDArray[np.int64]:
    """Reduce the training samples to `train_size`, stratified by class."""
    size = options.train_size
    if size is not None:
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"train_size must be an integer; got {size!r}")
        if not 1 <= size <= len(kept):
            raise ValueError(
                f"train_size must be from 1 to {len(kept)}, the number of training {unit}; "
                f"got {size!r}"
            )
        _, held = stratified_split(strata[kept], int(size), [options.seed, 2])
        kept = kept[held]
    if not len(kept):
        one = unit.removesuffix("s")
        raise ValueError(f"no training {one} is left; lower val_fraction or test_fraction")
    return kept
