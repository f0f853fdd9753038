"""Read features from .npy, .npz, Parquet and CSV files and stores, without unpickling."""

import os
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.arrow_tables import feature_columns, matrix_of_table
from spectral_select._utils.labels import check_labels
from spectral_select._utils.npy_files import load_npy, reason

__all__ = ["read_columns", "read_features", "read_labels"]

_EXPECTED = "a .npy, .npz, .parquet or .csv file, or the folder of an embedding store"
_TABLES = (".parquet", ".pq", ".csv")
_USUAL_KEYS = ("X", "features", "embeddings")


def read_features(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    columns: Sequence[str] | None = None,
    exclude: Collection[str] = (),
) -> NDArray[Any]:
    """Read a feature matrix, one row per sample.

    Parameters
    ----------
    path : path
        A ``.npy`` file (memory-mapped), an ``.npz`` file, a Parquet file
        (``.parquet``, ``.pq``), a CSV file with a header, or the folder of an `EmbeddingStore`.
    key : str, optional
        Name of the array in an ``.npz`` file. By default, the two-dimensional array called
        X, features or embeddings, otherwise the only two-dimensional array.
    columns : sequence of str, optional
        Columns in a Parquet or CSV file: either numeric columns, one per feature, or a single
        column of equally long lists. By default, the only column of lists, or all columns if all
        are numeric.
    exclude : collection of str
        Columns that are not features by default, such as the labels.

    Returns
    -------
    array of real numbers, shape (n, d)

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged, has an unsupported format or does not hold a feature matrix.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(folder + "/f.npy", np.eye(3))
    ...     read_features(folder + "/f.npy").shape
    (3, 3)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; expected {_EXPECTED}")
    kind = "store" if path.is_dir() else path.suffix.lower()
    for name, value, its_kinds in (
        ("key", key, (".npz",)),
        ("columns", columns, _TABLES),
    ):
        if value is not None and kind not in its_kinds:
            files = " and ".join(dict.fromkeys(k for k in its_kinds if k != ".pq"))
            raise ValueError(f"{name} is for {files} files; got {name}={value!r} and {path}")
    if kind == "store":
        from spectral_select._features.store import EmbeddingStore

        return EmbeddingStore.open(path).features
    if kind == ".npy":
        features = load_npy(path)
    elif kind == ".npz":
        features = _read_array(path, key)
    elif kind in _TABLES:
        features = _read_table(path, columns, exclude)
    else:
        raise ValueError(f"{path} has an unsupported format; expected {_EXPECTED}")
    return _check_matrix(features, str(path))


def read_labels(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> NDArray[Any]:
    """Read the labels for the rows that `read_features` reads.

    Parameters
    ----------
    path : path
        The features: an ``.npz``, Parquet or CSV file, or the folder of an `EmbeddingStore`.
    labels : str or path, optional
        Name of the array in an ``.npz`` file or of the column in a Parquet or CSV file, or the
        path of a ``.npy`` file with the labels. By default, the labels in the store.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such labels.
    """
    path = Path(path)
    if path.is_dir():
        from spectral_select._features.store import EmbeddingStore

        stored = EmbeddingStore.open(path).labels
        if labels is None and stored is not None:
            return stored
    kind = path.suffix.lower()
    if labels is None:
        raise ValueError(
            f"{path} has no default labels; name an array, a column or a .npy file (--labels)"
        )
    if Path(labels).suffix.lower() == ".npy":
        if not Path(labels).exists():
            raise FileNotFoundError(f"there is no file {labels}; expected a .npy file of labels")
        found = load_npy(Path(labels))
    elif kind == ".npz":
        found = _read_array(path, str(labels))
    elif kind in _TABLES:
        _check_column(path, str(labels))
        column = _table(path, [str(labels)])[str(labels)]
        found = check_labels(column, len(column), f"column {labels!r} of {path}")
    else:
        raise ValueError(f"labels for {path} must be in a .npy file; got {str(labels)!r}")
    if found.ndim != 1:
        raise ValueError(f"labels must have shape (n_samples,); {labels} has shape {found.shape}")
    return found


def read_columns(path: str | os.PathLike[str], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Read columns of a Parquet or CSV file, such as strings or identifiers.

    Parameters
    ----------
    path : path
        The file.
    columns : sequence of str
        Names of the columns.

    Returns
    -------
    dict of str to list
        The values of each column.

    Raises
    ------
    ValueError
        If the file is not a Parquet or CSV file, or lacks a column.
    """
    path = Path(path)
    if path.suffix.lower() not in _TABLES:
        raise ValueError(f"columns can be read only from .parquet and .csv files; got {path}")
    for column in columns:
        _check_column(path, column)
    table = _table(path, list(columns))
    return {column: table[column].to_pylist() for column in columns}


