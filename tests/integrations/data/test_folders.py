"""Folders of images: common names of splits, classes, and ignored files."""

import os
import warnings

import pytest
from PIL import Image

from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.data.folders import read_image_folder


def fill(folder, *names, n=3):
    """Write n images into each of the subfolders `names` of `folder`."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.new("L", (4, 4), i).save(folder / name / f"{i}.png")
    return folder


def paths_of(found):
    return {
        key: [p.replace(os.sep, "/") for p in part[0].paths] for key, part in found.parts.items()
    }


class TestParts:
    @pytest.mark.parametrize("train", ["TRAIN", "Training", "trainval", "Train Set"])
    @pytest.mark.parametrize("val", ["val", "valid", "Validation", "DEV", "valid-set"])
    @pytest.mark.parametrize("test", ["test", "Testing", "test_data"])
    def test_common_names_of_the_parts(self, tmp_path, train, val, test):
        fill(tmp_path, *(f"{part}/{c}" for part in (train, val, test) for c in ("cat", "dog")), n=1)
        found = read_image_folder(tmp_path)
        assert found.classes == ["cat", "dog"]
        assert paths_of(found) == {
            "train": [f"{train}/cat/0.png", f"{train}/dog/0.png"],
            "val": [f"{val}/cat/0.png", f"{val}/dog/0.png"],
            "test": [f"{test}/cat/0.png", f"{test}/dog/0.png"],
        }

    @pytest.mark.parametrize("val", ["val", "valid", "Validation", "dev"])
    def test_validation_part_serves_as_test_part(self, tmp_path, val):
        fill(tmp_path, "train/cat", "train/dog", f"{val}/cat", f"{val}/dog")
        data = load_dataset(tmp_path, val_fraction=0.3)
        assert data.classes == ("cat", "dog")
        assert len(data.test) == 6
        assert all(f"/{val}/" in data.test.source(i) for i in range(6))
        assert len(data.train) + len(data.val) == 6

    def test_layout_without_parts_is_divided(self, tmp_path):
        fill(tmp_path, "cat", "dog")
        assert read_image_folder(tmp_path).layout == "one folder"

    @pytest.mark.parametrize("name", ["train", "test", "dev"])
    def test_class_named_like_a_part(self, tmp_path, name):
        fill(tmp_path, name, "bus", "car")
        assert read_image_folder(tmp_path).classes == sorted(["bus", "car", name])

    @pytest.mark.parametrize(
        "names", [("val", "valid"), ("Train", "training"), ("test", "testing")]
    )
    def test_rejects_two_folders_for_one_part(self, tmp_path, names):
        fill(tmp_path, "train/cat" if "val" in names[0] or "test" in names[0] else "test/cat")
        fill(tmp_path, *(f"{name}/cat" for name in names))
        with pytest.raises(ValueError, match=rf"two folders for the \w+ split, {names[0]} and"):
            read_image_folder(tmp_path)

    @pytest.mark.parametrize("names", [("test/cat", "val/cat"), ("train", "test"), ("train",)])
    def test_rejects_parts_without_training_classes(self, tmp_path, names):
        fill(tmp_path, *names)
        with pytest.raises(ValueError, match="but no folder train with one sub-folder per class"):
            read_image_folder(tmp_path)

    def test_warns_of_folders_that_are_not_parts(self, tmp_path):
        fill(tmp_path, "train/cat", "test/cat", "holdout/cat", "annotations")
        with pytest.warns(UserWarning, match="the folder annotations.*; the folder holdout"):
            found = read_image_folder(tmp_path)
        assert set(found.parts) == {"train", "test"}

    def test_rejects_a_training_part_that_may_be_a_class(self, tmp_path):
        fill(tmp_path, "train", "train/steam", "bus")
        with pytest.raises(ValueError, match="so it could be a class like bus or the"):
            read_image_folder(tmp_path)


class TestClasses:
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("images/cat", "images/dog"), r"images contains folders \(cat, dog\), but a class"),
            (("train/train/cat", "train/train/dog"), r"train/train contains folders \(cat, dog\)"),
            (("cat", "dog", "dog/puppy"), r"dog contains folders \(puppy\)"),
            (("train/cat", "test/cat/old"), r"test/cat contains folders \(old\)"),
            (("eval/cat", "other/cat"), r"eval contains folders \(cat\)"),
        ],
    )
    def test_rejects_classes_that_contain_folders(self, tmp_path, names, message):
        fill(tmp_path, *names)
        with pytest.raises(ValueError, match=message):
            read_image_folder(tmp_path)

    def test_rejects_one_folder_as_two_classes(self, tmp_path):
        fill(tmp_path, "cat")
        (tmp_path / "kitten").symlink_to("cat", target_is_directory=True)
        with pytest.raises(ValueError, match=r"cat and kitten in .* are the same folder"):
            read_image_folder(tmp_path)

    def test_rejects_one_folder_as_two_parts(self, tmp_path):
        fill(tmp_path, "train/cat")
        (tmp_path / "test").symlink_to("train", target_is_directory=True)
        with pytest.raises(ValueError, match=r"and \w+ in .* are the same folder \(linked\)"):
            read_image_folder(tmp_path)

    def test_rejects_test_part_without_labels(self, tmp_path):
        fill(tmp_path, "train/cat", "train/dog", "test")
        with pytest.raises(ValueError, match="test contains 3 images, but no sub-folder per class"):
            read_image_folder(tmp_path)

    def test_classes_may_be_links_to_other_places(self, tmp_path):
        fill(tmp_path / "store", "0", "1")
        (tmp_path / "data").mkdir()
        for name, target in (("cat", "0"), ("dog", "1")):
            (tmp_path / "data" / name).symlink_to(tmp_path / "store" / target)
        found = read_image_folder(tmp_path / "data")
        assert found.classes == ["cat", "dog"]
        assert len(found.parts["train"][0]) == 6


class TestOtherFiles:
    @pytest.fixture
    def photos(self, tmp_path):
        return fill(tmp_path, "cat", "dog")

    @pytest.mark.parametrize("place", [".", "cat"])
    @pytest.mark.parametrize(
        "name", [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".cache", "__pycache__", "Lost+Found"]
    )
    def test_unrelated_folders_are_ignored(self, photos, place, name):
        fill(photos / place, name)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read_image_folder(photos)
        assert found.classes == ["cat", "dog"]
        assert len(found.parts["train"][0]) == 6

    @pytest.mark.parametrize(
        "name", ["._0.png", ".hidden.jpg", "Thumbs.db", "desktop.ini", ".DS_Store"]
    )
    def test_unrelated_files_are_ignored(self, photos, name):
        (photos / "cat" / name).write_bytes(b"no image")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(read_image_folder(photos).parts["train"][0]) == 6

    def test_warns_of_skipped_files_with_their_number(self, photos):
        for name in ("a.GIF", "b.gif", "notes.txt", "README"):
            (photos / "dog" / name).write_bytes(b"")
        (photos / "dog" / "gone.png").symlink_to("nowhere.png")
        (photos / "cover.jpg").write_bytes(b"")
        with pytest.warns(UserWarning, match="skipped") as caught:
            data = load_dataset(photos, val_fraction=0, test_fraction=0)
        (message,) = (str(warning.message) for warning in caught)
        assert f"{photos}: skipped 1 images directly in {photos}, outside its classes" in message
        assert "5 files that are not images (2 .gif, " in message
        assert all(f"1 {kind}" in message for kind in (".txt", "without an ext", "broken links"))
        assert "images end in .jpg" in message
        assert len(data.train) == 6
        assert caught[0].filename == __file__

    def test_extensions_in_any_case(self, photos):
        Image.new("L", (4, 4)).save(photos / "cat" / "LOUD.JPG")
        assert len(read_image_folder(photos).parts["train"][0]) == 7

    @pytest.mark.parametrize("link", ["loop", "cat/back", "cat/self"])
    def test_cyclic_links_are_skipped(self, photos, link):
        target = photos / "cat" if link.endswith("self") else photos
        (photos / link).symlink_to(target, target_is_directory=True)
        with pytest.warns(UserWarning, match="1 files .*1 links to their own folder or one above"):
            found = read_image_folder(photos)
        assert found.classes == ["cat", "dog"]
        assert len(found.parts["train"][0]) == 6
