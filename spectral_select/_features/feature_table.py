"""Rows of features, read by index from memory, a device, a file or a table."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sized
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils import check_array

from spectral_select._features.arrow_tables import (
    is_arrow,
    matrix_of_column,
    matrix_of_table,
    to_arrow,
)
from spectral_select._features.readers import read_features
from spectral_select._utils.array_namespace import Array, is_torch, to_numpy
from spectral_select._utils.validation import check_finite, check_not_masked
from spectral_select._utils.widened_rows import map_beneath

__all__ = ["FeatureRows", "as_rows", "check_belongs", "check_count"]

Indices = npt.NDArray[np.int64]

# Number of rows whose content distinguishes feature tables of the same shape.
_SAMPLED_ROWS = 64


class FeatureRows(ABC):
    """A feature table that is read a few rows at a time."""

    n_rows: int
    n_columns: int
    itemsize: int = 4
    #: The torch device of the rows, or None.
    device: Any = None

    @abstractmethod
    def take(self, indices: Indices) -> Array:
        """Return the rows at `indices`, shape (n, n_columns)."""

    def whole(self) -> Array:
        """Return the whole table, shape (n_rows, n_columns); a memory map is returned unread."""
        return self.take(np.arange(self.n_rows))

    def fingerprint(self) -> str:
        """Return a string that depends on the table's shape and the content of some rows.

        It covers 64 rows spread over the table. Changes in other rows go unnoticed.
        """
        rows = np.unique(np.linspace(0, self.n_rows - 1, _SAMPLED_ROWS).astype(np.int64))
        taken = self.take(rows)
        sample = taken.toarray() if sparse.issparse(taken) else _host(taken)
        with np.errstate(over="ignore"):
            content = crc32(np.ascontiguousarray(sample, "<f4").tobytes())
        return f"{self.n_rows}x{self.n_columns}-{content:08x}"


class ArrayRows(FeatureRows):
    """Rows of a NumPy array, a memory map or a SciPy sparse matrix."""

    def __init__(self, array: Any) -> None:
        if sparse.issparse(array):
            array = sparse.csr_array(array)
        if array.ndim != 2:
            raise ValueError(
                f"features must have shape (n_samples, n_features); got shape {array.shape}"
            )
        if array.dtype.kind not in "fiub":
            raise TypeError(f"features must hold real numbers; got dtype {array.dtype}")
        self._array = array
        self.on_disk = map_beneath(array) is not None
        self.n_rows, self.n_columns = array.shape
        self.itemsize = array.dtype.itemsize

    def whole(self) -> Array:
        return self._array

    def take(self, indices: Indices) -> Array:
        if not self.on_disk:
            return self._array[indices]
        # Read in file order, so that neighboring rows share pages and read-ahead.
        order = np.argsort(indices, kind="stable")
        rows = np.empty((len(indices), self.n_columns), self._array.dtype)
        rows[order] = self._array[indices[order]]
        return rows

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        whole = map_beneath(self._array)
        if whole is None:
            return state
        # If the array is an entire memory map, pickle the name of the file instead of the data.
        # A copy-on-write map is an exception, because it may hold changes that the file lacks.
        if whole.filename and whole.mode != "c" and _same_memory(self._array, whole):
            order = "F" if whole.flags.f_contiguous and not whole.flags.c_contiguous else "C"
            state["_array"] = None
            state["_file"] = (whole.filename, whole.dtype, whole.offset, whole.shape, order)
        else:
            state["on_disk"] = False
            state["_array"] = np.array(self._array)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        file = state.pop("_file", None)
        self.__dict__.update(state)
        if file is not None:
            name, dtype, offset, shape, order = file
            self._array = np.memmap(name, dtype, "r", offset, shape, order)


class TensorRows(FeatureRows):
    """Rows of a torch tensor; they stay on its device."""

    def __init__(self, tensor: Any) -> None:
        if tensor.ndim != 2:
            raise ValueError(
                f"features must have shape (n_samples, n_features); got shape {tuple(tensor.shape)}"
            )
        if tensor.is_complex() or str(tensor.dtype) == "torch.bool":
            raise TypeError(f"features must hold real numbers; got dtype {tensor.dtype}")
        self._tensor = tensor.detach()
        self.n_rows, self.n_columns = (int(size) for size in tensor.shape)
        self.itemsize = tensor.element_size()
        self.device = tensor.device

    def whole(self) -> Array:
        return self._tensor

    def take(self, indices: Indices) -> Array:
        torch = sys.modules["torch"]
        return self._tensor[torch.from_numpy(indices).to(self.device)]


class ColumnRows(FeatureRows):
    """Rows of a column in a Hugging Face dataset, read when needed."""

    def __init__(self, column: Any) -> None:
        source, name = _source_of_column(column)
        self._name = name
        self._source = source.with_format("numpy", columns=[name])
        self.n_rows = len(source)
        if self.n_rows == 0:
            raise ValueError("features must have at least one row; the column is empty")
        self.n_columns = self.take(np.zeros(1, np.int64)).shape[1]

    def take(self, indices: Indices) -> Array:
        rows = np.asarray(self._source[indices.tolist()][self._name])
        if rows.ndim != 2 or rows.dtype.kind not in "fiub":
            raise ValueError(
                f"the column {self._name!r} must hold equally long lists of numbers; "
                f"got rows of shape {rows.shape[1:]} and dtype {rows.dtype}"
            )
        return rows


def as_rows(features: Any) -> FeatureRows:
    """Return features of any supported kind as a `FeatureRows`.

    Parameters
    ----------
    features : array, tensor, store, column, table or path
        A NumPy array or memory map, a SciPy sparse matrix, a dataframe, a torch tensor on any
        device, an embedding store, a column of a Hugging Face dataset, an Arrow array or table,
        or the path of a ``.npy``, ``.npz`` or Parquet file or of a store folder.

    Returns
    -------
    FeatureRows

    Raises
    ------
    TypeError, ValueError
        If `features` is of an unsupported kind, is empty, or is not a real matrix;
        for features in memory, also if they hold NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select._features.feature_table import as_rows
    >>> as_rows(np.eye(3)).take(np.array([2, 0]))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    rows = _as_rows(features)
    if 0 in (rows.n_rows, rows.n_columns):
        raise ValueError(
            "features must have at least one row and one column; "
            f"got shape {(rows.n_rows, rows.n_columns)}"
        )
    if isinstance(rows, ArrayRows) and not rows.on_disk:
        check_finite(rows._array, "features")
    elif isinstance(rows, TensorRows):
        check_finite(rows._tensor, "features")
    return rows