def _read_array(path: Path, key: str | None) -> NDArray[Any]:
    """Return an array in an .npz file, by default the feature matrix."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a NumPy .npz file, or it is truncated")
    try:
        shapes = _shapes(path)
        key = _only_matrix(path, shapes) if key is None else key
        if key not in shapes:
            raise _NoArrayError(f"{path} has no array {key!r}; it has {_described(shapes)}")
        with np.load(path, allow_pickle=False) as arrays:
            array: NDArray[Any] = arrays[key]
            return array
    except _NoArrayError:
        raise
    # Damaged members make zlib, zipfile and NumPy's header parser raise all kinds of errors.
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {reason(error)}") from error


class _NoArrayError(ValueError):
    """The file is intact, but the requested array is missing or ambiguous."""


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays in an .npz file, reading only their headers."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as file:
                    old = np.lib.format.read_magic(file) == (1, 0)
                    read = np.lib.format.read_array_header_1_0
                    read = read if old else np.lib.format.read_array_header_2_0
                    shapes[member.removesuffix(".npy")] = read(file)[0]
    return shapes


def _only_matrix(path: Path, shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the key of the only array that can hold the features."""
    matrices = [key for key, shape in shapes.items() if len(shape) == 2]
    for key in _USUAL_KEYS:
        if key in matrices:
            return key
    if len(matrices) == 1:
        return matrices[0]
    raise _NoArrayError(
        f"{path} has {len(matrices)} two-dimensional arrays; "
        f"expected one, or the key of an array; it has {_described(shapes)}"
    )


def _described(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{key!r} of shape {shape}" for key, shape in shapes.items()) or "none"


def _read_table(
    path: Path, columns: Sequence[str] | None, exclude: Collection[str]
) -> NDArray[Any]:
    """Return the features in a Parquet or CSV file, reading only their columns from Parquet."""
    chosen = feature_columns(_schema(path), columns, str(path), exclude)
    return matrix_of_table(_table(path, chosen), chosen, str(path))


def _check_column(path: Path, column: str) -> None:
    names = _schema(path).names
    if column not in names:
        raise ValueError(f"{path} has no column {column!r}; it has {', '.join(names)}")


def _schema(path: Path) -> Any:
    import pyarrow.parquet as pq

    if path.suffix.lower() == ".csv":
        return _table(path).schema
    with _named_errors(path):
        return pq.read_schema(path)


def _table(path: Path, columns: list[str] | None = None) -> Any:
    """Return some columns of a Parquet or CSV file, or all columns."""
    from pyarrow import csv
    from pyarrow import parquet as pq

    with _named_errors(path):
        if path.suffix.lower() == ".csv":
            return csv.read_csv(
                path,
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(include_columns=columns),
            )
        return pq.read_table(path, columns=columns)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Name the file in errors that pyarrow raises."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read: {reason(error)}") from error


def _check_matrix(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{what} holds an array of shape {array.shape} and type {array.dtype}; "
            "expected real numbers of shape (n_samples, n_features)"
        )
    if 0 in array.shape:
        raise ValueError(f"{what} is empty: it holds an array of shape {array.shape}")
    return array
