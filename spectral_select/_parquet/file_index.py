"""Row counts, ids and classes of all files, which must be known before embeddings are read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._inspection.row_sample import RowBlock
from spectral_select._parquet.parquet_files import ParquetFiles

__all__ = ["FileIndex", "FileRows", "index_files", "keys_of_ids"]


@dataclass
class FileRows:
    """The known properties of the rows of a file.

    Attributes
    ----------
    path : Path
        The file.
    start : int
        Position of the file's first row in the dataset.
    keys : ndarray of shape (k,), int64
        A number for each row, computed from its id; see `keys_of_ids`.
    labels : ndarray of shape (k,), int32, or None
        Class number of each row.
    duplicates : dict
        Columns of near-duplicate scores, once they are known.
    """

    path: Path
    start: int
    keys: NDArray[np.int64]
    labels: NDArray[np.int32] | None
    duplicates: dict[str, NDArray[Any]] = field(default_factory=dict)

    def blocks(self, files: ParquetFiles) -> Iterator[tuple[Any, int, RowBlock]]:
        """Yield each block's ids, the position of its first row in the dataset, and its rows."""
        for block in files.blocks(self.path):
            place = slice(block.start, block.start + len(block.features))
            labels = None if self.labels is None else self.labels[place].astype(np.int64)
            rows = RowBlock(self.keys[place], block.features, labels)
            yield block.ids, self.start + block.start, rows


@dataclass
class FileIndex:
    """Row counts, keys and labels of all files.

    Attributes
    ----------
    starts : ndarray of shape (n_files + 1,)
        Position of each file's first row in the dataset, followed by the total number of rows.
    keys : ndarray of shape (n,), int64
        A number for each row, computed from its id; see `keys_of_ids`.
    classes : ndarray of shape (n_classes,)
        The classes, sorted; empty without labels.
    labels : ndarray of shape (n,), int32, or None
        Class number of each row.
    """

    starts: NDArray[np.int64]
    keys: NDArray[np.int64]
    classes: NDArray[Any]
    labels: NDArray[np.int32] | None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])

    def rows_of(self, path: Path, number: int) -> FileRows:
        """Return the known properties of the rows of a file, given its path and number."""
        place = slice(int(self.starts[number]), int(self.starts[number + 1]))
        labels = None if self.labels is None else self.labels[place]
        return FileRows(path, place.start, self.keys[place], labels)


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
        keys.append(keys_of_ids(ids))
        if of_file is not None:
            labels.append(of_file)
    starts = np.cumsum([0, *map(len, keys)])
    if starts[-1] < 2:
        raise ValueError(f"the files must hold at least 2 rows; got {starts[-1]}")
    every = np.concatenate(keys)
    _check_distinct(files, every, starts)
    classes, codes = np.empty(0, np.int64), None
    if files.label is not None:
        parts = [np.unique(part) for part in labels if len(part)]
        if len({part.dtype.kind == "U" for part in parts}) > 1:
            raise TypeError(f"column {files.label!r} holds strings in only some of the files")
        classes = np.unique(np.concatenate(parts))
        if len(classes) < 2:
            raise ValueError(f"column {files.label!r} must hold at least two classes; got 1 class")
        codes = np.concatenate([np.searchsorted(classes, p).astype(np.int32) for p in labels])
    return FileIndex(starts, every, classes, codes)


def keys_of_ids(ids: Any) -> NDArray[np.int64]:
    """Return Arrow ids as 64-bit integers; ids that are not integers are hashed."""
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
    files: ParquetFiles, every: NDArray[np.int64], starts: NDArray[np.int64]
) -> None:
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
