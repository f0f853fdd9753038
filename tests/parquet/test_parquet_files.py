"""Scores of many Parquet files: equal to those in memory; bad columns are named."""

import re

import numpy as np
import pytest
from parquet_helpers import arguments, inspect, noisy_digits, scores, write

from spectral_select import FiedlerBatchSelector, inspect_dataset
from spectral_select._cli.main import main
from spectral_select._dataset_graph import near_pairs
from spectral_select._inspection.row_sample import hash_keys
from spectral_select._parquet import parquet_files
from spectral_select._parquet.file_index import keys_of_ids

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def data():
    X, y = noisy_digits(1200)
    X[7] = X[900]
    return X, y


@pytest.fixture
def one_cell(monkeypatch):
    """Compare all rows with each other, in any order."""
    monkeypatch.setattr(near_pairs, "_LEAF_ROWS", 2000)


def groups(numbers):
    """Return the groups as sets of rows."""
    return {frozenset(np.flatnonzero(numbers == k)) for k in set(numbers[numbers >= 0].tolist())}


def in_memory(X, y):
    """Return the scores in memory with the same landmarks, in the same order."""
    n = len(X)
    keys = keys_of_ids(pa.chunked_array([[f"r{i}" for i in range(n)]]))
    place = np.empty(n, int)  # position of each row in the inspected table
    order = np.random.default_rng(0).permutation(n)
    place[np.argsort(hash_keys(keys, 0))] = np.r_[np.sort(order[:1024]), order[1024:]]
    rows = np.argsort(place)
    found = inspect_dataset(X[rows], y[rows], random_state=0)
    return {name: values[place] for name, values in found.columns().items()}


def check_scores(found, expected):
    for name in ("label_trust", "outlier_score", "largest_similarity"):
        # Rounding in single precision is divided by the temperature of the filter.
        np.testing.assert_allclose(found[name].to_numpy(), expected[name], atol=1e-3)


@pytest.mark.parametrize("kind", ["fixed", "list", "large"])
def test_scores_equal_those_in_memory(data, one_cell, tmp_path, kind):
    assert inspect(write(tmp_path / "in", data, kind), tmp_path / "out") == 0
    found, expected = scores(tmp_path / "out"), in_memory(*data)
    assert found["id"].to_pylist() == [f"r{i}" for i in range(len(data[0]))]
    for name in ("wrong_label", "suggested_label", "outlier", "exact_duplicate"):
        np.testing.assert_array_equal(found[name].to_numpy(), expected[name])
    # Groups are numbered in the order of the keys.
    assert groups(found["duplicate_group"].to_numpy()) == groups(expected["duplicate_group"])
    check_scores(found, expected)
    assert found["wrong_label"].to_numpy().sum() > 50


def test_planted_copies_are_found_across_cells(tmp_path, monkeypatch):
    from spectral_select._inspection import duplicate_cells as clusters

    monkeypatch.setattr(clusters, "_CELL_ROWS", 256)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 32)).astype(np.float32)
    X[1500:1600] = X[:100]
    X[1600:1700] = X[100:200] + 0.01 * rng.normal(size=(100, 32)).astype(np.float32)
    write(tmp_path / "in", (X, np.arange(2000) % 2))
    assert main(["inspect", *arguments(tmp_path / "in", tmp_path / "out")]) == 0
    group = scores(tmp_path / "out")["duplicate_group"].to_numpy()
    exact = scores(tmp_path / "out")["exact_duplicate"].to_numpy()
    np.testing.assert_array_equal(group[1500:1700], group[:200])
    assert (group[:200] >= 0).all()
    np.testing.assert_array_equal(np.flatnonzero(exact), np.r_[:100, 1500:1600])


def test_doubles_far_from_zero_are_standardized(data, one_cell, tmp_path):
    X, y = data[0] + np.float64(3e5), data[1]
    assert inspect(write(tmp_path / "in", (X, y)), tmp_path / "out") == 0
    found, expected = scores(tmp_path / "out"), in_memory(X, y)
    check_scores(found, expected)


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [
        (390, None, "a/1.parquet has no value in row 390"),
        (
            390,
            [1.0] * 63,
            "a/1.parquet has lists of different lengths: 64 in row .*, 63 in row 390",
        ),
        (390, [1.0] * 63 + [None], "a/1.parquet lacks a value in row 390"),
        (390, [1.0] * 63 + [np.nan], "a/1.parquet must be finite; row 390 is not"),
        (0, [], "a/1.parquet holds an empty list in row 0"),
    ],
)
def test_error_names_the_bad_embedding(data, tmp_path, monkeypatch, run, row, value, message):
    monkeypatch.setattr(parquet_files, "_BLOCK_ENTRIES", 64 * 128)  # several blocks a file
    folder = write(tmp_path / "in", data)
    path = folder / "a/1.parquet"
    table = pq.read_table(path, partitioning=None)
    embeddings = table["embedding"].to_pylist()
    embeddings[row] = value
    column = pa.array(embeddings, pa.list_(pa.float32()))
    pq.write_table(table.set_column(1, "embedding", column), path)
    status, _, err = run("inspect", *arguments(folder, tmp_path / "out"))
    assert status == 2
    assert re.search(message, err.splitlines()[-1])
    assert not list((tmp_path / "out").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("ids", "message"),
    [(["r0"] + [f"x{i}" for i in range(399)], "distinct ids; 'r0'"), ([None] * 400, "has no 'id'")],
)
def test_rejects_bad_ids(data, tmp_path, capsys, ids, message):
    folder = write(tmp_path / "in", data)
    table = pq.read_table(folder / "b/0.parquet", partitioning=None)
    ids = pa.array(ids, pa.string())
    pq.write_table(table.set_column(0, "id", ids), folder / "b/0.parquet")
    assert inspect(folder, tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_selection_equals_that_of_each_file(data, tmp_path):
    folder = write(tmp_path / "in", data)
    more = arguments(folder, tmp_path / "out", "--candidate-size", "64", "--filter-ratio", "0.5")
    assert main(["select", *more]) == 0
    expected = []
    for rows in np.array_split(np.arange(len(data[0])), 3):
        selector = FiedlerBatchSelector(0.5, candidate_size=64).fit(data[0][rows])
        expected += [f"r{rows[i]}" for i in np.sort(selector.sample_indices_)]
    assert scores(tmp_path / "out")["id"].to_pylist() == expected
