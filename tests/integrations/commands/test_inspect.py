"""spectral-select inspect: summary, table, page with thumbnails, and rejected arguments."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from spectral_select import save_embeddings
from spectral_select._cli.main import main

X, Y = load_digits(return_X_y=True)
X, Y = X[:500].astype(np.float32), Y[:500].copy()
Y[50:60] = (Y[50:60] + 3) % 10
X[71] = X[70]
PATHS = [f"{i % 7}/{i:03}.png" for i in range(500)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with an image file for each of 500 digits."""
    folder = tmp_path_factory.mktemp("photos")
    for path, pixels in zip(PATHS, X, strict=True):
        (folder / path).parent.mkdir(exist_ok=True)
        Image.fromarray((pixels.reshape(8, 8) * 15).astype(np.uint8)).save(folder / path)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    names = [f"digit {c}" for c in range(10)]
    save_embeddings(folder / "train", X, Y, paths=PATHS, classes=names)
    test = np.vstack([X[100:103], X[200:260] + 0.001])
    save_embeddings(folder / "test", test, np.r_[Y[100:103], Y[200:260]])
    return folder


def inspected(capsys, *arguments):
    assert main(["inspect", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert main(["inspect", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_summary(store, capsys):
    out = inspected(capsys, store / "train", store / "test")
    assert "500 samples of 64 features" in out
    shown = re.search(r"first; an estimated (\S+)% of all labels \((\d+)\) are wrong", out)
    assert abs(float(shown[1]) / 100 * 500 - int(shown[2])) < 1
    assert "digit" in out.splitlines()[2]
    assert "near-duplicates: 2 samples in 1 groups, 2 of them exact copies" in out
    assert f"  {PATHS[70]}, {PATHS[71]}" in out
    assert f"also in {store / 'test'}: 63 samples" in out
    assert f"  {PATHS[100]} = row 0" in out


def test_table_with_names_of_classes(store, tmp_path, capsys):
    out = tmp_path / "table.csv"
    assert str(out) in inspected(capsys, store / "train", "--out", out)
    table = pd.read_csv(out)
    assert table["path"].tolist() == PATHS
    assert table["label"].tolist() == [f"digit {c}" for c in Y]
    assert table["wrong_label"][50:60].mean() > 0.7
    assert table["duplicate_group"][70] == table["duplicate_group"][71] == 0


def test_page_with_thumbnails_of_a_folder(store, photos, tmp_path, capsys):
    page = tmp_path / "page.html"
    out = inspected(capsys, store / "train", "--images", photos, "--report", page)
    assert f"wrote the page to {page}" in out
    assert "--images" not in out
    text = page.read_text()
    assert "digit 3" in text
    assert text.count("data:image/jpeg") > 10


def test_page_without_images_says_how_to_add_them(store, tmp_path, capsys):
    out = inspected(capsys, store / "train", "--report", tmp_path / "page.html")
    assert "for thumbnails, add --images" in out
    assert "data:image" not in (tmp_path / "page.html").read_text()


def test_images_of_a_dataset_known_by_name(tmp_path, capsys):
    assert main(["extract", "digits", "--backbone", "pixels", "--image-size", "8", "--split",
                 "test", "--out", str(tmp_path / "s")]) == 0  # fmt: skip
    inspected(capsys, tmp_path / "s", "--images", "digits", "--report", tmp_path / "p.html")
    assert "data:image/jpeg" in (tmp_path / "p.html").read_text()


def test_parquet_with_texts(tmp_path, capsys):
    columns = {"emb": X.tolist(), "topic": [f"t{c}" for c in Y], "text": [f"<b>{p}" for p in PATHS]}
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    inspected(capsys, tmp_path / "d.parquet", "--columns", "emb", "--labels", "topic",
              "--show", "text", "--report", tmp_path / "p.html",
              "--out", tmp_path / "t.parquet")  # fmt: skip
    assert "&lt;b&gt;" in (tmp_path / "p.html").read_text()
    assert pq.read_table(tmp_path / "t.parquet")["label"].to_pylist() == columns["topic"]


def test_features_without_labels(tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    assert "labels: none were given" in inspected(capsys, tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "t.xlsx"], "--out must end in .csv or .parquet; got 't.xlsx'"),
        (["--report", "p.pdf"], "--report must end in .html or .htm; got 'p.pdf'"),
        (["--out", "none/t.csv"], "--out none/t.csv: the folder"),
        (["--images", "photos"], "--images needs --report"),
        (["--show", "text"], "--show needs --report"),
        (["--other-images", "photos"], "--other-images needs OTHER and --report"),
        (["--seed", "-1"], "--seed must be between 0"),
        (["--landmarks", "0"], "n_landmarks must be an integer of at least 1"),
        (["--duplicate-similarity", "2"], "duplicate_similarity must be a number in [0, 1]"),
        (
            ["--show", "text", "--report", "p.html"],
            "columns can be read only from .parquet and .csv files",
        ),
        (["--images", "none", "--report", "p.html"], "no dataset 'none'"),
        (["--labels", "y"], "labels for"),
    ],
)
def test_rejects_invalid_arguments(store, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, store / "train", *arguments)
    assert not list(tmp_path.iterdir())


def test_other_features_must_have_the_same_columns(store, tmp_path, capsys):
    np.save(tmp_path / "x.npy", X[:, :9])
    assert "other must have the 64 features of X; got 9" in refused(
        capsys, store / "train", tmp_path / "x.npy"
    )


def test_the_folder_of_images_must_be_the_right_one(store, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    message = refused(capsys, store / "train", "--images", tmp_path / "elsewhere",
                      "--report", tmp_path / "p.html")  # fmt: skip
    assert "there is no file" in message
    assert "expected the folder that the paths in" in message


@pytest.mark.parametrize("path", ["../secret.png", "/etc/secret.png", "a/../../b.png"])
def test_paths_that_lead_out_of_the_folder(tmp_path, capsys, path):
    save_embeddings(tmp_path / "s", X, Y, paths=[*PATHS[:-1], path])
    (tmp_path / "photos").mkdir()
    message = refused(capsys, tmp_path / "s", "--images", tmp_path / "photos",
                      "--report", tmp_path / "p.html")  # fmt: skip
    assert "has a path outside the dataset" in message


def test_a_column_that_is_not_there(tmp_path, capsys):
    pq.write_table(pa.table({"emb": X.tolist(), "y": Y.tolist()}), tmp_path / "d.parquet")
    message = refused(capsys, tmp_path / "d.parquet", "--columns", "emb", "--show", "text",
                      "--report", tmp_path / "p.html")  # fmt: skip
    assert "has no column 'text'; it has emb, y" in message
