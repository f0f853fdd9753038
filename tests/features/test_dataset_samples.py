"""Labels and paths of samples, and embeddings that belong to other samples."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset, TensorDataset, random_split
from torchvision.datasets import ImageFolder

from spectral_select import SpectralBatchSampler, save_embeddings
from spectral_select._features.dataset_samples import sample_labels, sample_paths
from spectral_select._utils.folders import StoreError
from spectral_select.integrations.data.datasets import load_dataset


class Listed(list):
    """A dataset that returns the items passed to it."""

    def __init__(self, items, **attributes):
        super().__init__(items)
        vars(self).update(attributes)


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (4, 4), i).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


class TestLabels:
    @pytest.mark.parametrize("labels", [[1, 2], (1, 2), np.int8([1, 2]), torch.tensor([1, 2])])
    @pytest.mark.parametrize("name", ["labels", "targets"])
    def test_containers_of_integers(self, labels, name):
        found = sample_labels(SimpleNamespace(**{name: labels}))
        assert (found.dtype, found.tolist()) == (np.int64, [1, 2])

    @pytest.mark.parametrize(
        "targets", [["a.xml", "b.xml"], [0.5, 1.5], [[0, 1], [1, 0]], [[0], [1, 0]], None, print]
    )
    def test_targets_that_are_not_classes_are_not_labels(self, targets):
        assert sample_labels(SimpleNamespace(targets=targets)) is None

    @pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
    def test_rejects_missing_labels(self, missing):
        with pytest.raises(ValueError, match=r"sample 1 has none \(2 labels are missing\)"):
            sample_labels(SimpleNamespace(labels=[3, missing, 4, missing]))

    def test_nested_subsets(self):
        data = Subset(Subset(Listed(range(5), targets=[5, 6, 7, 8, 9]), [4, 3, 2]), [2, 0])
        assert sample_labels(data).tolist() == [7, 9]

    def test_concatenated_datasets(self):
        a, b = Listed([0, 0], labels=[1, 2]), Listed([0], targets=[3])
        assert sample_labels(ConcatDataset([a, b])).tolist() == [1, 2, 3]
        assert sample_labels(ConcatDataset([a, Listed([0])])) is None

    @pytest.mark.parametrize("name", ["label", "labels"])
    def test_column_of_a_hugging_face_dataset(self, name):
        datasets = pytest.importorskip("datasets")
        data = datasets.Dataset.from_dict({"text": ["a", "b"], name: [3, 4]})
        data.set_transform(lambda batch: {"n": [len(text) for text in batch["text"]]})
        assert sample_labels(data).tolist() == [3, 4]
        assert sample_labels(Subset(data, [1])).tolist() == [4]


class TestPaths:
    def test_files_of_a_split_are_relative_to_its_folder(self, folder):
        split = load_dataset(folder, val_fraction=0, test_fraction=0).train
        assert sample_paths(Subset(split, [7, 0])) == ["dog/2.png", "cat/0.png"]

    def test_files_of_a_torchvision_folder_are_relative_to_it(self, folder):
        assert sample_paths(ImageFolder(folder))[3] == "cat/3.png"

    def test_rows_of_arrays_are_named(self):
        split = load_dataset("digits").val
        assert sample_paths(split)[0] == f"digits[{split.indices[0]}]"

    @pytest.mark.parametrize("paths", [["a"], [1, 2], "ab", None])
    def test_attributes_that_are_not_paths_are_ignored(self, paths):
        assert sample_paths(Listed([0, 0], paths=paths, samples=[1, 2])) is None


class TestOtherData:
    """A store is rejected for a dataset with other samples, if the samples can be identified."""

    FEATURES = np.random.default_rng(0).random((10, 4))

    def save(self, path, dataset):
        labels, paths = sample_labels(dataset), sample_paths(dataset)
        return save_embeddings(path, self.FEATURES[: len(dataset)], labels, paths=paths)

    def test_rejects_the_other_half_of_a_random_split(self, tmp_path):
        data = TensorDataset(torch.zeros(20, 3))
        half, other = random_split(data, [10, 10], torch.Generator().manual_seed(0))
        store = self.save(tmp_path, half)
        store.check_matches(half)
        with pytest.raises(StoreError, match=r"row 0 is \d+, but sample 0 of the dataset is \d+"):
            store.check_matches(other)
        with pytest.raises(StoreError, match="belongs to other data"):
            SpectralBatchSampler(None, 2, features=store, dataset=other)

    def test_rejects_other_files(self, folder, tmp_path):
        store = self.save(tmp_path / "s", ImageFolder(folder))
        (folder / "dog" / "2.png").rename(folder / "dog" / "3b.png")
        with pytest.raises(StoreError, match=r"row 7 is dog/2\.png, but .* is dog/3\.png"):
            store.check_matches(ImageFolder(folder))

    def test_accepts_the_same_files_in_another_folder(self, folder, tmp_path):
        store = self.save(tmp_path / "s", ImageFolder(folder))
        whole = load_dataset(folder, val_fraction=0, test_fraction=0).train
        longer = Listed(range(10), paths=[f"photos/{path}" for path in whole.paths])
        for same in (whole, longer, ImageFolder(folder)):
            store.check_matches(same)

    def test_rejects_other_labels_of_a_subset(self, tmp_path):
        data = Listed(range(20), targets=[0, 1] * 10, paths=["same"] * 20)
        store = self.save(tmp_path, Subset(data, range(10)))
        with pytest.raises(StoreError, match="10 labels differ, the first at row 0"):
            store.check_matches(Subset(data, range(1, 11)))

    def test_rejects_labels_of_another_length(self, tmp_path):
        store = self.save(tmp_path, Listed(range(10), labels=list(range(10))))
        with pytest.raises(StoreError, match="3 labels for 10 samples"):
            store.check_matches(Listed(range(10), labels=[1, 2, 3]))
