"""The images in a split as one table of pixels, decoded when first requested."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from spectral_select._utils.validation import check_positive_int
from spectral_select.integrations.data.images import UnreadableImageError
from spectral_select.integrations.data.rgb import as_rgb

__all__ = ["DecodedImages", "cache_room", "resize_and_crop", "to_device"]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a host tensor to `device` without waiting for the copy to finish.

    Parameters
    ----------
    tensor : Tensor
        A tensor on the host.
    device : torch.device
        Target device; for the CPU, `tensor` itself is returned.

    Examples
    --------
    >>> ones = torch.ones(2)
    >>> to_device(ones, torch.device("cpu")) is ones
    True
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def resize_and_crop(image: Any, size: int) -> NDArray[np.uint8]:
    """Resize an image so that its shorter side is `size`, and crop the center.

    Parameters
    ----------
    image : PIL image, array or Tensor
        Anything that `as_rgb` accepts. Arrays have shape (height, width, 3), tensors
        (3, height, width).
    size : int
        Side in pixels.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8
        The image in RGB.

    Examples
    --------
    >>> from PIL import Image
    >>> resize_and_crop(Image.new("RGB", (30, 20)), 8).shape
    (8, 8, 3)
    """
    return _square(as_rgb(image), size)


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Return an RGB image resized and cropped."""
    width, height = image.size
    if (width, height) != (size, size):
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        # Cropping and resizing in one step reads only the pixels that are kept.
        image = image.resize(
            (size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
        )
    return np.asarray(image, dtype=np.uint8)


_CHUNK = 1024  # images decoded at a time
# Below this size, threads mostly wait for Python's GIL. On 2 cores, two threads decode
# 112 px images 1.2 times as fast as one thread, but 32 px images only 0.6 times as fast.
_THREADED_PIXELS = 64 * 64
# Share of a GPU's free memory that one table may use; each method and each split of the data needs
# a table.
_SHARE = 0.25


class DecodedImages:
    """A dataset's images at one size, each decoded when first requested, then cached.

    The images are cached on the target device if they fit. Then only indices are copied from the
    host, and a batch is looked up in device memory.

    Parameters
    ----------
    dataset : map-style dataset
        Its items are (image, label).
    image_size : int
        Side of the square images, in pixels.
    cache_bytes : int
        Maximum memory for the images. If the whole dataset needs more, nothing is cached, and
        images are decoded each time.
    n_threads : int, default=1
        Number of decoding threads.
    device : torch.device, optional
        Device for the batches; the CPU by default.

    Attributes
    ----------
    forgets : bool
        Whether the images need more than `cache_bytes`, so that none are cached.
    resident : bool
        Whether the images are cached on `device`.
    n_decoded : int
        Number of images decoded so far; an image decoded twice counts twice.

    Examples
    --------
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> images = DecodedImages(load_dataset("digits").train, 32, cache_bytes=10**8)
    >>> images.take([5, 3, 5]).shape, images.n_decoded
    (torch.Size([3, 3, 32, 32]), 2)
    """

    def __init__(
        self,
        dataset: Any,
        image_size: int,
        *,
        cache_bytes: int,
        n_threads: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.dataset = dataset
        self.device = torch.device("cpu") if device is None else device
        self.image_size = check_positive_int(image_size, "image_size")
        self.n_decoded = 0
        self._n_threads = check_positive_int(n_threads, "n_threads")
        self._pool: ThreadPoolExecutor | None = None
        shape = (len(dataset), 3, image_size, image_size)
        n_bytes = int(np.prod(shape))
        fits = n_bytes <= cache_bytes
        self.forgets = not fits
        self.resident = fits and n_bytes <= cache_room(self.device)
        home = self.device if self.resident else torch.device("cpu")
        # On the host, pages that were never written use no memory.
        self._pixels = torch.empty(shape, dtype=torch.uint8, device=home) if fits else None
        self._known = np.zeros(len(dataset), bool)

    def __len__(self) -> int:
        return len(self._known)

    def take(self, indices: Any) -> Tensor:
        """Return the images at `indices`; decode the images that are not cached.

        Parameters
        ----------
        indices : array of int, shape (n,)
            Indices into the dataset.

        Returns
        -------
        Tensor of shape (n, 3, image_size, image_size), uint8
            The images, on the device.
        """
        indices = np.asarray(indices, dtype=np.int64)
        if self._pixels is None:
            return to_device(self._decode(indices), self.device)
        missing = np.unique(indices[~self._known[indices]])
        if len(missing):
            self._pixels[torch.from_numpy(missing)] = self._decode(missing).to(self._pixels.device)
            self._known[missing] = True
        places = to_device(torch.from_numpy(indices), self._pixels.device)
        images = self._pixels[places]
        return images if self.resident else to_device(images, self.device)

    def blank(self, count: int) -> Tensor:
        """Return `count` black images, on the device."""
        shape = (count, 3, self.image_size, self.image_size)
        return torch.zeros(shape, dtype=torch.uint8, device=self.device)

    def fill(self, indices: Any) -> None:
        """Decode the images at `indices` ahead of time, if images are cached."""
        if self._pixels is not None:
            for start in range(0, len(indices), _CHUNK):
                self.take(indices[start : start + _CHUNK])

    def close(self) -> None:
        """Stop the decoding threads; they restart when needed."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _decode(self, indices: NDArray[np.int64]) -> Tensor:
        out = np.empty((len(indices), self.image_size, self.image_size, 3), np.uint8)

        def fill(places: NDArray[np.int64]) -> int:
            """Decode images, and return the number of pixels of the last one before resizing."""
            n_pixels = 0
            for place in places:
                image = _rgb_at(self.dataset, int(indices[place]))
                n_pixels = image.width * image.height
                out[place] = _square(image, self.image_size)
            return n_pixels

        places = np.arange(len(indices))
        large = fill(places[:1]) >= _THREADED_PIXELS
        if large and self._n_threads > 1 and len(indices) >= 2 * self._n_threads:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._n_threads, "decode")
            for _ in self._pool.map(fill, np.array_split(places[1:], 4 * self._n_threads)):
                pass
        else:
            fill(places[1:])
        self.n_decoded += len(indices)
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def _rgb_at(dataset: Any, index: int) -> Image.Image:
    image = dataset[index][0]
    try:
        return as_rgb(image)
    except (TypeError, ValueError) as error:
        raise UnreadableImageError(f"cannot read image {index} in the dataset: {error}") from error


def cache_room(device: torch.device) -> float:
    """Return how many bytes of images may be cached on a device."""
    if device.type != "cuda":
        return float("inf")
    return _SHARE * torch.cuda.mem_get_info(device)[0]
