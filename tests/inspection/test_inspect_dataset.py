"""inspect_dataset: its table, the files it writes, every kind of input, rejected input."""

import csv
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.datasets import load_digits

from spectral_select import find_wrong_labels, inspect_dataset
from spectral_select._utils import widened_rows

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


@pytest.fixture(scope="module")
def damaged():
    """Digits with ten wrong labels, two pairs of copies and three odd images."""
    A, y = X.copy(), Y.copy()
    y[100:110] = (y[100:110] + 1) % 10
    A[20], A[21] = A[10], A[11]
    A[[40, 41, 42]] = np.random.default_rng(0).permuted(A[[40, 41, 42]], axis=1)
    return A, y


@pytest.fixture(scope="module")
def found(damaged):
    A, y = damaged
    paths = [f"digit/{i}.png" for i in range(len(A))]
    other = X[[500, 10, 501]] + np.float32(0.001)
    return inspect_dataset(A, y, other=other, paths=paths, other_paths=["a", "b", "c"])


def test_finds_what_was_planted(found):
    assert np.isin(np.arange(100, 110), found.label_issues_).mean() >= 0.9
    assert np.isin([40, 41, 42], found.outliers_[:10]).all()
    groups = [group.tolist() for group in found.near_duplicates_]
    assert [10, 20] in groups
    assert [11, 21] in groups
    pairs = found.crossing_duplicates_.tolist()
    assert [500, 0] in pairs
    assert [501, 2] in pairs
    assert [10, 1] in pairs


def test_the_worst_come_first(found):
    trust = found.wrong_labels.trust
    assert (np.diff(trust[found.label_issues_]) >= 0).all()
    assert set(found.label_issues_) == set(np.flatnonzero(found.wrong_labels.wrong))
    assert (np.diff(found.outlier_score[found.outliers_]) <= 0).all()
    assert [len(group) for group in found.near_duplicates_] == sorted(
        (len(group) for group in found.near_duplicates_), reverse=True
    )


def test_wrong_labels_are_those_of_find_wrong_labels(damaged, found):
    alone = find_wrong_labels(*damaged)
    assert np.array_equal(alone.wrong, found.wrong_labels.wrong)
    assert np.array_equal(alone.trust, found.wrong_labels.trust)


def test_table(found):
    frame = found.to_frame()
    assert len(frame) == len(found) == len(X)
    assert list(frame["path"][:2]) == ["digit/0.png", "digit/1.png"]
    assert frame["wrong_label"].sum() == len(found.label_issues_)
    assert frame["outlier"].sum() == len(found.outliers_)
    assert frame.loc[500, "duplicate_in_other_path"] == "a"
    assert frame.loc[501, "duplicate_in_other"] == 2
    assert frame.loc[frame["duplicate_in_other"] < 0, "duplicate_in_other_path"].eq("").all()
    assert frame["largest_similarity"].max() <= 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_contain_the_table(found, tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    found.write(path)
    read = pd.read_csv(path) if suffix == ".csv" else pq.read_table(path).to_pandas()
    frame = found.to_frame()
    assert list(read) == list(frame)
    for name in ("index", "path", "label", "duplicate_group", "wrong_label"):
        assert read[name].tolist() == frame[name].tolist()
    # Older versions of pandas do not read all digits of a number.
    np.testing.assert_allclose(read["label_trust"], frame["label_trust"], rtol=1e-12)


def test_csv_keeps_paths_with_commas_and_quotes(tmp_path):
    paths = ['a,"b"', "c\nd", "e;f", "ü"] * 10
    found = inspect_dataset(X[:40], paths=paths)
    found.write(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == paths


def test_rejects_unknown_file_types(found, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.csv or \.parquet; got"):
        found.write(tmp_path / "table.xlsx")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        found.write(tmp_path / "none" / "table.csv")
    assert not list(tmp_path.iterdir())


def test_without_labels():
    found = inspect_dataset(X[:300])
    assert found.wrong_labels is None
    assert len(found.label_issues_) == 0
    assert "label" not in found.columns()
    assert "outlier_score" in found.columns()


def test_every_kind_of_features(damaged, tmp_path):
    A, y = damaged
    A, y = A[:400], y[:400]
    expected = inspect_dataset(A, y)
    np.save(tmp_path / "x.npy", A.astype(np.float16))
    with mock.patch.object(widened_rows, "_LARGE_BYTES", 0):
        mapped = inspect_dataset(np.load(tmp_path / "x.npy", mmap_mode="r"), y)
    for other in (
        inspect_dataset(torch.from_numpy(A), torch.from_numpy(y)),
        inspect_dataset(pd.DataFrame(A), pd.Series(y)),
        inspect_dataset(A.astype(np.float64), y.tolist()),
        inspect_dataset(A.astype(np.int8), y),
        mapped,
    ):
        assert np.array_equal(other.duplicates.group, expected.duplicates.group)
        assert np.array_equal(other.duplicates.exact, expected.duplicates.exact)
        np.testing.assert_allclose(other.outlier_score, expected.outlier_score, atol=1e-4)


def test_the_same_seed_gives_the_same_table(damaged):
    first, second = (inspect_dataset(*damaged, random_state=3).columns() for _ in range(2))
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": X[0]}, "X must have shape"),
        ({"X": X[:1]}, "X must have at least 2 samples"),
        ({"X": np.full((4, 2), np.nan)}, "X"),
        ({"X": X, "y": Y[:5]}, r"y must have shape \(1797,\)"),
        ({"X": X, "other": X[:, :5]}, "other must have the 64 features of X; got 5"),
        ({"X": X, "other": np.full((4, 64), np.inf)}, "other"),
        ({"X": X, "paths": ["a"]}, "paths must have 1797 entries"),
        ({"X": X, "other_paths": ["a"]}, "other_paths must have 0 entries"),
        ({"X": X, "duplicate_similarity": 1.5}, r"duplicate_similarity must be a number in \[0"),
        ({"X": X, "n_landmarks": 0}, "n_landmarks must be an integer of at least 1"),
        ({"X": X, "pred_probs": np.ones((1797, 1))}, "pred_probs needs y"),
        ({"X": X, "y": np.zeros(1797, int)}, "y must hold at least two classes"),
    ],
)
def test_rejects_invalid_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        inspect_dataset(**arguments)
