import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spectral_select import FiedlerBatchSelector, SpectralBatchSampler
from spectral_select._features.arrow_tables import matrix_of_column, matrix_of_table
from spectral_select._features.feature_table import as_rows
from spectral_select._features.readers import read_columns, read_features, read_labels

X = np.random.default_rng(0).random((40, 3)).round(3)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
INDICES = {
    "default": FRAME,
    "named range": FRAME.set_axis(pd.RangeIndex(40, name="row")),
    "named": FRAME.set_axis(pd.Index(range(100, 140), name="id")),
    "unnamed": FRAME.set_axis(pd.Index(range(100, 140))),
    "strings": FRAME.set_axis(pd.Index([f"{i}.png" for i in range(40)], name="path")),
    "two levels": FRAME.set_axis(
        pd.MultiIndex.from_product([range(8), range(5)], names=["x", "y"])
    ),
}


@pytest.mark.parametrize("index", INDICES)
def test_index_of_pandas_is_not_a_feature(tmp_path, index):
    INDICES[index].to_parquet(tmp_path / "x.parquet")
    assert np.array_equal(read_features(tmp_path / "x.parquet"), X)
    table = pa.Table.from_pandas(INDICES[index])
    assert np.array_equal(as_rows(table).whole(), X)


def test_column_named_like_an_index_is_a_feature(tmp_path):
    table = pa.table({"__index_level_0__": X[:, 0], "id": X[:, 1]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert np.array_equal(read_features(tmp_path / "x.parquet"), X[:, :2])


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 3)]
)
@pytest.mark.parametrize("sizes", [[40], [1, 0, 39], [13, 13, 14]])
def test_chunks_of_lists_are_concatenated(kind, sizes):
    stops = np.cumsum(sizes)
    column = pa.chunked_array(
        [
            pa.array(X[stop - size : stop].tolist(), kind)
            for size, stop in zip(sizes, stops, strict=True)
        ]
    )
    assert np.array_equal(matrix_of_column(column, "x"), X)
    assert np.array_equal(matrix_of_column(column.slice(5, 30), "x"), X[5:35])


def test_chunks_are_never_combined(monkeypatch):
    column = pa.chunked_array([X[:10].tolist(), X[10:].tolist()])
    combined = []
    monkeypatch.setattr(pa, "concat_arrays", lambda *args: combined.append(args))
    assert np.array_equal(matrix_of_column(column, "x"), X)
    assert not combined


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([[1.0], [2.0], None], "x has no value in row 2"),
        ([[1.0, 2.0], [3.0, None]], "x lacks a value in row 1"),
        ([[1.0, 2.0], [3.0]], "different lengths: 2 in row 0, 1 in row 1"),
        ([1.0, 2.0], "must hold lists of numbers; got type double"),
        ([["a"], ["b"]], "must hold lists of numbers"),
    ],
)
def test_rejects_columns_without_a_matrix(column, message):
    with pytest.raises(ValueError, match=message):
        matrix_of_column(pa.chunked_array([column]), "x")


def test_error_counts_rows_over_all_chunks():
    column = pa.chunked_array([[[1.0], [2.0]], [[3.0], None]])
    with pytest.raises(ValueError, match="no value in row 3"):
        matrix_of_column(column, "x")


def test_missing_number_is_named():
    with pytest.raises(ValueError, match="column 'b' of x has no value in row 1"):
        matrix_of_table(pa.table({"a": [1.0, 2.0], "b": [1.0, None]}), None, "x")


class Capsule:
    """An object from an unknown library, with Arrow's C interface."""

    def __init__(self, data):
        self._data, self.schema = data, data.schema

    def __arrow_c_stream__(self, requested_schema=None):
        return self._data.__arrow_c_stream__(requested_schema)


BOOLEANS = FRAME.assign(d=X[:, 0] > 0.5)
CONTAINERS = {
    "pandas": FRAME,
    "nullable": FRAME.astype("Float64"),
    "arrow-backed": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "booleans": BOOLEANS,
    "pandas lists": pd.Series(list(X)),
    "polars": pl.DataFrame(X),
    "polars booleans": pl.DataFrame(BOOLEANS.to_dict("list")),
    "polars lists": pl.Series(X.tolist()),
    "polars arrays": pl.Series(X),
    "table": pa.Table.from_pandas(FRAME),
    "record batch": pa.RecordBatch.from_pandas(FRAME),
    "array of lists": pa.array(X.tolist()),
    "capsule": Capsule(pa.Table.from_pandas(FRAME)),
    "nested list": X.tolist(),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_sampler_accepts_every_container(container):
    features = CONTAINERS[container]
    expected = np.column_stack([X, X[:, 0] > 0.5]) if "booleans" in container else X
    assert np.array_equal(np.asarray(as_rows(features).whole(), float), expected)
    sampler = SpectralBatchSampler(None, 4, features=features, seed=0)
    same = SpectralBatchSampler(None, 4, features=expected, seed=0)
    assert list(sampler) == list(same)


@pytest.mark.parametrize("container", ["pandas", "nullable", "arrow-backed", "booleans"])
def test_selector_and_sampler_accept_the_same_frames(container):
    frame = CONTAINERS[container]
    selector = FiedlerBatchSelector(candidate_size=20).fit(frame)
    sampler = SpectralBatchSampler(range(40), 4, features=frame, candidate_size=20)
    chosen = sorted(index for batch in sampler for index in batch)
    assert chosen == selector.get_support(indices=True).tolist()


def test_rejects_missing_values_in_frames():
    frame = FRAME.astype("Float64")
    frame.iloc[3, 1] = pd.NA
    with pytest.raises(ValueError, match="features must be finite; row 3"):
        as_rows(frame)


class TestCsv:
    def test_columns_and_labels(self, tmp_path):
        path = tmp_path / "a.csv"
        path.write_text(",x,y,kind\n0,1.5,2,1\n1,3,4,0\n")
        assert read_features(path, exclude=["kind"]).tolist() == [[1.5, 2.0], [3.0, 4.0]]
        assert read_features(path, columns=["y"]).tolist() == [[2], [4]]
        assert read_labels(path, "kind").tolist() == [1, 0]
        assert read_columns(path, ["kind"]) == {"kind": [1, 0]}

    def test_damaged_files(self, tmp_path):
        path = tmp_path / "a.csv"
        path.write_text("x,y\n1,2\n3\n")
        with pytest.raises(ValueError, match=r"a.csv cannot be read: .*Expected 2 columns, got 1"):
            read_features(path)
        path.write_text("x,y\n1,2\n3,\n")
        with pytest.raises(ValueError, match=r"column 'y' of .*a.csv has no value in row 1"):
            read_features(path)
        path.write_text("x,y\n1,a\n")
        with pytest.raises(ValueError, match=r"column 'y' of .*a.csv holds string; name the col"):
            read_features(path)


def test_labels_are_not_features(tmp_path):
    table = pa.table({"x": [1.5, 2.5], "kind": [0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_features(tmp_path / "a.parquet").shape == (2, 2)
    assert read_features(tmp_path / "a.parquet", exclude=["kind"]).shape == (2, 1)
    assert read_features(tmp_path / "a.parquet", columns=["x", "kind"], exclude=["kind"]).shape == (
        2,
        2,
    )
