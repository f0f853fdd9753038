"""Wrong labels, outliers and near-duplicates in a dataset, in one table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._fiedler.fiedler_vector import seed_of
from spectral_select._inspection.near_duplicates import NearDuplicates, find_near_duplicates
from spectral_select._inspection.outliers import is_outlier, outlier_scores
from spectral_select._labels.wrong_labels import WrongLabels, wrong_labels_in
from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.labels import check_labels
from spectral_select._utils.table_files import TABLE_SUFFIXES, write_table
from spectral_select._utils.validation import (
    check_matrix,
    check_number,
    check_positive_int,
)

__all__ = ["DatasetInspection", "inspect_dataset"]

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class DatasetInspection:
    """Result of `inspect_dataset` for n samples.

    Attributes
    ----------
    labels : ndarray of shape (n,), or None
        The given labels.
    wrong_labels : WrongLabels or None
        Result of `find_wrong_labels`; None without labels.
    outlier : ndarray of shape (n,), bool
        Whether a sample is unlike the others.
    outlier_score : ndarray of shape (n,), float64
        From 0 to 1; 1/2 is typical, and 1 means unlike all others.
    duplicates : NearDuplicates
        Each sample's group of near-duplicates, and its near-duplicate in the other dataset.
    paths : tuple of str, or None
        Where each sample comes from.
    other_paths : tuple of str, or None
        The same for the other dataset.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import inspect_dataset
    >>> found = inspect_dataset(*load_digits(return_X_y=True))
    >>> list(found.columns())[:4]
    ['index', 'label', 'suggested_label', 'suggested_probability']
    """

    labels: NDArray[Any] | None
    wrong_labels: WrongLabels | None
    outlier: NDArray[np.bool_]
    outlier_score: NDArray[np.float64]
    duplicates: NearDuplicates
    paths: tuple[str, ...] | None = None
    other_paths: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.outlier)

    @property
    def label_issues_(self) -> Indices:
        """Samples whose label is flagged as wrong, least trusted first."""
        if self.wrong_labels is None:
            return np.empty(0, np.int64)
        return _ordered(self.wrong_labels.wrong, self.wrong_labels.trust)

    @property
    def outliers_(self) -> Indices:
        """Outliers, most unusual first."""
        return _ordered(self.outlier, -self.outlier_score)

    @property
    def near_duplicates_(self) -> list[Indices]:
        """Samples in each group of near-duplicates, largest group first."""
        members = np.flatnonzero(self.duplicates.group >= 0)
        members = members[np.argsort(self.duplicates.group[members], kind="stable")]
        starts = np.flatnonzero(np.diff(self.duplicates.group[members])) + 1
        groups = np.split(members, starts) if len(members) else []
        return sorted(groups, key=lambda group: (-len(group), group[0]))

    @property
    def crossing_duplicates_(self) -> Indices:
        """Pairs of a sample and its near-duplicate in the other dataset, shape (m, 2)."""
        shared = np.flatnonzero(self.duplicates.across >= 0)
        return np.column_stack([shared, self.duplicates.across[shared]])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns of the table, one row per sample, as a dictionary of arrays."""
        columns: dict[str, NDArray[Any]] = {"index": np.arange(len(self))}
        if self.paths is not None:
            columns["path"] = np.array(self.paths, object)
        if (wrong := self.wrong_labels) is not None and self.labels is not None:
            columns |= {
                "label": self.labels,
                "suggested_label": wrong.suggested,
                "suggested_probability": wrong.suggested_probability,
                "label_trust": wrong.trust,
                "label_probability": wrong.label_probability,
                "wrong_label": wrong.wrong,
            }
        found = self.duplicates
        columns |= {
            "outlier": self.outlier,
            "outlier_score": self.outlier_score,
            "duplicate_group": found.group,
            "exact_duplicate": found.exact,
            "near_duplicates": found.count,
            "largest_similarity": found.similarity,
            "duplicate_in_other": found.across,
        }
        if self.other_paths is not None:
            names = np.array([*self.other_paths, ""], object)  # −1 selects the empty name
            columns["duplicate_in_other_path"] = names[found.across]
        return columns

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame; needs pandas.

        Returns
        -------
        pandas.DataFrame
            One row per sample.
        """
        return import_module("pandas").DataFrame(self.columns())

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a file.

        Parameters
        ----------
        path : path
            The file, which ends in ``.csv`` or, with pyarrow installed, in ``.parquet``.

        Raises
        ------
        ValueError
            If the path ends in anything else.
        OSError
            If the file cannot be written; an existing file is then left unchanged.
        """
        path = Path(path)
        if path.suffix not in TABLE_SUFFIXES:
            raise ValueError(f"path must end in {' or '.join(TABLE_SUFFIXES)}; got {str(path)!r}")
        columns = {name: values.tolist() for name, values in self.columns().items()}
        write_atomically(path, lambda file: write_table(columns, path.suffix, file))


