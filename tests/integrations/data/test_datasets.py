"""Datasets: contents of splits, fingerprints, and error messages."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import write_images
from PIL import Image

from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.data.images import ImageArray, UnreadableImageError
from spectral_select.integrations.data.splits import stratified_split


@pytest.fixture
def flat(tmp_path):
    return write_images(tmp_path / "flat", ["cat", "dog"], 10)


@pytest.fixture
def layered(tmp_path):
    for part, n in (("train", 8), ("val", 2), ("test", 3)):
        write_images(tmp_path / "layered" / part, ["cat", "dog"], n, seed=n)
    return tmp_path / "layered"


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_stratified_split_is_a_proportional_partition(sizes, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n_held = round(share * len(labels))
    rest, held = stratified_split(labels, n_held, seed)
    assert np.array_equal(np.sort(np.concatenate([rest, held])), np.arange(len(labels)))
    assert len(held) == n_held
    assert (np.diff(rest) > 0).all()
    assert (np.diff(held) > 0).all()
    counts = np.bincount(labels[held], minlength=len(sizes))
    assert (counts <= np.asarray(sizes)).all()
    if n_held <= len(labels) - len(sizes):
        assert (counts < np.asarray(sizes)).all(), "a class was emptied without need"
    again = stratified_split(labels, n_held, seed)
    assert np.array_equal(again[1], held)


def test_split_draws_differ_by_seed_and_leave_the_global_state():
    labels = np.zeros(100, dtype=int)
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (it must stay as it is)
    one, other = (stratified_split(labels, 50, seed)[1] for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_digits_need_no_files_and_have_three_disjoint_parts():
    data = load_dataset("digits")
    parts = [data.train, data.val, data.test]
    assert np.array_equal(
        np.sort(np.concatenate([part.indices for part in parts])), np.arange(1797)
    )
    assert data.image_size == 8
    for part in parts:
        assert set(part.labels) == set(range(10))
        image, label = part[0]
        assert (image.mode, image.size, label) == ("RGB", (8, 8), part.labels[0])
    assert data.describe()["count"] == {"train": 1294, "val": 144, "test": 359}


def test_flat_folder_is_split(flat):
    data = load_dataset(flat)
    assert data.classes == ("cat", "dog")
    assert [len(data.train), len(data.val), len(data.test)] == [14, 2, 4]
    sources = [
        part.source(i)
        for part in map(data.split, ("train", "val", "test"))
        for i in range(len(part))
    ]
    assert sorted(sources) == sorted(map(str, flat.rglob("*.png")))
    for part in map(data.split, ("train", "val", "test")):
        for i in range(len(part)):
            assert part.classes[part.labels[i]] in part.source(i)


def test_parts_of_a_folder_are_used(layered):
    data = load_dataset(layered)
    assert [len(data.train), len(data.val), len(data.test)] == [16, 4, 6]
    assert data.record["val_fraction"] is None
    shutil.rmtree(layered / "test")
    data = load_dataset(layered)  # in ImageNet's layout, the folder val is the test split
    assert [len(data.train), len(data.val), len(data.test)] == [14, 2, 4]
    assert "/val/" in data.test.source(0)


@pytest.mark.parametrize("options", [{}, {"train_size": 3, "val_fraction": 0.3}])
def test_all_images_ignore_the_parts(flat, layered, options):
    for folder, n in ((flat, 20), (layered, 26)):
        data = load_dataset(folder, **options)
        whole = data.split("all")
        assert len(whole) == data.n_samples == n
        assert sorted(whole.paths) == sorted(
            p.relative_to(folder).as_posix() for p in folder.rglob("*.png")
        )
        assert all(f"/{data.classes[y]}/" in whole.source(i) for i, y in enumerate(whole.labels))
        assert whole.drawn_from is None
        assert data.train.drawn_from == (20 if folder == flat else None if not options else 16)


def test_all_images_of_arrays_keep_their_names():
    parts = [ImageArray(np.full((2, 4, 4, 3), k, np.uint8), f"part {k}") for k in (1, 2)]
    whole = parts[0].joined(parts[1:])
    assert [whole.name(i) for i in range(4)] == ["part 1[0]", "part 1[1]", "part 2[0]", "part 2[1]"]
    assert np.asarray(whole.load(3))[0, 0, 0] == 2


def test_labels_agree_if_a_part_lacks_a_class(layered):
    shutil.rmtree(layered / "test" / "cat")
    data = load_dataset(layered)
    assert set(data.test.labels) == {1}
    assert all("dog" in data.test.source(i) for i in range(len(data.test)))


def test_train_size_selects_a_stratified_part(flat):
    data = load_dataset(flat, train_size=6)
    assert np.bincount(data.train.labels).tolist() == [3, 3]
    assert set(data.train.indices) <= set(load_dataset(flat).train.indices)


def test_transform_is_applied_to_a_copy(flat):
    split = load_dataset(flat).train
    sizes = split.with_transform(lambda image: image.size)
    assert sizes[0][0] == (10, 12)
    assert split[0][0].size == (10, 12)
    assert sizes.fingerprint == split.fingerprint


def test_splits_survive_pickling(flat):
    split = load_dataset(flat).train
    copied = pickle.loads(pickle.dumps(split))
    assert copied.fingerprint == split.fingerprint
    assert copied[3][0].tobytes() == split[3][0].tobytes()


class TestFingerprint:
    def test_is_the_same_after_moving_the_folder(self, flat, tmp_path):
        before = load_dataset(flat).describe()["fingerprint"]
        shutil.copytree(flat, tmp_path / "moved")
        assert load_dataset(tmp_path / "moved").describe()["fingerprint"] == before

    def test_differs_between_parts_and_seeds(self, flat):
        prints = [*load_dataset(flat).describe()["fingerprint"].values()]
        prints += load_dataset(flat, seed=1).describe()["fingerprint"].values()
        assert len(set(prints)) == 6

    @pytest.mark.parametrize("change", ["grow", "rename", "add", "move"])
    def test_changes_with_the_files(self, flat, change):
        options = {"val_fraction": 0, "test_fraction": 0}
        before = load_dataset(flat, **options).train.fingerprint
        first = flat / "cat" / "000.png"
        if change == "grow":
            first.write_bytes(first.read_bytes() + b"0")
        elif change == "rename":
            first.rename(flat / "cat" / "zzz.png")
        elif change == "add":
            shutil.copy(first, flat / "cat" / "more.png")
        else:
            first.rename(flat / "dog" / "000a.png")
        assert load_dataset(flat, **options).train.fingerprint != before

    def test_changes_with_the_order(self, flat):
        split = load_dataset(flat).train
        other = type(split)(
            split.samples,
            load_dataset(flat, val_fraction=0, test_fraction=0).train.labels,
            split.indices[::-1],
            split.classes,
            split.name,
        )
        assert other.fingerprint != split.fingerprint


class TestBadInput:
    def test_rejects_unknown_name(self):
        with pytest.raises(FileNotFoundError, match=r"'nope'.*digits, cifar10.*or a folder"):
            load_dataset("nope")

    def test_rejects_file(self, flat):
        with pytest.raises(NotADirectoryError, match=r"000\.png is a file; expected a folder"):
            load_dataset(flat / "cat" / "000.png")

    def test_rejects_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match=r"contains no sub-folders: expected .*CLASS"):
            load_dataset(tmp_path)

    def test_rejects_class_without_images(self, flat):
        (flat / "empty").mkdir()
        (flat / "empty" / "notes.txt").write_text("no image")
        with pytest.raises(ValueError, match=r"flat/empty: no images found; expected .*\.jpg"):
            load_dataset(flat)

    def test_hidden_folders_are_not_classes(self, flat):
        (flat / ".cache").mkdir()
        assert load_dataset(flat).classes == ("cat", "dog")

    def test_rejects_class_that_train_lacks(self, layered):
        write_images(layered / "test", ["emu"], 1)
        with pytest.raises(ValueError, match=r"test has classes that .*train lacks: emu"):
            load_dataset(layered)

    def test_rejects_empty_part(self, layered):
        shutil.rmtree(layered / "test")
        (layered / "test").mkdir()
        with pytest.raises(ValueError, match="test contains no images"):
            load_dataset(layered)

    @pytest.mark.parametrize("content", [b"", b"not an image", None])
    def test_names_unreadable_image(self, flat, content):
        victim = flat / "dog" / "004.png"
        victim.write_bytes(victim.read_bytes()[:60] if content is None else content)
        split = load_dataset(flat, val_fraction=0, test_fraction=0).train
        with pytest.raises(UnreadableImageError, match=r"cannot read the image .*dog/004\.png"):
            split[14]

    def test_names_missing_image(self, flat):
        split = load_dataset(flat, val_fraction=0, test_fraction=0).train
        (flat / "dog" / "004.png").unlink()
        with pytest.raises(UnreadableImageError, match=r"dog/004\.png"):
            split[14]
        with pytest.raises(UnreadableImageError, match=r"dog/004\.png"):
            _ = split.fingerprint

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\); got 1\.0"),
            ({"test_fraction": -0.1}, r"test_fraction must be in \[0, 1\); got -0\.1"),
            ({"val_fraction": "0.1"}, "val_fraction must be a number.* of type str"),
            ({"seed": -1}, "seed must be a nonnegative integer; got -1"),
            (
                {"train_size": 0},
                "train_size must be from 1 to 1294, the number of t",
            ),
            ({"train_size": 1.5}, "train_size must be an integer; got 1.5"),
        ],
    )
    def test_rejects_arguments_out_of_range(self, options, message):
        with pytest.raises((ValueError, TypeError), match=message):
            load_dataset("digits", **options)

    def test_rejects_unknown_split(self):
        with pytest.raises(ValueError, match="one of train, val, test, all; got 'rest'"):
            load_dataset("digits").split("rest")


@pytest.mark.parametrize("name", ["cifar10", "oxford-pet", "flowers102"])
def test_missing_named_data_are_described(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"'{name}'.*expected {tmp_path}/.*unpacked"):
        load_dataset(name, root=tmp_path, download=False)


def test_reports_failed_download(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", fail)
    with pytest.raises(FileNotFoundError, match="downloading failed: no route to host"):
        load_dataset("cifar10", root=tmp_path)


def test_cifar10_is_read_by_torchvision(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        pixels = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        content = {"data": pixels, "labels": [i % 10 for i in range(20)]}
        (folder / name).write_bytes(pickle.dumps(content))
    names = {"label_names": [f"class {k}" for k in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    with pytest.raises(FileNotFoundError):  # wrong checksums, so nothing is unpickled
        load_dataset("cifar10", root=tmp_path, download=False)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *args: True)
    data = load_dataset("cifar10", root=tmp_path, download=False)
    assert [len(data.train), len(data.val), len(data.test)] == [90, 10, 20]
    assert data.train[0][0].size == (32, 32)
    assert data.image_size == 32
    assert data.classes[3] == "class 3"


def test_oxford_pet_is_read_by_torchvision(tmp_path):
    images = tmp_path / "oxford-iiit-pet" / "images"
    notes = tmp_path / "oxford-iiit-pet" / "annotations"
    notes.mkdir(parents=True)
    write_images(images.parent, ["images"], 0)
    for part, numbers in (("trainval", range(10)), ("test", range(10, 14))):
        lines = []
        for i in numbers:
            breed, label = ("Bombay", 1) if i % 2 else ("Pug", 2)
            Image.new("RGB", (9, 9)).save(images / f"{breed}_{i}.jpg")
            lines.append(f"{breed}_{i} {label} 1 1")
        (notes / f"{part}.txt").write_text("\n".join(lines) + "\n")
    data = load_dataset("oxford-pet", root=tmp_path, download=False)
    assert data.classes == ("Bombay", "Pug")
    assert [len(data.train), len(data.val), len(data.test)] == [9, 1, 4]
    assert all(data.classes[y] in data.test.source(i) for i, y in enumerate(data.test.labels))
    assert os.fspath(tmp_path) in data.train.source(0)


def test_flowers102_is_read_by_torchvision(tmp_path, monkeypatch):
    from scipy.io import savemat

    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for i in range(1, 9):
        Image.new("RGB", (9, 9)).save(folder / "jpg" / f"image_{i:05}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.arange(1, 9)})
    savemat(folder / "setid.mat", {"trnid": [1, 2, 3], "valid": [4, 5], "tstid": [6, 7, 8]})
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_check_integrity", lambda self: True)
    data = load_dataset("flowers102", root=tmp_path, download=False)
    assert [len(data.train), len(data.val), len(data.test)] == [3, 2, 3]
    assert data.test.labels.tolist() == [5, 6, 7]
    assert data.record["val_fraction"] is None
