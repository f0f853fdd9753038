"""The images of any map-style dataset, and metadata that identify them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Subset

from spectral_select._features.dataset_samples import label_column
from spectral_select.integrations.data.images import UnreadableImageError

__all__ = ["ImageSource"]

# Number of images sampled for the content hash, and how many of these are read twice.
_SAMPLED, _READ_TWICE = 32, 8
_IMAGE_KEYS = ("image", "img", "pixel_values")


class ImageSource(Dataset[Any]):
    """The images of a dataset, without the labels; errors are returned instead of raised.

    A loader's worker process would turn a raised exception into the text of its traceback.

    Parameters
    ----------
    dataset : map-style dataset
        Its items are (image, label), a dict with the image under "image", or the image itself.
    transform : callable, optional
        Converts an image to a tensor.

    Examples
    --------
    >>> import torch
    >>> dataset = torch.utils.data.TensorDataset(torch.eye(3), torch.arange(3))
    >>> ImageSource(torch.utils.data.Subset(dataset, [2]))[0]
    tensor([0., 0., 1.])
    """

    def __init__(self, dataset: Any, transform: Callable[[Any], Tensor] | None = None) -> None:
        self.dataset = dataset
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor | Exception:
        try:
            image = _image_of(self.dataset[index])
            if self.transform is not None:
                return self.transform(image)
            if isinstance(image, Image.Image):
                raise TypeError("transform is required, because the dataset contains PIL images")
            return torch.as_tensor(image)
        except UnreadableImageError as error:
            return error
        except ValueError as error:
            named = UnreadableImageError(f"cannot read {self.name(index)}: {error}")
            named.__cause__ = error
            return named

    def image(self, index: int) -> Tensor:
        """Return an image as a tensor, or raise the error from reading it."""
        image = self[index]
        if isinstance(image, Exception):
            raise image
        return image

    def name(self, index: int) -> str:
        """Return the name of an image, for messages."""
        if callable(source := getattr(self.dataset, "source", None)):
            return str(source(index))
        return f"image {index} in the dataset"

    def content_hash(self) -> str:
        """Return the SHA-256 of the number of images and a fixed sample of them.

        The hash covers the images as the backbone receives them, so it depends on the
        transform. Changes to images outside the sample are not detected.

        Raises
        ------
        ValueError
            If an image differs when it is read again.
        """
        n = len(self)
        indices = np.random.default_rng(0).permutation(n)[:_SAMPLED]
        indices = np.unique([0, *indices, n - 1])
        hashes = [self._hash(int(i)) for i in indices]
        for i, before in list(zip(indices, hashes, strict=True))[:_READ_TWICE]:
            if self._hash(int(i)) != before:
                raise ValueError(
                    f"{self.name(int(i))} changes each time it is read; use a transform without "
                    "random changes"
                )
        return hashlib.sha256(f"{n}\0".encode() + b"".join(hashes)).hexdigest()

    def origin(self) -> dict[str, Any]:
        """Return the known properties of the dataset, for a store's metadata."""
        base = self.dataset
        while isinstance(base, Subset):
            base = base.dataset
        classes = _class_names(base)
        drawn_from = getattr(self.dataset, "drawn_from", None)
        known = isinstance(classes, Sequence) and all(isinstance(c, str) for c in classes)
        return {
            "fingerprint": _text(self.dataset, "fingerprint"),
            "content": self.content_hash(),
            "dataset": _text(base, "dataset"),
            "split": _text(self.dataset, "name"),
            "drawn_from": drawn_from if type(drawn_from) is int else None,
            "classes": list(classes) if known and classes else None,
        }

    def _hash(self, index: int) -> bytes:
        image = self.image(index).detach().cpu().contiguous()
        digest = hashlib.sha256(f"{image.dtype}\0{tuple(image.shape)}\0".encode())
        if image.numel():
            digest.update(image.view(-1).view(torch.uint8).numpy().tobytes())
        return digest.digest()


def _class_names(dataset: Any) -> Any:
    column = label_column(dataset)
    if column is not None:
        return getattr(dataset.features[column], "names", None)
    return getattr(dataset, "classes", None)


def _image_of(item: Any) -> Any:
    """Return the image in a dataset item."""
    if isinstance(item, Mapping):
        for key in _IMAGE_KEYS:
            if key in item:
                return item[key]
        raise TypeError(
            f"the dataset's items are dicts with keys {', '.join(map(repr, item))}; "
            f"expected one of {', '.join(map(repr, _IMAGE_KEYS))}"
        )
    return item[0] if isinstance(item, tuple | list) else item


def _text(thing: Any, name: str) -> str | None:
    """Return an attribute if it is a string; other libraries may use the same name differently."""
    value = getattr(thing, name, None)
    return value if isinstance(value, str) and value else None
