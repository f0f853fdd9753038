"""Image datasets with recorded splits, and fingerprints that tie features to their images."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.data.folders import read_image_folder
from spectral_select.integrations.data.images import ImageArray, ImageDataset, ImageFiles
from spectral_select.integrations.data.labeled_dataset import SPLITS, SplitOptions

__all__ = ["NAMES", "SPLITS", "ImageDataset", "load_dataset"]

#: Datasets known by name; any other name is the path of an image folder.
NAMES = ("digits", "cifar10", "oxford-pet", "flowers102")

_EXPECTED = {
    "cifar10": "cifar-10-batches-py/ (unpacked from cifar-10-python.tar.gz)",
    "oxford-pet": "oxford-iiit-pet/images/ and oxford-iiit-pet/annotations/"
    " (unpacked from images.tar.gz and annotations.tar.gz)",
    "flowers102": "flowers-102/jpg/ (unpacked from 102flowers.tgz),"
    " flowers-102/imagelabels.mat and flowers-102/setid.mat",
}


_Parts = dict[str, tuple[ImageFiles | ImageArray, NDArray[np.int64]]]


def load_dataset(
    name: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    train_size: int | None = None,
    seed: int = 0,
) -> ImageDataset:
    """Load a dataset with three splits, by name or from a folder.

    Splits that come with the dataset are used unchanged (CIFAR-10 and Oxford-IIIT Pet: train
    and test; Flowers-102: all three; a folder: whichever of ``train/``, ``val/`` and ``test/``
    exist). Missing splits are drawn from the training data, first the test split, then the
    validation split. Both draws are stratified by class.

    Parameters
    ----------
    name : str or path
        "digits" (scikit-learn's 1,797 images of 8 × 8 pixels, no download), "cifar10",
        "oxford-pet", "flowers102", or the path of a folder: either
        ``PATH/train/CLASS/*.jpg`` and ``PATH/test/CLASS/*.jpg`` (``val`` optional; a
        ``val`` without ``test`` becomes the test split) or ``PATH/CLASS/*.jpg``. Split folders
        may have other common names ("training", "valid", "dev", "testing", …), in upper or
        lower case.
    root : path, default "data"
        Folder that named datasets are read from and downloaded to. If `name` is a relative
        path, it is also looked up here.
    download : bool, default True
        Whether to download a named dataset that is not under `root`.
    val_fraction : float, default 0.1
        Share of the training data held out for validation, in [0, 1).
    test_fraction : float, default 0.2
        Share held out for testing if the dataset has no test split, in [0, 1).
    train_size : int, optional
        Number of training images to keep, stratified by class.
    seed : int, default 0
        Seed for the splits, not for training. Keep it fixed in comparisons.

    Returns
    -------
    ImageDataset
        The dataset with ``train``, ``val``, ``test``, ``classes`` and a record of the splits.

    Raises
    ------
    FileNotFoundError
        If the dataset does not exist; the message names the expected files.
    ValueError, TypeError
        If a folder contains no images, a class folder contains folders, a split has a class that
        the training split lacks, or an argument is out of range.

    Examples
    --------
    >>> data = load_dataset("digits")
    >>> len(data.train), len(data.val), len(data.test), len(data.classes)
    (1294, 144, 359, 10)
    """
    options = SplitOptions(
        val_fraction=val_fraction, test_fraction=test_fraction, train_size=train_size, seed=seed
    )
    name = os.fspath(name)
    folder = Path("data" if root is None else root).expanduser()
    if name == "digits":
        parts, classes, size, layout = _digits()
    elif name in _EXPECTED:
        parts, classes, size, layout = _named(name, folder, download)
    else:
        parts, classes, size, layout = _image_folder(name, root)
    return ImageDataset.divide(name, parts, classes, options, layout, image_size=size)


def _digits() -> tuple[_Parts, Sequence[str], int | None, str]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    images = ImageArray(np.repeat(grey[..., None], 3, axis=3), "digits")
    labels = bunch.target.astype(np.int64)
    return {"train": (images, labels)}, [str(k) for k in bunch.target_names], 8, "one part"


def _named(name: str, root: Path, download: bool) -> tuple[_Parts, Sequence[str], int | None, str]:
    from torchvision import datasets

    def get(kind: Any, **options: Any) -> Any:
        try:
            return kind(str(root), download=False, **options)
        except (RuntimeError, OSError) as missing:
            reason: object = "downloads are disabled"
            if download:
                try:
                    return kind(str(root), download=True, **options)
                except (RuntimeError, OSError) as error:
                    reason = f"downloading failed: {getattr(error, 'reason', error)}"
            raise FileNotFoundError(
                f"dataset {name!r} is not in {root}: expected {root}/{_EXPECTED[name]}; {reason}"
            ) from missing

    if name == "cifar10":  # torchvision verifies the checksums before reading the files
        both = {"train": get(datasets.CIFAR10, train=True)}
        both["test"] = get(datasets.CIFAR10, train=False)
        parts: _Parts = {
            key: (ImageArray(part.data, f"cifar10 {key}"), np.asarray(part.targets, np.int64))
            for key, part in both.items()
        }
        return parts, both["train"].classes, 32, "torchvision CIFAR10"
    if name == "oxford-pet":
        official = {"train": "trainval", "test": "test"}
        pets = {k: get(datasets.OxfordIIITPet, split=v) for k, v in official.items()}
        parts = {k: _listed(root, part._images, part._labels) for k, part in pets.items()}
        return parts, pets["train"].classes, None, "torchvision OxfordIIITPet"
    flowers = {k: get(datasets.Flowers102, split=k) for k in ("train", "val", "test")}
    parts = {k: _listed(root, part._image_files, part._labels) for k, part in flowers.items()}
    classes = getattr(flowers["train"], "classes", [str(k) for k in range(102)])
    return parts, classes, None, "torchvision Flowers102"


def _listed(
    root: Path, paths: Sequence[Any], labels: Sequence[int]
) -> tuple[ImageFiles, NDArray[np.int64]]:
    relative = [os.path.relpath(path, root) for path in paths]
    return ImageFiles(root, relative), np.asarray(labels, dtype=np.int64)


def _image_folder(
    name: str, root: str | os.PathLike[str] | None
) -> tuple[_Parts, Sequence[str], int | None, str]:
    folder = Path(name).expanduser()
    if root is not None and not folder.is_absolute() and not folder.exists():
        folder = Path(root).expanduser() / name
    if not folder.exists():
        raise FileNotFoundError(
            f"no dataset {name!r}: expected one of {', '.join(NAMES)}, or a folder of images"
        )
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is a file; expected a folder with one sub-folder of images for each class"
        )
    images = read_image_folder(folder)
    return dict(images.parts), images.classes, None, images.layout
