"""Read texts, labels and identifiers from JSON Lines, CSV and Parquet files."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spectral_select._features.readers import read_columns

__all__ = ["TEXT_SUFFIXES", "TextColumns", "TextRows", "collect_texts", "read_texts"]

#: File extensions of texts.
TEXT_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".parquet")


@dataclass(frozen=True, kw_only=True)
class TextColumns:
    """The columns of a file of texts.

    Parameters
    ----------
    text : str, default "text"
        Column with the texts.
    label : str, optional
        Column with the labels. By default, "label" if the first row has it; otherwise there are
        no labels.
    id : str, optional
        Column with an identifier for each text. The default identifier consists of the file's
        name and the number of the line or row.

    Examples
    --------
    >>> TextColumns(label="topic").text
    'text'
    """

    text: str = "text"
    label: str | None = None
    id: str | None = None


@dataclass
class TextRows:
    """The rows of a file of texts.

    Attributes
    ----------
    texts : list of str
        The texts, none of them empty.
    labels : list or None
        The labels as stored in the file; None if it has no label column.
    label_column : str or None
        Name of the label column.
    ids : list of str
        Identifiers.
    places : list of str
        Where each row is, for messages.

    Examples
    --------
    >>> TextRows(texts=["a cat"], ids=["pets.jsonl:1"]).labels is None
    True
    """

    texts: list[str] = field(default_factory=list)
    labels: list[Any] | None = None
    label_column: str | None = None
    ids: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def read_texts(path: Path, columns: TextColumns) -> TextRows:
    r"""Read a file of texts.

    Parameters
    ----------
    path : Path
        A ``.jsonl`` (or ``.ndjson``) file with an object per line, a ``.csv`` file with a header
        or a ``.parquet`` file. JSON and CSV files must be in UTF-8.
    columns : TextColumns
        The columns to read.

    Returns
    -------
    TextRows

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged or lacks a column, or a text is missing or empty; the message
        names the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pets.jsonl")
    ...     _ = path.write_text('{"text": "a cat", "label": "cat"}\n')
    ...     rows = read_texts(path, TextColumns())
    >>> rows.texts, rows.labels, rows.ids
    (['a cat'], ['cat'], ['pets.jsonl:1'])
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    suffix = path.suffix.lower()
    reader = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(suffix, _json_rows)
    numbered = "{}[{}]" if suffix == ".parquet" else "{}:{}"
    rows = (
        (numbered.format(path, number), numbered.format(path.name, number), values)
        for number, values in reader(path, columns)
    )
    return collect_texts(rows, columns, str(path))


def collect_texts(
    rows: Iterable[tuple[str, str, Mapping[str, Any]]], columns: TextColumns, source: str
) -> TextRows:
    """Check and collect rows with texts.

    Parameters
    ----------
    rows : iterable of (str, str, mapping)
        The place of each row, its default identifier, and its values.
    columns : TextColumns
        The columns to use.
    source : str
        Where the rows come from, for messages.

    Returns
    -------
    TextRows

    Raises
    ------
    ValueError
        As for `read_texts`.

    Examples
    --------
    >>> collect_texts([("row 1", "1", {"text": "a cat", "label": 4})], TextColumns(), "rows").labels
    [4]
    """
    found = TextRows()
    label = columns.label
    empty: list[str] = []
    for place, name, values in rows:
        if not found.texts and not empty:
            if label is None and "label" in values:
                label = "label"
            found.label_column = label
            found.labels = None if label is None else []
        text = _value(values, columns.text, place)
        if not isinstance(text, str | None):
            raise ValueError(
                f"{place}: {columns.text!r} must be a string; got {type(text).__name__} {text!r}"
            )
        if text is None or not text.strip():
            empty.append(place)
            continue
        if found.labels is not None and label is not None:
            found.labels.append(_value(values, label, place))
        found.texts.append(text)
        found.places.append(place)
        found.ids.append(name if columns.id is None else _identifier(values, columns.id, place))
    if empty:
        more = f" (and {len(empty) - 1} more texts are empty)" if len(empty) > 1 else ""
        raise ValueError(f"{empty[0]}: {columns.text!r} is empty{more}; remove such rows")
    if not found.texts:
        raise ValueError(f"{source} has no rows; expected texts in a column {columns.text!r}")
    _refuse_repeated(found, columns.id)
    return found


def _json_rows(path: Path, columns: TextColumns) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line number of each object in a JSON Lines file, and the object."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                content = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not content.strip():
                    continue
                values = json.loads(content.rstrip())
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}:{number} is not UTF-8: {error.reason}") from error
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{path}:{number} is not JSON: {error.msg} (column {error.colno}); "
                    "expected one object per line"
                ) from error
            except RecursionError as error:
                raise ValueError(f"{path}:{number} is nested too deeply") from error
            if not isinstance(values, dict):
                raise ValueError(
                    f"{path}:{number} must hold an object, such as "
                    f'{{"{columns.text}": "…"}}; got {type(values).__name__}'
                )
            yield number, values


def _csv_rows(path: Path, columns: TextColumns) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the first line of each row in a CSV file, and the row's values."""
    with path.open(encoding="utf-8-sig", newline="") as file, _long_fields():
        reader = csv.reader(file, strict=True)
        start = 1
        try:
            header = next(reader, [])
            repeated = {name for name in header if header.count(name) > 1}
            for name in (columns.text, columns.label, columns.id):
                if name in repeated:
                    raise ValueError(f"{path} has several columns {name!r}")
            start = reader.line_num + 1
            for row in reader:
                if row and len(row) != len(header):
                    raise ValueError(
                        f"{path}:{start} has {len(row)} fields, but the header has {len(header)}"
                    )
                if row:
                    yield start, dict(zip(header, row, strict=True))
                start = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}:{start} is not CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8: {error.reason}") from error


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow fields of any length; by default, the csv module allows 131,072 characters."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _parquet_rows(path: Path, columns: TextColumns) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the index of each row in a Parquet file, and its values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    label = columns.label
    try:
        if label is None and "label" in pq.read_schema(path).names:
            label = "label"
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    wanted = dict.fromkeys(name for name in (columns.text, label, columns.id) if name is not None)
    table = read_columns(path, list(wanted))
    for number, row in enumerate(zip(*table.values(), strict=True)):
        yield number, dict(zip(table, row, strict=True))


def _value(values: Mapping[str, Any], column: str, place: str) -> Any:
    if column not in values:
        raise ValueError(f"{place} has no {column!r}; it has {_some(list(values))}")
    return values[column]


def _identifier(values: Mapping[str, Any], column: str, place: str) -> str:
    value = _value(values, column, place)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError(f"{place}: {column!r} must be an integer or a string; got {value!r}")
    return str(value)


def _refuse_repeated(rows: TextRows, column: str | None) -> None:
    first: dict[str, str] = {}
    for name, place in zip(rows.ids, rows.places, strict=True):
        if first.setdefault(name, place) != place:
            raise ValueError(
                f"{place}: {column!r} is {name!r}, as in {first[name]}; identifiers must differ"
            )


def _some(names: Sequence[str]) -> str:
    return (", ".join(map(repr, names[:10])) or "no columns") + (", …" if len(names) > 10 else "")
