"""Load datasets of features from embedding stores or tables, to train heads on."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.readers import read_features, read_labels
from spectral_select._features.row_names import RowNames
from spectral_select._features.store import META, EmbeddingStore
from spectral_select._utils.validation import check_finite
from spectral_select.integrations.data.class_names import label_codes, sorted_classes
from spectral_select.integrations.data.feature_rows import FeatureDataset, FeatureRows
from spectral_select.integrations.data.labeled_dataset import SplitOptions

__all__ = ["FEATURE_SUFFIXES", "FeatureColumns", "holds_features", "load_features"]

#: File extensions of tables of features.
FEATURE_SUFFIXES = (".npy", ".npz", ".parquet", ".pq", ".csv")

# Metadata in which a store of test embeddings must agree with the training store.
_SAME = ("backbone", "weights_hash", "image_size", "output")


@dataclass(frozen=True, kw_only=True)
class FeatureColumns:
    """Location of the features and labels in a file.

    Parameters
    ----------
    key : str, optional
        Name of the array in an ``.npz`` file.
    columns : sequence of str, optional
        Feature columns in a Parquet or CSV file; by default, the only column of lists or, if
        there is none, all columns except the labels.
    labels : str, optional
        Array in the ``.npz`` file, column in the table, or a ``.npy`` file; by default, the
        labels in the store.

    Examples
    --------
    >>> FeatureColumns(labels="kind").columns is None
    True
    """

    key: str | None = None
    columns: Sequence[str] | None = None
    labels: str | None = None


@dataclass(frozen=True)
class _Table:
    rows: FeatureRows
    labels: list[Any]
    store: EmbeddingStore | None


def holds_features(name: str | os.PathLike[str]) -> bool:
    """Return whether `name` is the path of an embedding store or of a table of features.

    Parameters
    ----------
    name : path
        The name or path given by the user.

    Returns
    -------
    bool

    Examples
    --------
    >>> holds_features("table.csv"), holds_features("digits")
    (True, False)
    """
    path = Path(name)
    return (path / META).is_file() or path.suffix.lower() in FEATURE_SUFFIXES


def load_features(
    name: str | os.PathLike[str],
    columns: FeatureColumns | None = None,
    *,
    test: str | os.PathLike[str] | None = None,
    test_labels: str | None = None,
    options: SplitOptions | None = None,
) -> FeatureDataset:
    """Load a dataset of features with labels.

    Parameters
    ----------
    name : path
        A store or a file that `read_features` reads.
    columns : FeatureColumns, optional
        Location of the features and labels.
    test : path, optional
        Store or file with the test split. By default, the split is drawn from the rows of `name`.
    test_labels : str, optional
        Location of the labels of `test`, if it differs from ``columns.labels``.
    options : SplitOptions, optional
        How missing splits are drawn.

    Returns
    -------
    FeatureDataset

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, a label is missing, a feature is not finite, or the test
        rows have different columns, a different backbone or classes that the training rows lack.

    Examples
    --------
    >>> import tempfile
    >>> from spectral_select import save_embeddings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_embeddings(folder + "/store", np.eye(10), np.arange(10) % 2)
    ...     data = load_features(folder + "/store")
    ...     data.classes, len(data.train), len(data.val), len(data.test)
    (('0', '1'), 7, 1, 2)
    """
    columns = FeatureColumns() if columns is None else columns
    tables = {"train": _read(Path(name), columns, columns.labels)}
    if test is not None:
        labels = columns.labels if test_labels is None else test_labels
        tables["test"] = _read(Path(test), columns, labels)
        _check_same(tables["train"], tables["test"])
    classes: list[str] = []
    parts = {}
    for key, table in tables.items():
        places = [table.rows.name(i) for i in range(len(table.rows))]
        if key == "train":
            classes = sorted_classes(table.labels, places, "label")
        parts[key] = table.rows, label_codes(table.labels, places, "label", classes)
    if len(classes) < 2:
        raise ValueError(f"{name} must have at least two classes; got {', '.join(classes)}")
    layout = "one table" if test is None else "two tables"
    options = SplitOptions() if options is None else options
    return FeatureDataset.divide(str(name), parts, classes, options, layout)


def _read(path: Path, columns: FeatureColumns, labels: str | None) -> _Table:
    exclude = [] if labels is None else [labels]
    features = read_features(path, key=columns.key, columns=columns.columns, exclude=exclude)
    if not path.is_dir():
        check_finite(features, str(path))
        known = read_labels(path, labels)
        _check_count(path, features, known)
        return _Table(FeatureRows(features, path.name), known.tolist(), None)
    store = EmbeddingStore.open(path)
    names = RowNames.of(str(path))
    if labels is not None:
        known = read_labels(path, labels)
        _check_count(path, features, known)
        listed = known.tolist()
    elif names.labels is None:
        raise ValueError(
            f"{path} has no labels; extract it again from a dataset with labels, or name a .npy "
            "file of labels"
        )
    else:
        listed = names.labels
    # The store's checksums identify its rows.
    content = json.dumps([store.meta["dim"], store.meta["block_size"], store.meta["block_crc32"]])
    digest = hashlib.sha256(content.encode()).digest()
    return _Table(FeatureRows(store.features, path.name, names.paths, digest), listed, store)


def _check_count(path: Path, features: NDArray[Any], labels: NDArray[Any]) -> None:
    if len(labels) != len(features):
        raise ValueError(f"{path} has {len(features)} rows, but {len(labels)} labels")


def _check_same(train: _Table, test: _Table) -> None:
    """Reject test rows that were not computed in the same way as the training rows."""
    widths = [np.shape(table.rows.features)[1] for table in (train, test)]
    if widths[0] != widths[1]:
        raise ValueError(
            f"the test rows must have {widths[0]} features, as the training rows; got {widths[1]}"
        )
    if train.store is None or test.store is None:
        return
    for key in _SAME:
        own, theirs = train.store.meta.get(key), test.store.meta.get(key)
        if own != theirs:
            raise ValueError(
                f"{test.store.path} must come from the same backbone as {train.store.path}; its "
                f"{key} is {theirs!r}, not {own!r}"
            )
