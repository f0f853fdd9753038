"""Parquet files of ids, embeddings and labels, read block by block."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.arrow_tables import matrix_of_column
from spectral_select._utils.labels import check_labels

__all__ = ["CorruptFileError", "ParquetBlock", "ParquetFiles", "find_files"]

_BLOCK_ENTRIES = 2**21


class CorruptFileError(ValueError):
    """A Parquet file that cannot be read.

    Parameters
    ----------
    path : Path
        The file.
    why : str
        What the reader reported.
    """

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(f"{path} cannot be read: {' '.join(str(why).split())}")
        self.path, self._why = path, str(why)

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:  # for sending it between processes
        return CorruptFileError, (self.path, self._why)


@dataclass
class ParquetBlock:
    """Consecutive rows of a file.

    Attributes
    ----------
    start : int
        Position of the block's first row in the file.
    ids : pyarrow.Array
        Ids.
    features : ndarray of shape (k, d)
        Embeddings, in the dtype of the file.
    """

    start: int
    ids: Any
    features: NDArray[Any]


def find_files(pattern: str, out: Path | None = None) -> list[Path]:
    """Return the files that match a pattern, or those in a folder, sorted by name.

    Raises
    ------
    ValueError
        If no file matches, or if `out` is inside the folder, where a later call would read the
        score files as input.
    """
    found = Path(pattern)
    if out is not None and found.is_dir() and out.resolve().is_relative_to(found.resolve()):
        raise ValueError(f"{out} is inside the folder of embeddings {found}; name another folder")
    names = (
        [str(path) for path in found.rglob("*.parquet")]
        if found.is_dir()
        else glob.glob(pattern, recursive=True)  # noqa: PTH207 - patterns may be absolute
    )
    files = sorted(Path(name) for name in names if Path(name).is_file())
    if not files:
        raise ValueError(f"no Parquet file matches {pattern!r}")
    return files


class ParquetFiles:
    """Parquet files with the same columns.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    id_column, embedding_column : str
        Columns of ids and of lists of numbers.
    label_column : str, optional
        Column of labels.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        id_column: str,
        embedding_column: str,
        label_column: str | None = None,
    ) -> None:
        self.paths = list(paths)
        self.id, self.embedding, self.label = id_column, embedding_column, label_column
        root = Path(os.path.commonpath([path.absolute().parent for path in self.paths]))
        self.names = [path.absolute().relative_to(root).as_posix() for path in self.paths]

    def remove(self, path: Path) -> str:
        """Leave out a file, and return its name."""
        number = self.paths.index(path)
        del self.paths[number]
        return self.names.pop(number)

    def ids_and_labels(self, path: Path) -> tuple[Any, NDArray[Any] | None]:
        """Return the ids of a file as an Arrow array, and its labels; embeddings are not read."""
        import pyarrow as pa

        columns = [self.id, *([self.label] if self.label else [])]
        with _open(path) as file:
            for name in [*columns, self.embedding]:
                if name not in file.schema_arrow.names:
                    known = ", ".join(map(repr, file.schema_arrow.names))
                    raise ValueError(f"{path} has no column {name!r}; it has {known}")
            table = _read(path, lambda: file.read(columns=columns))
        ids = table[self.id]
        if ids.null_count:
            row = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
            raise ValueError(f"{path} has no {self.id!r} in row {row}")
        return pa.chunked_array(ids.chunks, ids.type), self._labels(path, table)

    def blocks(self, path: Path) -> Iterator[ParquetBlock]:
        """Yield the rows of a file in blocks of bounded size, in order."""
        import pyarrow as pa

        columns, what = [self.id, self.embedding], f"column {self.embedding!r} of {path}"
        with _open(path) as file:
            # The width is not in the schema, so the first row determines the block size.
            first = _read(path, lambda: next(file.iter_batches(1, columns=[self.embedding]), None))
            if first is None or not first.num_rows:
                return
            table = pa.Table.from_batches([first])
            width = matrix_of_column(table[self.embedding], what).shape[1]
            if width == 0:
                raise ValueError(f"{what} holds an empty list in row 0")
            start = 0
            batches = file.iter_batches(max(1, _BLOCK_ENTRIES // width), columns=columns)
            while (batch := _read(path, lambda: next(batches, None))) is not None:
                column = pa.Table.from_batches([batch])[self.embedding]
                features = matrix_of_column(column, what, start)
                if features.shape[1] != width:
                    raise ValueError(
                        f"{what} has lists of different lengths: {width} in row 0, "
                        f"{features.shape[1]} in row {start}"
                    )
                bad = np.flatnonzero(~np.isfinite(features).all(1))
                if len(bad):
                    raise ValueError(f"{what} must be finite; row {start + bad[0]} is not")
                yield ParquetBlock(start, batch.column(self.id), features)
                start += batch.num_rows

    def _labels(self, path: Path, table: Any) -> NDArray[Any] | None:
        if self.label is None:
            return None
        column = table[self.label]
        if not len(column):
            return np.empty(0, np.int64)
        values = column.to_numpy() if not column.null_count else column.to_pylist()
        return check_labels(values, len(column), f"column {self.label!r} of {path}")


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    return _read(path, lambda: pq.ParquetFile(path, memory_map=False, pre_buffer=False))


def _read(path: Path, read: Any) -> Any:
    """Return the result of `read`; if the file is damaged, raise an error with its path."""
    import pyarrow as pa

    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        raise CorruptFileError(path, error) from error