@np.errstate(all="ignore")  # underflow to 0 is correct; inputs are checked
def inspect_dataset(
    X: Any,
    y: ArrayLike | None = None,
    *,
    other: Any = None,
    pred_probs: ArrayLike | None = None,
    duplicate_similarity: float | None = None,
    n_landmarks: int = 1024,
    paths: Sequence[str] | None = None,
    other_paths: Sequence[str] | None = None,
    random_state: Any = None,
) -> DatasetInspection:
    """Find wrong labels, outliers and near-duplicates in a dataset.

    Parameters
    ----------
    X : array-like, sparse array or torch.Tensor of shape (n, d)
        Finite features, such as embeddings; a memory map is read block by block.
    y : array-like of shape (n,), optional
        Labels, integers or strings. Without them, only outliers and near-duplicates are found.
    other : array-like of shape (m, d), optional
        The same features for a second dataset, such as the test set, which is also searched for
        near-duplicates of the samples.
    pred_probs : array-like of shape (n, n_classes), optional
        Class probabilities from a model; see `find_wrong_labels`.
    duplicate_similarity : float, optional
        Smallest similarity, in [0, 1], of near-duplicates. The similarity is 1 minus half the
        squared distance between the standardized rows, relative to their lengths; for rows of
        equal length, it is the cosine. The default is 0.95, or more in tables with few features,
        so that by chance only about three samples in ten thousand have a near-duplicate.
    n_landmarks : int, default=1024
        Maximum number of landmarks in nonlinear graphs. More landmarks take longer, but the
        graphs are more accurate.
    paths, other_paths : sequence of str, optional
        Where each sample of `X` and of `other` comes from, for columns of the table.
    random_state : int, RandomState or None, default=None
        Seed for the landmarks and for sampling. None means a fixed seed.

    Returns
    -------
    DatasetInspection
        A table with one row per sample, and arrays of the flagged samples.

    Raises
    ------
    ValueError, TypeError
        If features or labels are invalid, or if their shapes do not match.

    See Also
    --------
    find_wrong_labels : Wrong labels alone, and how they are found.

    Notes
    -----
    All three searches use a graph of the standardized rows. An outlier has a low degree in a
    graph of heat-kernel similarities. Near-duplicates are linked into groups, so two samples in a
    group may be less similar than the threshold. In a large dataset with many features, only
    samples that share a landmark are compared, so a few pairs near the threshold may be missed,
    but pairs of identical rows never are.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import inspect_dataset
    >>> X, y = load_digits(return_X_y=True)
    >>> X[7], y[100] = X[3], (y[100] + 1) % 10
    >>> found = inspect_dataset(X, y)
    >>> 100 in found.label_issues_, bool(found.duplicates.exact[7])
    (True, True)
    >>> [3, 7] in [group.tolist() for group in found.near_duplicates_]
    True
    """
    check_positive_int(n_landmarks, "n_landmarks")
    if duplicate_similarity is not None:
        check_number(duplicate_similarity, "duplicate_similarity", 0, 1)
    seed = seed_of(random_state)
    X = check_matrix(X, "X")
    n, d = X.shape
    if n < 2:
        raise ValueError(f"X must have at least 2 samples; got shape {(n, d)}")
    if other is not None:
        other = check_matrix(other, "other")
        if other.shape[1] != d:
            raise ValueError(f"other must have the {d} features of X; got {other.shape[1]}")
    names = _names(paths, n, "paths")
    other_names = _names(other_paths, 0 if other is None else other.shape[0], "other_paths")
    labels = None if y is None else check_labels(y, n)
    if labels is None and pred_probs is not None:
        raise ValueError("pred_probs needs y; got y=None")
    rows = Rows(X)
    wrong = None
    if labels is not None:
        wrong = wrong_labels_in(
            rows, labels, pred_probs=pred_probs, n_landmarks=n_landmarks, seed=seed
        )
    scores = outlier_scores(rows, n_landmarks, seed)
    duplicates = find_near_duplicates(X, rows, other, duplicate_similarity, seed)
    return DatasetInspection(
        labels, wrong, is_outlier(scores), scores, duplicates, names, other_names
    )


def _names(paths: Sequence[str] | None, n: int, name: str) -> tuple[str, ...] | None:
    if paths is None:
        return None
    if len(paths) != n:
        raise ValueError(f"{name} must have {n} entries, one for each sample; got {len(paths)}")
    return tuple(str(path) for path in paths)


def _ordered(flagged: NDArray[np.bool_], keys: NDArray[np.float64]) -> Indices:
    found = np.flatnonzero(flagged)
    return found[np.argsort(keys[found], kind="stable")]
