"""Models in a folder or in the cache of the Hugging Face hub, without a network connection."""

import shutil

import numpy as np
import torch
from PIL import Image

from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.models.embedding_extraction import extract_embeddings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def random_image(seed=0, size=(60, 90)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def use_offline_hub(monkeypatch, folder):
    """Make `folder` the cache of the hub, and forbid connections."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def put_in_hub(cache, repository, files):
    """Copy files into the cache as one commit of the main branch."""
    target = cache / f"models--{repository.replace('/', '--')}"
    snapshot = target / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for file in files:
        shutil.copy(file, snapshot / file.name)
    (target / "refs").mkdir()
    (target / "refs" / "main").write_text(COMMIT)
    return snapshot


def assert_usable(backbone, transform, tmp_path, /, **recorded):
    """Extract from a real dataset and check the rows and the record."""
    split = load_dataset("digits", train_size=6).train
    store = extract_embeddings(split, backbone, tmp_path / "s", transform=transform, batch_size=4,
                               num_workers=1)  # fmt: skip
    with torch.inference_mode():
        rows = backbone(torch.stack([transform(split[i][0]) for i in range(len(split))]))
    np.testing.assert_allclose(store.features, rows, rtol=1e-3, atol=1e-4)
    assert store.meta["weights_hash"] == backbone.weights_hash
    assert {key: store.meta[key] for key in recorded} == recorded
