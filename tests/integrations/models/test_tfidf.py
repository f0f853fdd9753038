"""Embeddings of texts by TF-IDF, and stores that are resumed or reused."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from text_helpers import write_texts

from spectral_select import EmbeddingStore
from spectral_select._utils.folders import StoreError
from spectral_select.integrations.data.text_files import TextColumns
from spectral_select.integrations.data.texts import load_texts
from spectral_select.integrations.models.text_extraction import extract_text_embeddings
from spectral_select.integrations.models.tfidf import TfidfEncoder


@pytest.fixture
def data(tmp_path):
    return load_texts(write_texts(tmp_path / "a.jsonl"), TextColumns(label="topic"))


def texts_of(split):
    return [text for text, _ in split]


def test_embeddings_separate_topics_and_repeat(data):
    encoder = TfidfEncoder(texts_of(data.train), dim=8)
    X, Z = (encoder.encode(texts_of(part)) for part in (data.train, data.test))
    assert X.dtype == np.float32
    assert X.shape == (43, 8)
    assert KNeighborsClassifier(3).fit(X, data.train.labels).score(Z, data.test.labels) == 1.0
    again = TfidfEncoder(texts_of(data.train), dim=8)
    assert np.array_equal(again.encode(texts_of(data.test)), Z)
    assert again.weights_hash == encoder.weights_hash
    assert 0.5 < encoder.explained_variance <= 1


def test_hash_depends_on_texts_and_options(data):
    texts = texts_of(data.train)
    encoders = [
        TfidfEncoder(texts, dim=8),
        TfidfEncoder(texts, dim=7),
        TfidfEncoder(texts, dim=8, seed=1),
        TfidfEncoder(texts[1:], dim=8),
    ]
    assert len({encoder.weights_hash for encoder in encoders}) == 4


def test_default_length_fits_small_data(data):
    assert TfidfEncoder(texts_of(data.val)).dim == len(data.val)
    with pytest.raises(ValueError, match=r"dim must be at most 5: there are 5 texts with \d+ diff"):
        TfidfEncoder(texts_of(data.val), dim=6)
    with pytest.raises(ValueError, match="found no words of two or more letters in 2 texts"):
        TfidfEncoder(["a", "!"])


def test_store_has_labels_names_and_origin(data, tmp_path):
    encoder = TfidfEncoder(texts_of(data.train), dim=4)
    store = extract_text_embeddings(data.test, encoder, tmp_path / "s", meta={"n_samples": 60})
    assert np.array_equal(store.features, encoder.encode(texts_of(data.test)))
    assert np.array_equal(store.labels, data.test.labels)
    assert list(store.paths) == data.test.paths
    assert store.extent == "12 of 60 texts (test split)"
    assert {key: store.meta[key] for key in ("backbone", "classes", "library", "weights")} == {
        "backbone": "tfidf",
        "classes": ["animals", "food", "physics"],
        "library": "scikit-learn",
        "weights": "fitted on 43 texts",
    }


def test_store_resumes_and_rejects_other_data(data, tmp_path, monkeypatch):
    encoder = TfidfEncoder(texts_of(data.train), dim=4)

    class Stops(TfidfEncoder):
        n_calls = 0

        def encode(self, texts):
            self.n_calls += 1
            if self.n_calls == 3:
                raise KeyboardInterrupt
            return super().encode(texts)

    stops = Stops(texts_of(data.train), dim=4)
    with pytest.raises(KeyboardInterrupt):
        extract_text_embeddings(data.train, stops, tmp_path / "s", block_size=10)
    store = extract_text_embeddings(data.train, encoder, tmp_path / "s", block_size=10)
    assert store.n_written == 23
    assert np.array_equal(store.features, encoder.encode(texts_of(data.train)))
    assert extract_text_embeddings(data.train, encoder, tmp_path / "s").n_written == 0
    other = TfidfEncoder(texts_of(data.train), dim=4, seed=1)
    with pytest.raises(StoreError, match="hash of the weights"):
        extract_text_embeddings(data.train, other, tmp_path / "s")
    with pytest.raises(StoreError, match="number of rows was 43, is now 12"):
        extract_text_embeddings(data.test, encoder, tmp_path / "s")
    replaced = extract_text_embeddings(data.test, encoder, tmp_path / "s", overwrite=True)
    assert len(EmbeddingStore.open(tmp_path / "s")) == len(replaced) == 12


def test_texts_without_known_words_are_reported(data, tmp_path):
    encoder = TfidfEncoder(["quark gluon", "boson quark"])
    with pytest.warns(UserWarning, match="12 texts have no word that tfidf knows, .* a.jsonl:"):
        store = extract_text_embeddings(data.test, encoder, tmp_path / "s")
    assert not store.features.any()
