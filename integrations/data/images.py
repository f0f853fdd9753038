"""Labeled images in files or arrays, and fingerprinted splits of them."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spectral_select.integrations.data.labeled_dataset import LabeledDataset
from spectral_select.integrations.data.labeled_split import LabeledSplit
from spectral_select.integrations.data.rgb import as_rgb

__all__ = ["ImageArray", "ImageDataset", "ImageFiles", "ImageSplit", "UnreadableImageError"]


class UnreadableImageError(ValueError):
    """An image is missing, damaged or not supported; the message names the image."""


class ImageFiles:
    """Images in files under one folder, decoded when requested.

    Parameters
    ----------
    root : Path
        The folder.
    paths : sequence of str
        Paths of the images, relative to the folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (30, 20)).save(folder + "/grey.png")
    ...     images = ImageFiles(Path(folder), ["grey.png"])
    ...     images.load(0).size, images.load(0).mode
    ((30, 20), 'RGB')
    """

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root = root
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, i: int) -> str:
        """Return the name of image `i`, for messages."""
        return str(self.root / self.paths[i])

    def id(self, i: int) -> str:
        """Return the path of image `i` relative to the folder, so that the folder can be moved."""
        return Path(self.paths[i]).as_posix()

    def load(self, i: int) -> Image.Image:
        """Return image `i` as 8-bit RGB: upright, with transparent pixels blended with white."""
        path = self.name(i)
        try:
            with Image.open(path) as image:
                _bound_pixels(image)
                return as_rgb(image)
        # Pillow raises SyntaxError for some broken PNG files.
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).replace(repr(path), "").split())
            raise UnreadableImageError(f"cannot read the image {path}: {reason}") from error

    def digest(self, indices: NDArray[np.int64]) -> bytes:
        """Return a SHA-256 digest of the paths and sizes of the files at `indices`, in order."""
        digest = hashlib.sha256()
        for i in indices:
            try:
                size = os.stat(self.name(i)).st_size  # noqa: PTH116  (faster for many files)
            except OSError as error:
                raise UnreadableImageError(f"cannot read the image {self.name(i)}") from error
            digest.update(f"{self.id(i)}\0{size}\0".encode("utf-8", "surrogateescape"))
        return digest.digest()

    def joined(self, others: "Sequence[ImageFiles]") -> "ImageFiles":
        """Return these images followed by those of `others`, all below the same folder."""
        return ImageFiles(self.root, [path for part in (self, *others) for path in part.paths])


def _bound_pixels(image: Image.Image) -> None:
    """Reject images above Pillow's pixel limit, except JPEG files that fit at half size."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is None or image.width * image.height <= limit:
        return
    image.draft(None, (-(-image.width // 2), -(-image.height // 2)))
    if image.width * image.height > limit:
        raise ValueError(
            f"it has {image.width} × {image.height} pixels, more than the limit of {limit} "
            "(PIL.Image.MAX_IMAGE_PIXELS); shrink the image"
        )


class ImageArray:
    """Images in one array.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), uint8
        RGB.
    name : str
        Name of the array, for messages.
    names : sequence of str, optional
        Names of the images; by default NAME[INDEX].

    Examples
    --------
    >>> import numpy as np
    >>> images = ImageArray(np.zeros((5, 8, 8, 3), np.uint8), "zeros")
    >>> len(images), images.name(3), images.load(3).size
    (5, 'zeros[3]', (8, 8))
    """

    def __init__(
        self, images: NDArray[np.uint8], name: str, names: Sequence[str] | None = None
    ) -> None:
        self.images = images
        self.source = name
        self.names = names

    def __len__(self) -> int:
        return len(self.images)

    def name(self, i: int) -> str:
        """Return the name of image `i`, for messages."""
        return f"{self.source}[{i}]" if self.names is None else self.names[i]

    id = name

    def load(self, i: int) -> Image.Image:
        """Return image `i` as RGB."""
        return Image.fromarray(self.images[i])

    def digest(self, indices: NDArray[np.int64]) -> bytes:
        """Return a SHA-256 digest of the images at `indices`, in order."""
        digest = hashlib.sha256(repr(self.images.shape[1:]).encode())
        for start in range(0, len(indices), 1024):
            digest.update(self.images[indices[start : start + 1024]].tobytes())
        return digest.digest()

    def joined(self, others: "Sequence[ImageArray]") -> "ImageArray":
        """Return these images followed by those of `others`, with unchanged names."""
        parts = (self, *others)
        names = [part.name(i) for part in parts for i in range(len(part))]
        return ImageArray(np.concatenate([part.images for part in parts]), self.source, names)


class ImageSplit(LabeledSplit):
    """One split of an image dataset: a map-style dataset of pairs (image, label).

    Parameters
    ----------
    samples : ImageFiles, ImageArray or other samples
        The images.
    labels : array of int, shape (len(samples),), or None
        Label of every image in `samples`; None if the dataset has no labels.
    indices : array of int, shape (n,)
        Indices into `samples` of the images in the split, in order.
    classes : sequence of str
        Class names, by label.
    name : str
        "train", "val", "test" or "all".
    transform : callable, optional
        Applied to the PIL image (RGB) before it is returned.
    dataset : str
        Name of the dataset.

    Attributes
    ----------
    labels : array of int64, shape (n,), or None
        Labels of the images in the split, available without decoding images.

    Examples
    --------
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> split = load_dataset("digits").train
    >>> image, label = split[0]
    >>> image.size, label == split.labels[0]
    ((8, 8), np.True_)
    """


class ImageDataset(LabeledDataset):
    """An image dataset with three splits.

    Attributes
    ----------
    name : str
        Name of the dataset, or path of its folder.
    classes : tuple of str
        Class names, by label.
    train, val, test : ImageSplit
        The splits; `val` and `test` may be empty.
    record : dict
        How the dataset was split (layout, seed, fractions), for JSON.
    sources : tuple of (images, labels)
        The files or arrays that the splits were drawn from, with the labels of their images.
    image_size : int or None
        Side of the images in pixels, or None if their sizes differ.

    Examples
    --------
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> data = load_dataset("digits")
    >>> data.split("test") is data.test, data.image_size, data.record["layout"]
    (True, 8, 'one part')
    """

    unit = "images"
    _split_class = ImageSplit