def check_count(rows: FeatureRows, dataset: Any) -> None:
    """Raise if the dataset's length is known and differs from the number of rows."""
    if isinstance(dataset, Sized) and len(dataset) != rows.n_rows:
        raise ValueError(
            f"features must have one row for each sample in the dataset; got {rows.n_rows} rows "
            f"for {len(dataset)} samples"
        )


def check_belongs(features: Any, rows: FeatureRows, dataset: Any) -> None:
    """Raise if features and dataset do not belong together.

    The counts must agree. For an embedding store, the fingerprints must also match; if one is
    missing, the paths and labels must match instead, as far as they are known.
    """
    check_count(rows, dataset)
    if isinstance(features, str | os.PathLike) and Path(features).is_dir():
        from spectral_select._features.store import EmbeddingStore

        features = EmbeddingStore.open(features)
    if callable(check := getattr(features, "check_matches", None)):
        check(dataset)


def _as_rows(features: Any) -> FeatureRows:
    if isinstance(features, FeatureRows):
        return features
    check_not_masked(features, "features")
    if hasattr(features, "meta") and hasattr(features, "features"):  # an embedding store
        return _as_rows(features.features)
    if is_torch(features):
        return TensorRows(features)
    if isinstance(features, np.ndarray) or sparse.issparse(features):
        return ArrayRows(features)
    if isinstance(features, str | os.PathLike):
        return ArrayRows(read_features(features))
    library = type(features).__module__.partition(".")[0]
    if library == "datasets":
        return ColumnRows(features)
    if library == "pandas":
        return ArrayRows(_from_pandas(features))
    if is_arrow(features):  # pyarrow, polars and others
        return ArrayRows(_from_arrow(features))
    if hasattr(features, "to_numpy"):  # polars without pyarrow
        return ArrayRows(np.asarray(features.to_numpy()))
    if isinstance(features, list | tuple) or hasattr(features, "__array__"):
        return ArrayRows(np.asarray(features))
    raise TypeError(
        "features must be an array, a tensor, an embedding store, a dataset column or the path "
        f"of a .npy, .npz or Parquet file; got {type(features).__name__}"
    )


def _same_memory(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Return whether two arrays are the same view of the same memory."""
    x, y = a.__array_interface__, b.__array_interface__
    return all(x[key] == y[key] for key in ("data", "shape", "strides", "typestr"))


def _source_of_column(column: Any) -> tuple[Any, str]:
    if hasattr(column, "column_name") and hasattr(column.source, "with_format"):
        return column.source, column.column_name
    names = getattr(column, "column_names", None)
    if isinstance(names, list) and len(names) == 1:
        return column, names[0]
    raise TypeError(
        "features from a Hugging Face dataset must be one of its columns, as in "
        f"dataset['embedding']; got {type(column).__name__}"
        + (f" with columns {names}" if names else "")
    )


def _from_arrow(data: Any) -> npt.NDArray[Any]:
    data = to_arrow(data)
    if hasattr(data, "column_names"):
        return matrix_of_table(data, None, "the table of features")
    return matrix_of_column(data, "the column of features")


def _from_pandas(data: Any) -> npt.NDArray[Any]:
    """Return a pandas table, or a pandas column of lists, as an array."""
    if data.ndim == 1:
        return np.stack([np.asarray(row) for row in data])
    array: npt.NDArray[Any] = check_array(data, dtype="numeric", ensure_all_finite=False)
    return array


def _host(rows: Array) -> npt.NDArray[Any]:
    if is_torch(rows):
        rows = rows.float()
    array: npt.NDArray[Any] = to_numpy(rows)
    return array
