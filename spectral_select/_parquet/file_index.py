"""What must be known of all files before embeddings are read: row counts, ids and classes."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._parquet.parquet_files import ParquetFiles

__all__ = ["FileIndex", "index_files"]


@dataclass
class FileIndex:
    """Row counts of all files, and labels as class numbers.

    Attributes
    ----------
    starts : ndarray of shape (n_files + 1,)
        Number of the first row of each file in the dataset, then the number of all rows.
    classes : ndarray of shape (n_classes,)
        The classes, sorted; empty without labels.
    labels : ndarray of shape (n,), int32
        Number of the class of each row.
    """

    starts: NDArray[np.int64]
    classes: NDArray[Any]
    labels: NDArray[np.int32]

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])


def index_files(files: ParquetFiles) -> FileIndex:
    """Read ids and labels of all files, and check them.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    ValueError
        If an id is missing or occurs twice, or if a label is missing.
    """
    keys: list[NDArray[np.int64]] = []
    labels: list[NDArray[Any]] = []
    for path in files.paths:
        ids, of_file = files.ids_and_labels(path)
        keys.append(_keys(ids))
        if of_file is not None:
            labels.append(of_file)
    starts = np.cumsum([0, *map(len, keys)])
    if starts[-1] < 2:
        raise ValueError(f"the files must hold at least 2 rows; got {starts[-1]}")
    _check_distinct(files, keys, starts)
    classes, codes = np.empty(0, np.int64), np.empty(0, np.int32)
    if files.label is not None:
        parts = [np.unique(part) for part in labels if len(part)]
        if len({part.dtype.kind == "U" for part in parts}) > 1:
            raise TypeError(f"column {files.label!r} holds strings in some files only")
        classes = np.unique(np.concatenate(parts))
        if len(classes) < 2:
            raise ValueError(f"column {files.label!r} must hold at least two classes; got 1 class")
        codes = np.concatenate([np.searchsorted(classes, p).astype(np.int32) for p in labels])
    return FileIndex(starts, classes, codes)


def _keys(ids: Any) -> NDArray[np.int64]:
    """Return ids as 64-bit integers: integers as they are, others by a hash."""
    from pyarrow import types

    if types.is_integer(ids.type):
        return np.asarray(ids.to_numpy()).astype(np.int64)
    digests = b"".join(
        blake2b(str(value).encode("utf-8", "surrogateescape"), digest_size=8).digest()
        for chunk in ids.chunks
        for value in chunk.to_pylist()
    )
    return np.frombuffer(digests, np.int64)


def _check_distinct(
    files: ParquetFiles, keys: list[NDArray[np.int64]], starts: NDArray[np.int64]
) -> None:
    every = np.concatenate(keys)
    ordered = np.sort(every)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    seen: dict[str, str] = {}
    for row in np.flatnonzero(np.isin(every, repeated)).tolist() if len(repeated) else ():
        number = int(np.searchsorted(starts, row, side="right")) - 1
        own = row - int(starts[number])
        value = str(files.ids_and_labels(files.paths[number])[0][own].as_py())
        place = f"{files.paths[number]} (row {own})"
        if value in seen:
            raise ValueError(
                f"column {files.id!r} must hold distinct ids; {value!r} is in {seen[value]} and "
                f"in {place}"
            )
        seen[value] = place
