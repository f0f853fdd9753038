"""Blocks of a Ray dataset as rows of ids, embeddings and labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.arrow_tables import matrix_of_column
from spectral_select._inspection.row_sample import RowBlock
from spectral_select._parquet.file_index import keys_of_ids
from spectral_select._utils.labels import check_labels

__all__ = ["Columns"]

_BLOCK_ENTRIES = 2**21


@dataclass(frozen=True)
class Columns:
    """Names of a dataset's columns, and its classes."""

    id: str
    embedding: str
    label: str | None = None
    classes: NDArray[Any] | None = None

    @property
    def names(self) -> list[str]:
        """The columns to read."""
        return [self.id, self.embedding, *([self.label] if self.label else [])]

    def keys(self, table: Any) -> NDArray[np.int64]:
        """Return an integer key for the id of each row.

        Raises
        ------
        ValueError
            If an id is missing.
        """
        ids = table[self.id]
        if ids.null_count:
            raise ValueError(f"column {self.id!r} has {ids.null_count} rows without an id")
        return keys_of_ids(ids)

    def features(self, table: Any) -> NDArray[Any]:
        """Return the embeddings of a table, shape (k, d).

        Raises
        ------
        ValueError
            If a number is missing or not finite, or if embeddings differ in length.
        """
        import pyarrow as pa

        column, what = table[self.embedding], f"column {self.embedding!r}"
        if isinstance(column.type, pa.ExtensionType):  # Ray's type for arrays
            column = pa.chunked_array([chunk.storage for chunk in column.chunks])
        X = matrix_of_column(column, what)
        bad = np.flatnonzero(~np.isfinite(X).all(1))
        if len(bad):
            name = table[self.id][int(bad[0])].as_py()
            raise ValueError(f"{what} must be finite; the row with id {name!r} is not")
        return X

    def labels(self, table: Any) -> NDArray[Any]:
        """Return the labels of a table.

        Raises
        ------
        ValueError, TypeError
            If a label is missing, or if the labels are neither integers nor strings.
        """
        column = table[str(self.label)]
        values = column.to_pylist() if column.null_count else column.to_numpy()
        return check_labels(values, table.num_rows, f"column {self.label!r}")

    def blocks(self, table: Any) -> Iterator[tuple[Any, RowBlock]]:
        """Yield the rows of a table in parts of bounded size, each with its ids."""
        width = self.features(table.slice(0, 1)).shape[1]
        step = max(1, _BLOCK_ENTRIES // max(width, 1))
        for start in range(0, table.num_rows, step):
            part = table.slice(start, step)
            codes = None
            if self.classes is not None:
                codes = np.searchsorted(self.classes, self.labels(part)).astype(np.int64)
            yield part[self.id], RowBlock(self.keys(part), self.features(part), codes)
