"""Tables are read back from files unchanged, whatever characters the strings contain."""

import csv
import io

import pyarrow.parquet as pq
import pytest

from spectral_select._utils.table_files import TABLE_SUFFIXES, write_table

COLUMNS = {"index": [0, 1, 2], "path": ['a,"b"', "c\nd", "ü"], "score": [0.1, 1e-300, -2.0]}


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_written_tables_are_read_back(suffix):
    file = io.BytesIO()
    write_table(COLUMNS, suffix, file)
    file.seek(0)
    if suffix == ".parquet":
        assert pq.read_table(file).to_pydict() == COLUMNS
        return
    rows = list(csv.DictReader(io.StringIO(file.read().decode("utf-8"), newline="")))
    assert [row["path"] for row in rows] == COLUMNS["path"]
    assert [float(row["score"]) for row in rows] == COLUMNS["score"]


def test_names_that_are_not_text_keep_their_bytes_in_csv():
    file = io.BytesIO()
    write_table({"path": [b"\xff.jpg".decode(errors="surrogateescape")]}, ".csv", file)
    assert file.getvalue() == b"path\n\xff.jpg\n"
