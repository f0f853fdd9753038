"""Write tables as CSV or Parquet files."""

import csv
import io
from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any

__all__ = ["TABLE_SUFFIXES", "write_table"]

TABLE_SUFFIXES = (".csv", ".parquet")


def write_table(columns: Mapping[str, list[Any]], suffix: str, file: IO[bytes]) -> None:
    """Write columns to an open file as a table.

    Parameters
    ----------
    columns : mapping of str to list
        Columns of equal length, by name.
    suffix : str
        One of `TABLE_SUFFIXES`; ``.parquet`` needs pyarrow.
    file : binary file
        Open for writing.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write_table({"a": [1, 2], "b": ["x", "y"]}, ".csv", file)
    >>> file.getvalue().split()
    [b'a,b', b'1,x', b'2,y']
    """
    if suffix == ".parquet":
        table = import_module("pyarrow").table(columns)
        import_module("pyarrow.parquet").write_table(table, file)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    rows.writerows(zip(*columns.values(), strict=True))
    file.write(text.getvalue().encode("utf-8", "surrogateescape"))
