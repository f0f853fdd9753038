"""Embeddings by a real, tiny sentence-transformers model with random weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_helpers import write_sentence_model
from sentence_transformers import SentenceTransformer
from text_helpers import write_texts

from spectral_select import EmbeddingStore
from spectral_select.integrations.models.sentence_encoder import SentenceEncoder

TEXTS = ["The cat", "The atom and the bread and the quantum energy"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return write_sentence_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "tiny")


def test_embeddings_are_those_of_the_library(model):
    encoder = SentenceEncoder(model)
    assert (encoder.name, encoder.dim, encoder.weights) == ("st:tiny", 16, "local folder")
    rows = encoder.encode(TEXTS)
    assert rows.dtype == np.float32
    expected = SentenceTransformer(str(model), device="cpu").encode(TEXTS)
    assert np.allclose(rows, expected, atol=1e-6)


def test_hash_depends_on_weights_configuration_and_precision(model, tmp_path):
    hashes = [SentenceEncoder(model).weights_hash, SentenceEncoder(model).weights_hash]
    assert hashes[0] == hashes[1]
    hashes.append(SentenceEncoder(model, precision="bfloat16").weights_hash)
    hashes.append(SentenceEncoder(write_sentence_model(tmp_path / "b", seed=1)).weights_hash)
    pooling = model / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('"mean"', '"cls"'))
    hashes.append(SentenceEncoder(model).weights_hash)
    assert len(set(hashes)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "half"}, "precision must be 'auto' or one of float32, .* got 'half'"),
        ({"device": "gpu"}, "device must be 'auto', 'cpu', .* got 'gpu'"),
    ],
)
def test_rejects_other_options(model, options, message):
    with pytest.raises(ValueError, match=message):
        SentenceEncoder(model, **options)


def test_pickled_weights_are_not_read(model):
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    assert SentenceEncoder(model).dim == 16  # beside safetensors, they are ignored
    (model / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="tiny has no weights in safetensors, and other formats"):
        SentenceEncoder(model)


def test_code_of_the_model_is_not_run(model, tmp_path, monkeypatch):
    (model / "own_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
    monkeypatch.syspath_prepend(model)
    modules = json.loads((model / "modules.json").read_text())
    modules[1]["type"] = "own_module.Own"
    (model / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match=r"tiny cannot be loaded .*own_module"):
        SentenceEncoder(model)
    assert not (tmp_path / "ran").exists()


def test_models_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match="the model sentence-transformers/none is not in the"
    ):
        SentenceEncoder("none", download=False)
    with pytest.raises(ValueError, match="is not a sentence-transformers model; expected modules"):
        SentenceEncoder(tmp_path)


def test_model_in_the_cache(model, tmp_path, monkeypatch):
    repository = tmp_path / "cache" / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(model, repository / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    encoder = SentenceEncoder("someone/tiny", download=False)
    assert encoder.weights == f"someone/tiny at {'0' * 40}"
    assert encoder.weights_hash == SentenceEncoder(model).weights_hash


def test_command(run, fails, model, tmp_path):
    texts = write_texts(tmp_path / "texts.jsonl")
    words = ("extract", texts, "--label-column", "topic", "--backbone", f"st:{model}")
    status, out, err = run(*words, "--out", tmp_path / "s")
    assert (status, err) == (0, "")
    assert out.startswith("43 of 60 texts (train split): embeddings of length 16 in")
    store = EmbeddingStore.open(tmp_path / "s")
    assert store.meta["library"] == "sentence-transformers"
    (line,) = (t for t in texts.read_text().splitlines() if '"id": "animals-0"' in t)
    number = 1 + texts.read_text().splitlines().index(line)
    if f"texts.jsonl:{number}" in store.paths:
        row = store.paths.index(f"texts.jsonl:{number}")
        expected = SentenceEncoder(model).encode([json.loads(line)["text"]])[0]
        assert np.allclose(store.features[row], expected, atol=1e-5)
    assert "nothing to do" in run(*words, "--out", tmp_path / "s")[1]
    assert "--dim is for tfidf" in fails(*words, "--out", tmp_path / "s", "--dim", "8")
