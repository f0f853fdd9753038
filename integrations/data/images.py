"""Labeled images in files or arrays, and fingerprinted splits of them."""

import copy
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from spectral_select.integrations.data.rgb import as_rgb

__all__ = ["ImageArray", "ImageFiles", "ImageSplit", "UnreadableImageError", "concatenated"]


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
        """Return a SHA-256 digest of the images at `indices`, in order."""
        digest = hashlib.sha256()
        for i in indices:
            try:
                size = os.stat(self.name(i)).st_size  # noqa: PTH116  (50,000 of them)
            except OSError as error:
                raise UnreadableImageError(f"cannot read the image {self.name(i)}") from error
            digest.update(f"{self.id(i)}\0{size}\0".encode("utf-8", "surrogateescape"))
        return digest.digest()


def _bound_pixels(image: Image.Image) -> None:
    """Reject images above Pillow's pixel limit; large JPEG files are read at half size first."""
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


def concatenated(sources: Sequence[ImageFiles | ImageArray]) -> ImageFiles | ImageArray:
    """Concatenate image sources of the same dataset.

    Parameters
    ----------
    sources : sequence of ImageFiles or of ImageArray
        At least one source; all are files under the same folder, or all are arrays.

    Returns
    -------
    ImageFiles or ImageArray
        All images; `sources[0]` itself if it is the only source.

    Examples
    --------
    >>> parts = [ImageFiles(Path("photos"), ["train/a.jpg"]), ImageFiles(Path("photos"), ["b.jpg"])]
    >>> concatenated(parts).paths
    ['train/a.jpg', 'b.jpg']
    """
    first = sources[0]
    if len(sources) == 1:
        return first
    if isinstance(first, ImageFiles):
        paths = [path for part in sources if isinstance(part, ImageFiles) for path in part.paths]
        return ImageFiles(first.root, paths)
    arrays = [part for part in sources if isinstance(part, ImageArray)]
    names = [part.name(i) for part in arrays for i in range(len(part))]
    return ImageArray(np.concatenate([part.images for part in arrays]), first.source, names)


class ImageSplit(Dataset[tuple[Any, int]]):
    """One split of a dataset: a map-style dataset of pairs (image, label).

    Parameters
    ----------
    images : ImageFiles or ImageArray
        The images.
    labels : array of int, shape (len(images),)
        Label of every image in `images`.
    indices : array of int, shape (n,)
        Indices into `images` of the images in the split, in order.
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
    labels : array of int64, shape (n,)
        Labels of the images in the split, available without decoding images.

    Examples
    --------
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> split = load_dataset("digits").train
    >>> image, label = split[0]
    >>> image.size, label == split.labels[0]
    ((8, 8), np.True_)
    """

    def __init__(
        self,
        images: ImageFiles | ImageArray,
        labels: NDArray[np.int64],
        indices: NDArray[np.int64],
        classes: Sequence[str],
        name: str,
        transform: Callable[[Any], Any] | None = None,
        dataset: str = "",
    ) -> None:
        self.images = images
        self.indices = np.asarray(indices, dtype=np.int64)
        self.labels = np.asarray(labels, dtype=np.int64)[self.indices]
        self.classes = tuple(classes)
        self.name = name
        self.transform = transform
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.images.load(int(self.indices[index]))
        return (self.transform(image) if self.transform else image), int(self.labels[index])

    def with_transform(self, transform: Callable[[Any], Any] | None) -> "ImageSplit":
        """Return the same split with a different transform, without copying data.

        Parameters
        ----------
        transform : callable or None
            Applied to the PIL image (RGB) before it is returned.

        Returns
        -------
        ImageSplit
            A split that shares labels and images with this split.
        """
        other = copy.copy(self)
        other.transform = transform
        return other

    def source(self, index: int) -> str:
        """Return the path or name of image `index`, for messages."""
        return self.images.name(int(self.indices[index]))

    @property
    def paths(self) -> list[str]:
        """Paths of the images relative to the dataset's folder; names for images without files."""
        return [self.images.id(int(i)) for i in self.indices]

    @property
    def drawn_from(self) -> int | None:
        """Number of images that the split was drawn from, or None if it contains all of them."""
        return len(self.images) if len(self) < len(self.images) else None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the split's content and order, as 64 hexadecimal digits.

        For image files, it covers each file's relative path, its size in bytes and its label.
        It does not cover pixels, so a file replaced by one of equal size goes unnoticed. For
        arrays, it covers every byte and label. Class names are covered too. The transform and
        the root folder are not, so the folder may be moved.
        """
        digest = hashlib.sha256(b"spectral_select split 1\0")
        digest.update("\0".join(self.classes).encode("utf-8", "surrogateescape"))
        digest.update(self.images.digest(self.indices))
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()
