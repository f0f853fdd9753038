"""The command extract on texts: messages, splits, and stores for the other commands."""

import re

import numpy as np
import pytest
from image_helpers import write_images
from text_helpers import write_texts

from spectral_select import EmbeddingStore


@pytest.fixture
def texts(tmp_path):
    return write_texts(tmp_path / "texts.jsonl")


def test_extract_then_select_and_inspect(run, texts, tmp_path):
    words = ("extract", texts, "--label-column", "topic", "--out", tmp_path / "s")
    status, out, err = run(*words, "--backbone", "tfidf", "--dim", "8")
    assert (status, err) == (0, "")
    assert re.fullmatch(
        r"43 of 60 texts \(train split\): embeddings of length 8 in .*/s "
        r"\(\S+ s, \d+ texts/s\)\n",
        out,
    )
    assert run(*words, "--dim", "8")[1].endswith("/s already exist, nothing to do\n")
    status, out, err = run("select", tmp_path / "s", "--out", tmp_path / "keep.csv")
    assert err.endswith("the rows cover 43 of 60 texts (train split)\n")
    _, *rows = (tmp_path / "keep.csv").read_text().splitlines()
    lines = texts.read_text().splitlines()
    for row in rows:
        _, path, label, _ = row.split(",")
        assert f'"{label}"' in lines[int(path.removeprefix("texts.jsonl:")) - 1]
    assert run("inspect", tmp_path / "s")[0] == 0


def test_tfidf_is_fitted_on_the_training_split_only(run, texts, tmp_path):
    words = ("extract", texts, "--label-column", "topic", "--dim", "8")
    run(*words, "--out", tmp_path / "train")
    run(*words, "--out", tmp_path / "test", "--split", "test")
    stores = [EmbeddingStore.open(tmp_path / name) for name in ("train", "test")]
    assert [len(store) for store in stores] == [43, 12]
    assert stores[0].meta["weights_hash"] == stores[1].meta["weights_hash"]
    assert stores[1].meta["weights"] == "fitted on 43 texts"
    before = np.array(stores[0].features)
    line = int(stores[1].paths[0].removeprefix("texts.jsonl:"))
    lines = texts.read_text().splitlines()
    lines[line - 1] = lines[line - 1].replace("The ", "Entirely different words ")
    texts.write_text("\n".join(lines))
    run(*words, "--out", tmp_path / "train", "--overwrite")
    assert np.array_equal(EmbeddingStore.open(tmp_path / "train").features, before)
    run(*words, "--out", tmp_path / "all", "--split", "all")
    assert EmbeddingStore.open(tmp_path / "all").meta["weights"] == "fitted on 60 texts"


def test_identifiers(run, texts, tmp_path):
    run("extract", texts, "--id-column", "id", "--split", "all", "--out", tmp_path / "s")
    store = EmbeddingStore.open(tmp_path / "s")
    assert store.paths[:2] == ("animals-0", "animals-1")
    assert store.labels is None


def test_errors_come_before_the_work(fails, texts, tmp_path):
    words = ("extract", texts, "--out", tmp_path / "s")
    assert "texts.jsonl:1 has no 'body'; it has 'id'" in fails(*words, "--text-column", "body")
    assert "texts.jsonl:1 has no 'kind'" in fails(*words, "--label-column", "kind")
    assert "--backbone resnet18 is for images" in fails(*words, "--backbone", "resnet18")
    assert "--weights is for images" in fails(*words, "--weights", "random")
    assert "dim must be at most 41: there are 43 texts" in fails(*words, "--dim", "4000")
    with texts.open("a") as file:
        file.write("{oops\n")
    assert "texts.jsonl:61 is not JSON" in fails(*words)
    assert not (tmp_path / "s").exists()


def test_rejects_text_options_for_images(fails, tmp_path):
    photos = write_images(tmp_path / "photos", ("cat", "dog"), 5)
    words = ("extract", photos, "--out", tmp_path / "s", "--backbone", "pixels")
    assert "--text-column is for texts in" in fails(*words, "--text-column", "text")
    assert "--dim is for texts" in fails(*words, "--dim", "8")
