"""Images and origin of common kinds of datasets."""

import json

import numpy as np
import pytest
import torch
from image_helpers import write_images
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset, random_split
from torchvision.datasets import ImageFolder

from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.data.images import UnreadableImageError
from spectral_select.integrations.models.backbones import build_backbone
from spectral_select.integrations.models.embedding_extraction import extract_embeddings
from spectral_select.integrations.models.image_source import ImageSource


class Mean(nn.Module):
    def forward(self, images):
        return images.float().mean((2, 3))


class Listed(Dataset):
    """A dataset that returns the items passed to it."""

    def __init__(self, items, **attributes):
        self.items = items
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


IMAGES = torch.rand(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "photos", ("cat", "dog"), 5, size=(9, 9), name="{}.png")


class TestSubset:
    def test_random_split_of_a_torchvision_dataset(self, folder, tmp_path):
        backbone, transform, _ = build_backbone("squeezenet1_1", "random", image_size=32)
        whole = ImageFolder(folder, transform=transform)
        part, _ = random_split(whole, [6, 4], torch.Generator().manual_seed(0))
        store = extract_embeddings(part, backbone, tmp_path / "s")
        assert store.labels.tolist() == [whole.targets[i] for i in part.indices]
        assert store.meta["classes"] == ["cat", "dog"]
        assert store.meta["dataset"] is None
        again = extract_embeddings(part, backbone, tmp_path / "s")
        assert again.n_written == 0

    def test_subset_of_a_split(self, tmp_path):
        split = load_dataset("digits").val
        _, transform, _ = build_backbone("pixels", image_size=8)
        part = Subset(Subset(split, range(40, 80)), [3, 1])
        store = extract_embeddings(part, Mean(), tmp_path, transform=transform)
        assert store.labels.tolist() == split.labels[[43, 41]].tolist()
        assert store.meta["dataset"] == "digits"
        assert store.meta["fingerprint"] is None

    def test_subset_without_labels(self, tmp_path):
        store = extract_embeddings(Subset(TensorDataset(IMAGES), [1, 2]), Mean(), tmp_path)
        np.testing.assert_allclose(store.features, IMAGES[1:3].mean((2, 3)), rtol=1e-5)
        assert store.labels is None
        assert store.paths == ("1", "2")


def test_rejects_labels_of_another_length(tmp_path):
    data = Listed([(image, 0) for image in IMAGES], labels=[0, 1])
    with pytest.raises(ValueError, match="labels must have shape"):
        extract_embeddings(data, Mean(), tmp_path / "s")


def test_hugging_face_dataset(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    images = [Image.new("RGB", (9, 9), (i, 0, 0)) for i in range(6)]
    columns = {"image": images, "label": [0, 1, 1, 0, 1, 0]}
    data = datasets.Dataset.from_dict(columns, features=features)
    _, transform, _ = build_backbone("pixels", image_size=8)
    store = extract_embeddings(Subset(data, [5, 2]), Mean(), tmp_path, transform=transform)
    assert store.labels.tolist() == [0, 1]
    assert store.meta["classes"] == ["cat", "dog"]
    np.testing.assert_allclose(store.features[:, 0], [5, 2])


class TestItems:
    @pytest.mark.parametrize(
        "items",
        [
            [(image, 0) for image in IMAGES],
            [[image, 0] for image in IMAGES],
            [{"image": image, "label": 0} for image in IMAGES],
            [{"pixel_values": image} for image in IMAGES],
            list(IMAGES),
            [image.numpy() for image in IMAGES],
        ],
        ids=["tuple", "list", "image", "pixel_values", "tensor", "array"],
    )
    def test_kinds_of_items(self, items, tmp_path):
        store = extract_embeddings(Listed(items), Mean(), tmp_path)
        np.testing.assert_allclose(store.features, IMAGES.mean((2, 3)), rtol=1e-5)

    @pytest.mark.parametrize("num_workers", [0, 1])
    def test_rejects_images_of_several_shapes(self, num_workers, tmp_path):
        items = [(torch.zeros(3, 4, 4 + i % 2), 0) for i in range(9)]
        with pytest.raises(ValueError, match=r"same shape; got \(3, 4, 4\) and \(3, 4, 5\)"):
            extract_embeddings(Listed(items), Mean(), tmp_path, num_workers=num_workers)

    def test_rejects_dicts_without_image(self, tmp_path):
        data = Listed([{"text": "a", "label": 0}])
        with pytest.raises(TypeError, match=r"dicts with keys 'text', 'label'; expected one of"):
            extract_embeddings(data, Mean(), tmp_path)

    def test_rejects_pil_images_without_transform(self, tmp_path):
        data = Listed([(Image.new("RGB", (4, 4)), 0)])
        with pytest.raises(TypeError, match="transform is required"):
            extract_embeddings(data, Mean(), tmp_path)

    @pytest.mark.parametrize("num_workers", [0, 1])
    def test_error_names_rejected_images(self, num_workers, tmp_path):
        images = [Image.new("RGB", (9, 9))] * 99
        images.insert(50, Image.new("I", (9, 9)))
        _, transform, _ = build_backbone("pixels", image_size=8)
        with pytest.raises(
            UnreadableImageError, match="cannot read image 50 in the dataset: its values are 32-bit"
        ):
            extract_embeddings(
                Listed([(image, 0) for image in images]),
                Mean(),
                tmp_path,
                transform=transform,
                num_workers=num_workers,
            )


def test_origin_ignores_attributes_that_mean_something_else():
    data = Listed([(IMAGES[0], 0)], name=print, dataset=IMAGES, classes={"a": 1}, fingerprint=3)
    origin = ImageSource(data).origin()
    content = origin.pop("content")
    assert origin == dict.fromkeys(("fingerprint", "dataset", "split", "drawn_from", "classes"))
    json.dumps(content)


def test_module_attributes_that_mean_something_else_are_ignored(tmp_path):
    network = Mean()
    network.dim, network.image_size, network.name = 64, (4, 4), None
    network.weights = nn.Parameter(torch.ones(2))
    store = extract_embeddings(TensorDataset(IMAGES), network, tmp_path)
    assert (store.meta["dim"], store.meta["image_size"]) == (3, None)
    assert (store.meta["backbone"], store.meta["weights"]) == ("Mean", "unknown")
    assert extract_embeddings(TensorDataset(IMAGES), network, tmp_path).n_written == 0
