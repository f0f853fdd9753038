"""Features in Arrow tables: numeric columns, or one column of equally long lists."""

from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["feature_columns", "is_arrow", "matrix_of_column", "matrix_of_table", "to_arrow"]


def is_arrow(data: Any) -> bool:
    """Return whether pyarrow is installed and can convert `data`."""
    methods = ("__arrow_c_stream__", "__arrow_c_array__", "to_arrow")
    return find_spec("pyarrow") is not None and any(hasattr(data, name) for name in methods)


def to_arrow(data: Any) -> Any:
    """Return `data` as a pyarrow table, or as a chunked array if it is a single column."""
    import pyarrow as pa

    if hasattr(data, "to_arrow"):  # polars, even without the Arrow interface
        data = data.to_arrow()
    if isinstance(data, pa.Table | pa.ChunkedArray):
        return data
    if isinstance(data, pa.Array):
        return pa.chunked_array([data])
    if hasattr(data, "columns") or hasattr(data, "schema"):
        return pa.table(data)
    return pa.chunked_array(data)


def feature_columns(
    schema: Any, columns: Sequence[str] | None, what: str, exclude: Collection[str] = ()
) -> list[str]:
    """Return the columns that hold the features.

    Parameters
    ----------
    schema : pyarrow.Schema
        The table's schema. The index of a pandas table is not a feature.
    columns : sequence of str, optional
        The requested columns. By default, the only column of lists or, if there is none, all
        columns.
    what : str
        Name of the table for messages.
    exclude : collection of str
        Columns that are not features unless they are listed in `columns`.

    Returns
    -------
    list of str
        Numeric columns, or a single column of lists.

    Raises
    ------
    ValueError
        If a column is missing or holds unsupported values, or if the choice is ambiguous.
    """
    fields = {field.name: field.type for field in schema}
    if unknown := [name for name in columns or () if name not in fields]:
        raise ValueError(f"{what} has no column {unknown[0]!r}; it has {_some(fields)}")
    index = _index_columns(schema)
    chosen = list(columns or (name for name in fields if name not in index | set(exclude)))
    lists = [name for name in chosen if _is_list(fields[name])]
    numbers = [name for name in chosen if _is_number(fields[name])]
    if columns is None and len(lists) > 1:
        raise ValueError(f"{what} has several columns of lists; name one: {_some(lists)}")
    if columns is None and lists:
        chosen = lists
    if chosen != lists[:1] and chosen != numbers:
        odd = next(name for name in chosen if name not in numbers)
        raise ValueError(
            f"column {odd!r} of {what} holds {fields[odd]}; name the columns to use: "
            "numeric columns, or one column of lists of numbers"
        )
    if not chosen:
        raise ValueError(f"{what} has no feature columns")
    return chosen


def matrix_of_table(table: Any, columns: Sequence[str] | None, what: str) -> NDArray[Any]:
    """Return the features in a table as an array of shape (n, d).

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    columns : sequence of str, optional
        As in `feature_columns`.
    what : str
        Name of the table for messages.

    Raises
    ------
    ValueError
        As in `feature_columns`, and if a value is missing or lists differ in length.
    """
    chosen = feature_columns(table.schema, columns, what)
    named = {name: f"column {name!r} of {what}" for name in chosen}
    if _is_list(table.schema.field(chosen[0]).type):
        return matrix_of_column(table[chosen[0]], named[chosen[0]])
    arrays = []
    for name in chosen:
        if table[name].null_count:
            raise ValueError(f"{named[name]} has no value in row {_first_null(table[name])}")
        arrays.append(table[name].to_numpy())
    return np.column_stack(arrays)


def matrix_of_column(column: Any, what: str, start: int = 0) -> NDArray[Any]:
    """Convert a chunked array of equally long lists to a matrix, chunk by chunk.

    The chunks are not combined in Arrow, because together they may hold more than 2³¹ numbers.
    In messages, rows are numbered from `start`, the first row's position in the file.
    """
    if not _is_list(column.type):
        raise ValueError(f"{what} must hold lists of numbers; got type {column.type}")
    if column.null_count:
        raise ValueError(f"{what} has no value in row {start + _first_null(column)}")
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    parts: list[NDArray[Any]] = []
    row, width = start, 0
    for chunk in chunks:
        lengths = _lengths(chunk)
        width = width if parts else int(lengths[0])
        if (lengths != width).any():
            odd = int(np.flatnonzero(lengths != width)[0])
            raise ValueError(
                f"{what} has lists of different lengths: {width} in row {start}, "
                f"{lengths[odd]} in row {row + odd}"
            )
        values = chunk.flatten()
        if values.null_count:
            raise ValueError(f"{what} lacks a value in row {row + _first_null(values) // width}")
        parts.append(values.to_numpy(zero_copy_only=False).reshape(len(chunk), width))
        row += len(chunk)
    if not parts:
        return np.empty((0, 0), np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _index_columns(schema: Any) -> set[str]:
    """Return the columns in which pandas stored the table's index."""
    stored = (schema.pandas_metadata or {}).get("index_columns", [])
    # In CSV files, the column of the index has an empty name.
    return {name for name in stored if isinstance(name, str)} | {""}


def _lengths(chunk: Any) -> NDArray[Any]:
    import pyarrow.compute as pc

    return np.asarray(pc.list_value_length(chunk).to_numpy(zero_copy_only=False))


def _first_null(array: Any) -> int:
    import pyarrow.compute as pc

    return int(pc.index(array.is_null(), True).as_py())


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    nested = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return nested and _is_number(kind.value_type)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind))


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
