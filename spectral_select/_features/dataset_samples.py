"""Labels and paths of the samples in a dataset, without loading the samples."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.labels import is_missing

__all__ = ["label_column", "sample_labels", "sample_paths"]


def sample_labels(dataset: Any) -> NDArray[np.int64] | None:
    """Return the labels in a dataset, or None if it has none.

    Parameters
    ----------
    dataset : map-style dataset
        A dataset with integer ``labels`` or ``targets``, a Hugging Face dataset with a column
        "label" or "labels", or a torch `Subset` or `ConcatDataset` of such datasets.

    Returns
    -------
    ndarray of shape (n,), int64, or None

    Raises
    ------
    ValueError
        If a label is missing (None or NaN).

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from torch.utils.data import Subset
    >>> sample_labels(Subset(SimpleNamespace(targets=[5, 6, 7]), [2, 0]))
    array([7, 5])
    """
    if _is_a("Subset", dataset):
        whole = sample_labels(dataset.dataset)
        return None if whole is None else whole[np.asarray(dataset.indices, dtype=np.int64)]
    if _is_a("ConcatDataset", dataset):
        parts = [sample_labels(part) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if len(known) == len(parts) else None
    column = label_column(dataset)
    candidates = [getattr(dataset, name, None) for name in ("labels", "targets")]
    if column is not None:  # bypass the dataset's transform, if any
        candidates.append(dataset.with_format("numpy", columns=[column])[:][column])
    for labels in candidates:
        if isinstance(labels, Sequence | np.ndarray) or hasattr(labels, "__array__"):
            try:
                array = np.asarray(labels)
            except ValueError:  # lists of different lengths, such as bounding boxes
                continue
            if array.ndim == 1 and array.dtype.kind in "iu":
                return array.astype(np.int64)
            if array.ndim == 1 and array.dtype.kind in "fO":
                _refuse_missing(array)
    return None


def _refuse_missing(labels: NDArray[Any]) -> None:
    missing = [i for i, label in enumerate(labels.tolist()) if is_missing(label)]
    if missing:
        raise ValueError(
            f"every sample in the dataset must have a label; sample {missing[0]} has none "
            f"({len(missing)} labels are missing)"
        )


def label_column(dataset: Any) -> str | None:
    """Return the name of the label column in a Hugging Face dataset, or None."""
    if type(dataset).__module__.partition(".")[0] != "datasets":
        return None
    return next((name for name in ("label", "labels") if name in dataset.column_names), None)


def sample_paths(dataset: Any) -> list[str] | None:
    """Return where each sample in a dataset comes from, or None if that is not known.

    Parameters
    ----------
    dataset : map-style dataset
        A dataset with ``paths``, or with ``samples`` that are tuples whose first element is a
        path, as in torchvision; the ``root``, if there is one, is removed from the paths. For a
        `Subset` of any other dataset, the indices of the subset are returned.

    Returns
    -------
    list of str, or None

    Examples
    --------
    >>> from torch.utils.data import Subset
    >>> sample_paths(Subset([7, 8, 9], [2, 0]))
    ['2', '0']
    """
    if _is_a("Subset", dataset):
        whole = sample_paths(dataset.dataset)
        indices = [int(i) for i in dataset.indices]
        return [str(i) if whole is None else whole[i] for i in indices]
    paths = getattr(dataset, "paths", None)
    samples = getattr(dataset, "samples", None)
    if isinstance(samples, list) and all(isinstance(sample, tuple) for sample in samples):
        paths = [sample[0] for sample in samples]
    if not isinstance(paths, list) or len(paths) != len(dataset):
        return None
    if not all(isinstance(path, str) for path in paths):
        return None
    root = getattr(dataset, "root", None)
    start = os.path.join(root, "") if isinstance(root, str | os.PathLike) else ""  # noqa: PTH118
    return [path.removeprefix(start) for path in paths]


def _is_a(name: str, dataset: Any) -> bool:
    """Return whether `dataset` is a `name` from torch.utils.data, without importing torch."""
    torch_data = sys.modules.get("torch.utils.data")
    return torch_data is not None and isinstance(dataset, getattr(torch_data, name))
