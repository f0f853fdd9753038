"""Output of the command select for a store with row names."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from spectral_select import FiedlerBatchSelector, save_embeddings
from spectral_select._cli.main import main

X = np.random.default_rng(0).random((30, 5)).astype(np.float32)
KEPT = FiedlerBatchSelector().fit(X).sample_indices_.tolist()
PATHS = [f"{'cat' if i % 2 else 'dog'}/{i:02}.jpg" for i in range(30)]
NAMES = [path[:3] for path in PATHS]
LABELS = [int(name == "dog") for name in NAMES]


@pytest.fixture
def store(tmp_path):
    save_embeddings(tmp_path / "s", X, LABELS, paths=PATHS, classes=["cat", "dog"])
    return str(tmp_path / "s")


def select(store, out):
    assert main(["select", store, "--out", str(out)]) == 0
    return out.read_text()


def test_text_contains_paths(store, tmp_path, capsys):
    expected = [PATHS[i] for i in KEPT]
    assert select(store, tmp_path / "keep.txt").splitlines() == expected
    capsys.readouterr()
    assert main(["select", store]) == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_csv_contains_index_path_label_and_score(store, tmp_path):
    rows = list(csv.DictReader(select(store, tmp_path / "keep.csv").splitlines()))
    assert list(rows[0]) == ["index", "path", "label", "score"]
    assert [int(row["index"]) for row in rows] == KEPT
    assert [row["path"] for row in rows] == [PATHS[i] for i in KEPT]
    assert [row["label"] for row in rows] == [NAMES[i] for i in KEPT]


def test_parquet_contains_the_same_columns(store, tmp_path):
    expected = pd.read_csv(io.StringIO(select(store, tmp_path / "keep.csv")))
    assert main(["select", store, "--out", str(tmp_path / "keep.parquet")]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "keep.parquet"), expected)


def test_rejects_parquet_of_paths_that_are_not_text(tmp_path, capsys):
    save_embeddings(tmp_path / "s", X, paths=["\udcff" + path for path in PATHS])
    assert main(["select", str(tmp_path / "s"), "--out", str(tmp_path / "keep.parquet")]) == 2
    assert "unprintable characters; write .csv or .json" in capsys.readouterr().err


def test_json_contains_indices_and_paths(store, tmp_path):
    content = json.loads(select(store, tmp_path / "keep.json"))
    assert content["indices"] == KEPT
    assert content["paths"] == [PATHS[i] for i in KEPT]


def test_npy_contains_indices(store, tmp_path):
    assert main(["select", store, "--out", str(tmp_path / "keep.npy")]) == 0
    assert np.load(tmp_path / "keep.npy").tolist() == KEPT


def test_labels_without_names_are_numbers(tmp_path):
    save_embeddings(tmp_path / "s", X, LABELS, paths=PATHS, classes=["cat"])
    rows = csv.DictReader(select(str(tmp_path / "s"), tmp_path / "keep.csv").splitlines())
    assert [row["label"] for row in rows] == [str(LABELS[i]) for i in KEPT]


def test_store_without_paths_gives_indices(tmp_path):
    save_embeddings(tmp_path / "s", X, LABELS)
    assert select(str(tmp_path / "s"), tmp_path / "k.txt").split() == [str(i) for i in KEPT]
    assert select(str(tmp_path / "s"), tmp_path / "k.csv").startswith("index,score\n")


def test_paths_with_odd_characters(tmp_path, capsys):
    odd = ["caf\u00e9 \udcff/" + path for path in PATHS]
    save_embeddings(tmp_path / "s", X, paths=odd)
    assert main(["select", str(tmp_path / "s"), "--out", str(tmp_path / "keep.txt")]) == 0
    written = (tmp_path / "keep.txt").read_bytes().decode("utf-8", "surrogateescape")
    assert written.splitlines() == [odd[i] for i in KEPT]
    assert main(["select", str(tmp_path / "s")]) == 0
    assert "caf\u00e9 \\udcff/" in capsys.readouterr().out


def test_rejects_line_breaks_in_lines_of_paths(tmp_path, capsys):
    save_embeddings(tmp_path / "s", X, paths=[path + "\n" for path in PATHS])
    assert main(["select", str(tmp_path / "s")]) == 2
    assert "a path contains a line break; write .csv or .json" in capsys.readouterr().err
    rows = select(str(tmp_path / "s"), tmp_path / "keep.json")
    assert json.loads(rows)["paths"][0].endswith("\n")


def test_rejects_indices_of_an_unnamed_split_without_paths(tmp_path, capsys):
    save_embeddings(tmp_path / "s", X, split="train", drawn_from=50, split_named=False)
    assert main(["select", str(tmp_path / "s")]) == 2
    assert "holds 30 of 50 images (train split)" in capsys.readouterr().err
