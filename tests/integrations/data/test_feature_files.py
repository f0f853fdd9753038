"""Datasets of features from stores and tables."""

import numpy as np
import pandas as pd
import pytest

from spectral_select import save_embeddings
from spectral_select.integrations.data.feature_files import (
    FeatureColumns,
    holds_features,
    load_features,
)
from spectral_select.integrations.data.feature_rows import FeatureInputs, FeatureRows
from spectral_select.integrations.data.labeled_dataset import SplitOptions
from spectral_select.integrations.data.part import Part

N, D = 40, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)).astype(np.float32)
Y = np.arange(N) % 3
KIND = FeatureColumns(labels="kind")


def write_store(path, rows=X, labels=Y, **meta):
    names = [f"{i}.txt" for i in range(len(rows))]
    classes = ["ape", "bee", "cat"]
    return save_embeddings(path, rows, labels, paths=names, classes=classes, **meta).path


def frame():
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(D)])
    return table.assign(kind=np.array(["ape", "bee", "cat"])[Y])


class TestLoadFeatures:
    def test_store(self, tmp_path):
        data = load_features(write_store(tmp_path / "s"))
        assert data.classes == ("ape", "bee", "cat")
        assert [len(data.train), len(data.val), len(data.test)] == [29, 3, 8]
        assert data.train.paths[:2] == [f"{i}.txt" for i in data.train.indices[:2]]
        row, label = data.test[0]
        assert np.array_equal(row, X[data.test.indices[0]])
        assert label == Y[data.test.indices[0]]
        assert np.array_equal(data.train_features, X[data.train.indices])
        assert data.describe()["unit"] == "rows"

    def test_formats_agree(self, tmp_path):
        np.save(tmp_path / "x.npy", X)
        np.save(tmp_path / "y.npy", Y)
        np.savez(tmp_path / "x.npz", X=X, kind=Y)
        frame().to_parquet(tmp_path / "x.parquet")
        frame().to_csv(tmp_path / "x.csv")  # with an index
        loaded = [
            load_features(tmp_path / "x.npy", FeatureColumns(labels=str(tmp_path / "y.npy"))),
            *(load_features(tmp_path / name, KIND) for name in ("x.npz", "x.parquet", "x.csv")),
            load_features(write_store(tmp_path / "s")),
        ]
        for data in loaded:
            assert np.allclose(data.train_features, loaded[0].train_features)
            assert np.array_equal(data.train.labels, loaded[0].train.labels)
            assert data.train.labels.max() == 2

    def test_integer_labels_are_not_a_feature(self, tmp_path):
        frame().assign(kind=Y).to_parquet(tmp_path / "x.parquet")
        data = load_features(tmp_path / "x.parquet", KIND)
        assert data.train_features.shape == (29, D)
        assert data.classes == ("0", "1", "2")

    def test_second_store_is_the_test_set(self, tmp_path):
        train = write_store(tmp_path / "a", weights_hash="h")
        test = write_store(tmp_path / "b", X[:10], Y[:10][::-1], weights_hash="h")
        data = load_features(train, test=test, options=SplitOptions(val_fraction=0))
        assert [len(data.train), len(data.val), len(data.test)] == [40, 0, 10]
        assert np.array_equal(data.test.labels, Y[:10][::-1])
        assert data.train_features.base is not None  # the table itself, not a copy
        assert len(data.split("all")) == 50

    def test_rejects_test_rows_unlike_the_training_rows(self, tmp_path):
        train = write_store(tmp_path / "a", weights_hash="h")
        other = write_store(tmp_path / "b", weights_hash="i")
        with pytest.raises(ValueError, match="its weights_hash is 'i', not 'h'"):
            load_features(train, test=other)
        narrow = write_store(tmp_path / "c", X[:, :2], weights_hash="h")
        with pytest.raises(ValueError, match="must have 5 features, as the training rows; got 2"):
            load_features(train, test=narrow)
        np.save(tmp_path / "x.npy", X)
        np.save(tmp_path / "y.npy", np.full(N, 7))
        with pytest.raises(ValueError, match=r"x.npy\[0\]: 'label' is '7', a class that the tr"):
            load_features(train, test=tmp_path / "x.npy", test_labels=str(tmp_path / "y.npy"))

    def test_errors_name_the_file(self, tmp_path):
        unlabeled = save_embeddings(tmp_path / "s", X).path
        with pytest.raises(ValueError, match="s has no labels; extract it again from a dataset"):
            load_features(unlabeled)
        np.save(tmp_path / "x.npy", X)
        with pytest.raises(ValueError, match=r"x.npy has no default labels"):
            load_features(tmp_path / "x.npy")
        np.save(tmp_path / "y.npy", Y[1:])
        with pytest.raises(ValueError, match=r"x.npy has 40 rows, but 39 labels"):
            load_features(tmp_path / "x.npy", FeatureColumns(labels=str(tmp_path / "y.npy")))
        np.savez(tmp_path / "x.npz", X=np.where(X[3, 3] == X, np.nan, X), kind=Y)
        with pytest.raises(ValueError, match=r"x.npz must be finite; row 3"):
            load_features(tmp_path / "x.npz", KIND)
        np.savez(tmp_path / "x.npz", X=X, kind=np.zeros(N, int))
        with pytest.raises(ValueError, match=r"x.npz must have at least two classes; got 0"):
            load_features(tmp_path / "x.npz", KIND)

    def test_fingerprint_covers_rows_and_labels(self, tmp_path):
        prints = set()
        for rows, labels in ((X, Y), (X + 1, Y), (X, Y[::-1].copy())):
            path = write_store(tmp_path / f"s{len(prints)}", rows, labels)
            np.savez(tmp_path / "x.npz", X=rows, kind=labels)
            prints.add(load_features(path).test.fingerprint)
            prints.add(load_features(tmp_path / "x.npz", KIND).test.fingerprint)
        assert len(prints) == 6

    def test_recognizes_files_of_features(self, tmp_path):
        assert holds_features(write_store(tmp_path / "s"))
        assert not holds_features(tmp_path)


class TestFeatureInputs:
    @pytest.fixture
    def data(self, tmp_path):
        return load_features(write_store(tmp_path / "s"))

    @pytest.mark.parametrize("cache_bytes", [10**6, 0])
    def test_rows_by_index(self, data, cache_bytes):
        inputs = FeatureInputs(data.train, cache_bytes=cache_bytes)
        assert np.array_equal(inputs.take([3, 0, 3]).numpy(), data.train_features[[3, 0, 3]])
        assert inputs.forgets == (cache_bytes == 0)
        assert len(inputs) == 29
        assert inputs.blank(2).shape == (2, D)

    def test_parts_of_parts(self, data):
        part = Part(Part(data.train, np.arange(20)), np.array([7, 2]))
        rows = FeatureInputs(part, cache_bytes=10**6).take([1, 0]).numpy()
        assert np.array_equal(rows, data.train_features[[2, 7]])

    def test_rows_are_read_once_if_they_fit_in_memory(self, data):
        inputs = FeatureInputs(data.train, cache_bytes=10**6)
        inputs.take([0])
        inputs.take([1, 2])
        assert inputs.n_decoded == 29


def test_rows_are_joined():
    joined = FeatureRows(X[:2], "a").joined([FeatureRows(X[2:4], "b")])
    assert np.array_equal(joined.features, X[:4])
    assert [joined.id(i) for i in range(4)] == ["a[0]", "a[1]", "b[0]", "b[1]"]
