import json

import make_condition
import numpy as np
import pytest
from image_helpers import write_images
from PIL import Image

from spectral_select.integrations.data.datasets import load_dataset

CLASSES = ("beach", "forest", "street")


@pytest.fixture
def photos(tmp_path):
    for part, n in (("train", 20), ("test", 3)):
        write_images(tmp_path / "photos" / part, CLASSES, n, seed=n, name="{:02}.png")
    return tmp_path / "photos"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def origin(photos, image):
    """Return the class that an image came from."""
    content = image.read_bytes()
    return next(p.parent.name for p in photos.glob("train/*/*") if p.read_bytes() == content)


def write(photos, condition, name="new", seed=0):
    target = photos.parent / name
    assert make_condition.main(
        [str(photos), str(target), f"--condition={condition}", f"--seed={seed}"]
    ) == 0  # fmt: skip
    about = json.loads((target / "condition.json").read_text())
    images = list(target.glob("train/*/*"))
    assert len(images) == about["images"]
    assert contents(target / "test") == contents(photos / "test")
    assert len(load_dataset(str(target)).test) == 9
    return about, images


def test_as_is_has_every_image_once(photos):
    about, images = write(photos, "as-is")
    assert about == {"condition": "as-is", "seed": 0, "images": 60, "wrong": 0, "copies": 0}
    assert all(origin(photos, image) == image.parent.name for image in images)


def test_fifth_of_the_images_is_in_another_folder(photos):
    about, images = write(photos, "wrong-labels")
    assert (about["images"], about["wrong"]) == (60, 12)
    assert sum(origin(photos, image) != image.parent.name for image in images) == 12


def test_near_copies_differ_slightly_from_an_image_of_their_class(photos):
    about, images = write(photos, "redundant")
    assert (about["images"], about["copies"]) == (60, 42)
    exact = contents(photos / "train").values()
    copies = [image for image in images if image.read_bytes() not in exact]
    assert len(copies) == 42
    for copy in copies[:5]:
        pixels = np.asarray(Image.open(copy), float)
        away = [
            np.abs(pixels - np.asarray(Image.open(path), float)).mean()
            for path in (photos / "train" / copy.parent.name).iterdir()
        ]
        assert 0 < min(away) < 6


def test_depends_on_the_seed(photos):
    first, again, other = (
        contents(write(photos, "long-tailed-wrong-labels", name, seed) and photos.parent / name)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first != other


def test_rejected_arguments_leave_no_files(photos, capsys):
    (photos.parent / "full").mkdir()
    for source, target, message in [
        (photos / "train", photos.parent / "new", "has no train/"),
        (photos, photos.parent / "full", "target already exists"),
    ]:
        arguments = [str(source), str(target), "--condition=as-is"]
        assert make_condition.main(arguments) == 2
        assert message in capsys.readouterr().err
    assert {path.name for path in photos.parent.iterdir()} == {"photos", "full"}
