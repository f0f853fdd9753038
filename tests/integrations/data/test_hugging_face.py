"""Hugging Face datasets of images and texts."""

from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value, load_dataset
from hub_helpers import hub_images
from text_helpers import write_texts

from spectral_select.integrations.data.hugging_face import HubColumns, load_hugging_face
from spectral_select.integrations.data.images import ImageDataset, UnreadableImageError
from spectral_select.integrations.data.labeled_dataset import SplitOptions


@pytest.fixture
def saved(tmp_path):
    """Images in two splits, saved to disk."""
    parts = {"train": hub_images(30), "validation": hub_images(6, seed=1)}
    DatasetDict(parts).save_to_disk(tmp_path / "pets")
    return tmp_path / "pets"


class TestImages:
    def test_dataset_without_splits_is_divided(self, tmp_path):
        hub_images(30).save_to_disk(tmp_path / "pets")
        data = load_hugging_face(tmp_path / "pets")
        assert isinstance(data, ImageDataset)
        assert data.name == f"hf-dataset:{tmp_path}/pets"
        assert data.classes == ("cat", "dog")
        assert [len(data.train), len(data.val), len(data.test)] == [22, 2, 6]
        image, label = data.train[3]
        assert (image.mode, image.size) == ("RGB", (14, 12))
        assert np.asarray(image).mean((0, 1)).argmax() == label
        assert data.train.paths[3] == f"pets[{data.train.indices[3]}]"

    def test_splits_of_the_dataset(self, saved):
        data = load_hugging_face(saved)
        assert [len(data.train), len(data.val), len(data.test)] == [27, 3, 6]
        assert data.test.paths[:2] == ["validation[0]", "validation[1]"]
        whole = data.split("all")
        assert whole.paths[29:31] == ["train[29]", "validation[0]"]
        assert np.array_equal(np.asarray(whole[30][0]), np.asarray(data.test[0][0]))

    def test_identifiers_from_a_column(self, tmp_path):
        hub_images(30).save_to_disk(tmp_path / "pets")
        data = load_hugging_face(tmp_path / "pets", HubColumns(id="key"))
        assert data.split("all").paths[:2] == ["k0", "k1"]

    def test_fingerprint_depends_on_images_and_labels(self, tmp_path):
        prints = set()
        datasets = [hub_images(30), hub_images(30, side=13), hub_images(30, names=("cat", "cow"))]
        for i, dataset in enumerate([*datasets, datasets[0]]):
            dataset.save_to_disk(tmp_path / str(i) / "pets")
            prints.add(load_hugging_face(tmp_path / str(i) / "pets").train.fingerprint)
        assert len(prints) == 3

    def test_images_by_path(self, tmp_path):
        paths = []
        for i, image in enumerate(hub_images(8)["image"]):
            paths.append(str(tmp_path / f"{i}.png"))
            image.save(paths[-1])
        rows = {"img": paths, "labels": ["a", "b"] * 4}
        Dataset.from_dict(rows).cast_column("img", Image()).save_to_disk(tmp_path / "pets")
        data = load_hugging_face(tmp_path / "pets", options=SplitOptions(val_fraction=0))
        assert data.classes == ("a", "b")
        assert data.train[0][0].size == (14, 12)
        before = data.train.fingerprint
        assert load_hugging_face(tmp_path / "pets").train.fingerprint != before  # another split

    def test_error_names_unreadable_images(self, tmp_path):
        rows = {"image": [{"bytes": b"none", "path": None}] * 4, "label": [0, 1] * 2}
        features = Features(image=Image(), label=ClassLabel(names=["a", "b"]))
        Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "pets")
        with pytest.raises(UnreadableImageError, match=r"cannot read the image pets\[\d\]: "):
            load_hugging_face(tmp_path / "pets", options=SplitOptions(val_fraction=0)).train[0]


