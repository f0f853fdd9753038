"""Texts and images of the samples in a store."""

import json

import numpy as np
import pytest
from datasets import DatasetDict
from hub_helpers import hub_images
from text_helpers import write_texts

from spectral_select import EmbeddingStore, save_embeddings
from spectral_select.integrations.inspection.store_dataset import texts_of_store
from spectral_select.integrations.inspection.thumbnails import images_of_store


def test_texts_by_line(run, tmp_path):
    path = write_texts(tmp_path / "texts.jsonl")
    words = ("extract", path, "--split", "test", "--id-column", "id", "--dim", 4)
    assert run(*words, "--out", tmp_path / "s")[0] == 0
    store = EmbeddingStore.open(tmp_path / "s")
    rows = {row["id"]: row["text"] for row in map(json.loads, path.read_text().splitlines())}
    assert texts_of_store(store, str(path)) == [rows[name] for name in store.paths]
    write_texts(path, n_per_class=2)
    with pytest.raises(ValueError, match=r"texts.jsonl has no sample 'animals-\d+', which is in"):
        texts_of_store(store, str(path))


def test_page_shows_texts(run, tmp_path):
    path = write_texts(tmp_path / "texts.jsonl")
    first, *_ = path.read_text().splitlines()
    with path.open("a") as file:
        file.write(5 * f"{first}\n")  # copies, which the page shows
    run("extract", path, "--label-column", "topic", "--dim", 4, "--out", tmp_path / "s")
    page = tmp_path / "page.html"
    status, out, _ = run("inspect", tmp_path / "s", "--report", page)
    assert status == 0
    assert "to show the texts, add --texts" in out
    status, out, _ = run("inspect", tmp_path / "s", "--report", page, "--texts", path)
    assert status == 0
    assert "add --" not in out
    assert json.loads(first)["text"] in page.read_text()


def test_images_of_hugging_face_datasets(run, tmp_path):
    parts = {"train": hub_images(20), "test": hub_images(6, seed=1)}
    DatasetDict(parts).save_to_disk(tmp_path / "pets")
    name = f"hf-dataset:{tmp_path}/pets"
    words = ("extract", name, "--backbone", "pixels", "--image-size", 8)
    assert run(*words, "--split", "test", "--out", tmp_path / "s")[0] == 0
    store = EmbeddingStore.open(tmp_path / "s")
    assert store.paths[:2] == ("test[0]", "test[1]")
    assert store.meta["classes"] == ["cat", "dog"]
    images = images_of_store(store, name)
    assert np.array_equal(np.asarray(images.load(3)), np.asarray(parts["test"][3]["image"]))
    with pytest.raises(ValueError, match="holds images, not texts"):
        texts_of_store(store, name)


def test_texts_need_a_store_with_names(tmp_path, fails):
    path = write_texts(tmp_path / "texts.jsonl")
    store = save_embeddings(tmp_path / "s", np.eye(4))
    with pytest.raises(ValueError, match="s does not name its samples; extract it again"):
        texts_of_store(store, str(path))
    np.save(tmp_path / "x.npy", np.eye(4))
    words = ("inspect", tmp_path / "x.npy", "--report", tmp_path / "p.html", "--texts", path)
    assert "--texts needs an embedding store" in fails(*words)
    assert "--texts needs --report" in fails("inspect", tmp_path / "s", "--texts", path)
