"""Embeddings are reused only for the same images, transform and backbone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from spectral_select import EmbeddingStore
from spectral_select._utils.folders import StoreError
from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.models.backbones import build_backbone
from spectral_select.integrations.models.embedding_extraction import extract_embeddings
from spectral_select.integrations.models.image_source import ImageSource

N = 60


def dataset(seed=0, n=N):
    generator = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.rand(n, 3, 4, 4, generator=generator))


class Mean(nn.Module):
    """Returns the mean of each channel; raises at batch number `fails_at`."""

    def __init__(self, power=1.0, fails_at=None):
        super().__init__()
        self.power = power
        self.fails_at = fails_at
        self.calls = 0

    def forward(self, images):
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        self.calls += 1
        return images.float().mean((2, 3)) ** self.power


def interrupted(data, out, **options):
    """Start an extraction and stop it after three blocks."""
    with pytest.raises(KeyboardInterrupt):
        extract_embeddings(data, Mean(fails_at=4), out, batch_size=10, block_size=10, **options)


def twice(image):
    return image * 2


def test_rejects_complete_store_of_other_images(tmp_path):
    extract_embeddings(dataset(), Mean(), tmp_path)
    with pytest.raises(StoreError, match=r"something else \(hash of a sample of the images"):
        extract_embeddings(dataset(seed=1), Mean(), tmp_path)
    store = extract_embeddings(dataset(seed=1), Mean(), tmp_path, overwrite=True)
    np.testing.assert_allclose(store.features, dataset(seed=1).tensors[0].mean((2, 3)), rtol=1e-5)


def test_rows_of_two_datasets_are_never_mixed(tmp_path):
    interrupted(dataset(), tmp_path)
    with pytest.raises(StoreError, match="hash of a sample of the images"):
        extract_embeddings(dataset(seed=1), Mean(), tmp_path)
    store = extract_embeddings(dataset(), Mean(), tmp_path, batch_size=10, block_size=10)
    assert store.n_written == 30
    np.testing.assert_allclose(store.features, dataset().tensors[0].mean((2, 3)), rtol=1e-5)


@pytest.mark.parametrize("start", [extract_embeddings, None])
def test_rejects_changed_transform(tmp_path, start):
    if start is None:
        interrupted(dataset(), tmp_path)
    else:
        extract_embeddings(dataset(), Mean(), tmp_path)
    with pytest.raises(StoreError, match="hash of a sample of the images"):
        extract_embeddings(dataset(), Mean(), tmp_path, transform=twice)


def test_rejects_changed_transform_of_a_dataset_with_fingerprint(tmp_path):
    split = load_dataset("digits").val
    backbone, at_32, _ = build_backbone("squeezenet1_1", "random", image_size=32)
    _, at_40, _ = build_backbone("squeezenet1_1", "random", image_size=40)
    extract_embeddings(split, backbone, tmp_path, transform=at_32)
    with pytest.raises(StoreError, match="hash of a sample of the images"):
        extract_embeddings(split, backbone, tmp_path, transform=at_40)


def test_rejects_same_images_in_another_order(tmp_path):
    extract_embeddings(dataset(), Mean(), tmp_path)
    reversed_order = TensorDataset(dataset().tensors[0].flip(0))
    with pytest.raises(StoreError, match="hash of a sample"):
        extract_embeddings(reversed_order, Mean(), tmp_path)


@pytest.mark.parametrize("complete", [True, False])
def test_rejects_module_that_computes_something_else(tmp_path, complete):
    if complete:
        extract_embeddings(dataset(), Mean(), tmp_path)
    else:
        interrupted(dataset(), tmp_path)
    with pytest.raises(StoreError, match="a different embedding for the first image"):
        extract_embeddings(dataset(), Mean(power=2.0), tmp_path)


@pytest.mark.parametrize("other", [1, "1", lambda pair: pair[1]])
def test_rejects_another_output(tmp_path, other):
    class Pair(Mean):
        def forward(self, images):
            mean = super().forward(images)
            return mean, mean * 2

    extract_embeddings(dataset(), Pair(), tmp_path, output=0)
    with pytest.raises((StoreError, ValueError), match="output"):
        extract_embeddings(dataset(), Pair(), tmp_path, output=other)


def test_rejects_resuming_in_another_precision(tmp_path):
    interrupted(dataset(), tmp_path)
    with pytest.raises(StoreError, match="was computed in float32, not bfloat16"):
        extract_embeddings(dataset(), Mean(), tmp_path, precision="bfloat16")


def test_rejects_random_transforms(tmp_path):
    def jitter(image):
        return image + torch.rand(())

    with pytest.raises(ValueError, match="image 0 in the dataset changes each time it is read"):
        extract_embeddings(dataset(), Mean(), tmp_path / "s", transform=jitter)
    assert not (tmp_path / "s").exists()


def test_rejects_store_without_identity(tmp_path):
    from spectral_select import save_embeddings

    save_embeddings(tmp_path, np.zeros((N, 3), np.float32), backbone="Mean", weights_hash="x")
    with pytest.raises(StoreError, match="holds embeddings of something else"):
        extract_embeddings(dataset(), Mean(), tmp_path)


def test_content_hash_depends_on_length_type_and_values():
    images = torch.zeros(40, 3, 2, 2)
    sources = [
        TensorDataset(images),
        TensorDataset(images[:39]),
        TensorDataset(images.to(torch.uint8)),
        TensorDataset(images.reshape(40, 3, 4, 1)),
        TensorDataset(images.index_fill(0, torch.tensor([39]), 1.0)),
    ]
    hashes = [ImageSource(source).content_hash() for source in sources]
    assert len(set(hashes)) == len(sources)
    assert ImageSource(TensorDataset(images.clone())).content_hash() == hashes[0]


def test_embeddings_are_recorded_with_the_hash(tmp_path):
    extract_embeddings(dataset(), Mean(), tmp_path)
    meta = EmbeddingStore.open(tmp_path).meta
    assert meta["content"] == ImageSource(dataset()).content_hash()