class TestTexts:
    def save(self, tmp_path, **columns):
        Dataset.from_dict(columns).save_to_disk(tmp_path / "news")
        return tmp_path / "news"

    def test_texts(self, tmp_path):
        path = self.save(tmp_path, text=[f"text {i}" for i in range(10)], label=[3, 12] * 5)
        data = load_hugging_face(path)
        assert (data.unit, data.classes) == ("texts", ("3", "12"))
        text, label = data.train[0]
        assert text == f"text {data.train.indices[0]}"
        assert label == data.train.indices[0] % 2
        assert data.train.paths[0] == f"news[{data.train.indices[0]}]"

    def test_named_columns(self, tmp_path):
        body = [f"text {i}" for i in range(10)]
        path = self.save(tmp_path, body=body, topic=["a", "b"] * 5, key=list(range(20, 30)))
        data = load_hugging_face(path, HubColumns(text="body", label="topic", id="key"))
        assert data.classes == ("a", "b")
        assert data.split("all").paths[0] == "20"
        with pytest.raises(ValueError, match=r"name the column of texts: 'body', 'topic', 'key'"):
            load_hugging_face(path)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"text": ["x", ""], "label": [0, 1]}, r"news\[1\]: 'text' is empty"),
            ({"text": ["x", "y"], "label": [0, None]}, r"news\[1\]: 'label' is missing"),
            ({"text": [1, 2]}, r"news\[0\]: 'text' must be a string; got int 1"),
        ],
    )
    def test_missing_values(self, tmp_path, columns, message):
        with pytest.raises(ValueError, match=message):
            load_hugging_face(self.save(tmp_path, **columns))

    def test_missing_class_labels(self, tmp_path):
        features = Features(text=Value("string"), label=ClassLabel(names=["a", "b"]))
        rows = {"text": ["x", "y", "z"], "label": [0, -1, 1]}
        Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "news")
        with pytest.raises(ValueError, match=r"news\[1\]: 'label' is missing"):
            load_hugging_face(tmp_path / "news")


class TestNames:
    def test_dataset_in_the_cache(self, tmp_path, monkeypatch):
        texts = write_texts(tmp_path / "texts.jsonl", label="label")
        load_dataset("json", data_files={"train": str(texts)}, cache_dir=tmp_path / "cache")
        # The layout of a dataset downloaded from someone/news.
        (folder,) = (tmp_path / "cache" / "json").iterdir()
        (tmp_path / "cache" / "someone___news").mkdir()
        folder = folder.rename(tmp_path / "cache" / "someone___news" / "default")
        for file in folder.rglob("json-*.arrow"):
            file.rename(file.with_name(file.name.replace("json-", "news-")))
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
        data = load_hugging_face("someone/news")
        assert data.classes == ("animals", "food", "physics")
        assert data.n_samples == 60

    def test_errors(self, saved, tmp_path):
        with pytest.raises(FileNotFoundError, match="no dataset of this name can be read from the"):
            load_hugging_face("missing/dataset")
        (tmp_path / "empty").mkdir()
        with pytest.raises(
            FileNotFoundError, match="empty holds no Hugging Face dataset; expected"
        ):
            load_hugging_face(tmp_path / "empty")
        with pytest.raises(ValueError, match="has no label column 'kind' in train; it has 'image'"):
            load_hugging_face(saved, HubColumns(label="kind"))
        with pytest.raises(ValueError, match=r"column 'key' of .* holds Value.*, not images"):
            load_hugging_face(saved, HubColumns(image="key"))
        with pytest.raises(ValueError, match="an image column or a text column, not both"):
            load_hugging_face(saved, HubColumns(image="image", text="key"))
        parts = {"unsupervised": hub_images(4), "test": hub_images(4)}
        DatasetDict(parts).save_to_disk(tmp_path / "other")
        with pytest.raises(ValueError, match="no split called train; it has unsupervised, test"):
            load_hugging_face(tmp_path / "other")

    def test_offline_setting_is_restored(self):
        from datasets import config

        before = config.HF_HUB_OFFLINE
        with pytest.raises(FileNotFoundError):
            load_hugging_face("missing/dataset")
        assert before == config.HF_HUB_OFFLINE
        assert not Path("missing").exists()
