"""Inspection of Ray datasets: the same results as for files, with any blocks."""

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from parquet_helpers import arguments, noisy_digits, scores, write
from ray.data.block import BlockAccessor
from ray_helpers import cluster, dataset, sorted_columns

from spectral_select._cli.main import main
from spectral_select._inspection import duplicate_cells
from spectral_select.integrations.ray import inspect

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

COLUMNS = {"id_column": "id", "embedding_column": "embedding", "label_column": "label"}


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    with cluster():
        yield


@pytest.fixture(scope="module")
def data():
    X, y = noisy_digits(900)
    X[7] = X[800]
    return X, y


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write(folder / "in", data)
    assert main(["inspect", *arguments(folder / "in", folder / "out", "--label", "label")]) == 0
    paths = sorted((folder / "in").rglob("*.parquet"))
    tables = [pq.read_table(path, partitioning=None) for path in paths]
    return tables, sorted_columns(scores(folder / "out"))


def compare(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, atol=1e-5)
        else:
            np.testing.assert_array_equal(found[name], values)


def test_scores_equal_those_of_files(files):
    tables, expected = files
    compare(sorted_columns(inspect(dataset(tables), **COLUMNS)), expected)
    assert expected["wrong_label"].sum() > 40
    assert (expected["duplicate_group"] >= 0).sum() >= 2


def test_scores_depend_neither_on_blocks_nor_on_order(files):
    tables, expected = files
    whole = pa.concat_tables(tables)
    whole = whole.take(pa.array(np.random.default_rng(0).permutation(len(whole))))
    blocks = [whole.slice(start, 130) for start in range(0, len(whole), 130)]
    found = sorted_columns(inspect(dataset(blocks), **COLUMNS))
    compare(found, expected)


def test_rows_in_several_cells_and_partitions(files, monkeypatch):
    """The workers receive cells and partitions from this process."""
    from spectral_select.integrations.ray import partitions

    tables, expected = files
    monkeypatch.setattr(duplicate_cells, "_CELL_ROWS", 256)
    monkeypatch.setattr(partitions, "_PARTITION_ROWS", 200)
    found = sorted_columns(inspect(dataset(tables), **COLUMNS))
    similar = found.pop("largest_similarity"), expected["largest_similarity"]
    assert np.isclose(*similar, atol=1e-3).mean() > 0.95
    np.testing.assert_array_equal(found["exact_duplicate"], expected["exact_duplicate"])


def test_arrays_of_ray_and_no_labels(data):
    X = data[0].astype(np.float32)
    rows = {"id": np.arange(len(X)), "embedding": X}
    blocks = [{"id": rows["id"][k : k + 300], "embedding": X[k : k + 300]} for k in (0, 300, 600)]
    ds = ray.data.from_blocks([BlockAccessor.batch_to_arrow_block(block) for block in blocks])
    found = inspect(ds, id_column="id", embedding_column="embedding")
    columns = sorted_columns(found)
    assert list(columns) == [
        "id",
        "outlier",
        "outlier_score",
        "duplicate_group",
        "exact_duplicate",
        "near_duplicates",
        "largest_similarity",
    ]
    assert columns["duplicate_group"][7] == columns["duplicate_group"][800] >= 0
    np.testing.assert_array_equal(columns["id"], rows["id"])


def changed(tables, name, row, value):
    """Return the tables, with one value of the second one changed."""
    values = tables[1][name].to_pylist()
    values[row] = value
    number = tables[1].column_names.index(name)
    kind = pa.list_(pa.float32()) if name == "embedding" else tables[1][name].type
    if name == "embedding":
        tables = [t.set_column(number, name, t[name].cast(kind)) for t in tables]
    return [tables[0], tables[1].set_column(number, name, pa.array(values, kind)), tables[2]]


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("id", 5, "r3", "must hold distinct ids; 'r3' occurs twice"),
        ("id", 5, None, "column 'id' has 1 rows without an id"),
        ("label", 5, None, "column 'label'"),
        ("embedding", 5, None, "column 'embedding' has no value in row"),
        ("embedding", 5, [np.nan] * 64, "the row with id 'r305' is not"),
        ("embedding", 5, [1.0] * 63, "lists of different lengths"),
    ],
)
def test_error_names_the_bad_row(files, name, row, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        inspect(dataset(changed(files[0], name, row, value)), **COLUMNS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id_column": "name"}, "has no column 'name'; it has 'id', 'embedding', 'label'"),
        ({"n_landmarks": 0}, "n_landmarks must be an integer of at least 1"),
        ({"duplicate_similarity": 2}, "duplicate_similarity"),
    ],
)
def test_rejects_bad_arguments(files, options, message):
    with pytest.raises(ValueError, match=message):
        inspect(dataset(files[0]), **{**COLUMNS, **options})


def test_rejects_one_class(files):
    same = [t.set_column(2, "label", pa.array(np.zeros(len(t), int))) for t in files[0]]
    with pytest.raises(ValueError, match="at least two classes; got 1 class"):
        inspect(dataset(same), **COLUMNS)


def test_rejects_empty_dataset(files):
    with pytest.raises(ValueError, match="no rows"):
        inspect(dataset([files[0][0].slice(0, 0)]), **COLUMNS)


def test_worker_that_is_killed_changes_nothing(files, tmp_path):
    """The first task that reads the tables kills its own process; Ray repeats it."""
    tables, expected = files
    marker = tmp_path / "killed"

    def kill_once(table):
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            return table
        psutil.Process().kill()
        return table

    killed = dataset(tables).map_batches(kill_once, batch_format="pyarrow")
    compare(sorted_columns(inspect(killed, **COLUMNS)), expected)
    assert marker.exists()
