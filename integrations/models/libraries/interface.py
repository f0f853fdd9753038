"""Common interface of the model libraries: the backbone, its transform, and shared errors."""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from spectral_select.integrations.data.rgb import as_rgb
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.pretrained_weights import hash_weights

__all__ = [
    "Backbone",
    "RgbTransform",
    "Transform",
    "finish",
    "fits",
    "short_reason",
]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Largest aspect ratio. Most libraries resize the shorter side to about 256 px before cropping, so
# an image with a larger aspect ratio would need gigabytes of memory.
_LONGEST = 1000

#: Converts an image to a tensor of shape (3, height, width).
Transform = Callable[[Any], Tensor]


class Backbone(nn.Module):
    """Map images to embeddings, either raw pixels or the output of a network's last hidden layer.

    Built by `build_backbone`. The embedding is what the network's last layer would receive,
    averaged over any remaining spatial dimensions.

    Parameters
    ----------
    network : Module
        Maps a batch of normalized images to a tensor of shape (n, dim) or (n, dim, h, w).
    name : str
        Name of the architecture.
    dim : int
        Length of an embedding.
    image_size : int
        Side of the input images, in pixels; the longer side if they are not square.
    weights : str
        Origin of the weights, recorded with results.
    weights_hash : str
        Hash of the network's weights, from `hash_weights`.
    mean, std : tuple of three floats
        Per-channel statistics used to normalize uint8 images.
    library : str, optional
        The installed package that the network comes from. Its version is recorded.
    revision : str, optional
        Commit of the weights on a model hub.

    Examples
    --------
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> backbone = Backbone(network, name="small", dim=4, image_size=8, weights="random",
    ...                     weights_hash=hash_weights(network))
    >>> backbone(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        dim: int,
        image_size: int,
        weights: str,
        weights_hash: str,
        mean: tuple[float, ...] = _MEAN,
        std: tuple[float, ...] = _STD,
        library: str | None = None,
        revision: str | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.dim = dim
        self.image_size = image_size
        self.weights = weights
        self.weights_hash = weights_hash
        self.library = library
        self.library_version = None if library is None else version(library)
        self.revision = revision
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings of a batch of images.

        Parameters
        ----------
        images : Tensor, shape (n, 3, height, width)
            Either uint8 RGB, which is normalized here so that data loaders transfer a quarter of
            the bytes of float32, or floating point, already normalized.

        Returns
        -------
        Tensor, shape (n, dim)
        """
        features: Tensor = self.network(self.normalize(images))
        return features.flatten(2).mean(2) if features.ndim > 2 else features

    def normalize(self, images: Tensor) -> Tensor:
        """Return `images` normalized if they are uint8, and unchanged otherwise."""
        return (images - self.mean) / self.std if images.dtype == torch.uint8 else images


class RgbTransform:
    """A library's own transform, applied after converting the image to 8-bit RGB.

    Parameters
    ----------
    transform : callable
        Converts a PIL image in mode RGB to a tensor of shape (3, height, width).

    Examples
    --------
    >>> import numpy as np
    >>> from torchvision.transforms.functional import to_tensor
    >>> RgbTransform(to_tensor)(np.zeros((4, 5), np.uint16)).shape
    torch.Size([3, 4, 5])
    """

    def __init__(self, transform: Callable[[Image.Image], Tensor]) -> None:
        self.transform = transform

    def __call__(self, image: Any) -> Tensor:
        """Return `image`, which may be anything `as_rgb` accepts, as a tensor."""
        rgb = as_rgb(image)
        if max(rgb.size) > _LONGEST * min(rgb.size):
            raise ValueError(
                f"it has {rgb.width} × {rgb.height} pixels, too long and thin to be resized by its "
                "shorter side; crop it"
            )
        return self.transform(rgb)


def finish(
    network: nn.Module,
    transform: Transform,
    request: BackboneRequest,
    *,
    name: str,
    weights: str,
    library: str | None,
    revision: str | None = None,
    mean: tuple[float, ...] = _MEAN,
    std: tuple[float, ...] = _STD,
) -> tuple[Backbone, Transform]:
    """Freeze a network, and run it on one image to determine `image_size` and `dim`.

    Parameters
    ----------
    network, name, weights, library, revision, mean, std
        As for `Backbone`. For random weights, `weights` is ignored.
    transform : callable
        Converts an image to what the network receives.
    request : BackboneRequest
        What the user asked for.

    Returns
    -------
    backbone : Backbone
        In evaluation mode, with frozen parameters.
    transform : callable
        The same transform.

    Raises
    ------
    ValueError
        If the network cannot process images of this size, does not return one vector per image,
        or returns different vectors for the same image.

    Examples
    --------
    >>> from torchvision.transforms.functional import pil_to_tensor
    >>> backbone, _ = finish(nn.Flatten(), RgbTransform(lambda image: pil_to_tensor(
    ...     image.resize((2, 2)))), BackboneRequest("small"), name="small", weights="none",
    ...     library=None)
    >>> backbone.dim, backbone.image_size
    (12, 2)
    """
    network.eval().requires_grad_(requires_grad=False)
    # Use noise: on a uniform image, networks that mask random patches would look deterministic.
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    sample = transform(Image.fromarray(noise))
    if sample.ndim != 3:
        raise ValueError(
            f"{name} expects inputs of shape {tuple(sample.shape)}; only networks whose inputs "
            "have shape (3, height, width) are supported"
        )
    size = max(sample.shape[1:])
    backbone = Backbone(
        network,
        name=name,
        dim=0,  # set below
        image_size=size,
        weights=f"random (seed {request.seed})" if request.random else weights,
        weights_hash=hash_weights(network),
        mean=mean,
        std=std,
        library=library,
        revision=revision,
    ).eval()
    images = backbone.normalize(sample[None])
    try:
        with torch.inference_mode():
            first, second = network(images), network(images)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(
            f"{name} does not accept {size} px images ({short_reason(error)}); "
            "try another image_size, or omit it to use the model's default"
        ) from error
    if first.ndim not in (2, 4) or len(first) != 1:
        raise ValueError(
            f"{name} returned an output of shape {tuple(first.shape)} for one image; "
            "expected (1, dim) or (1, dim, height, width)"
        )
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise ValueError(
            f"{name} returns a different embedding each time for the same image, so it cannot be "
            "used"
        )
    backbone.dim = first.shape[1]
    return backbone, transform


@contextmanager
def fits(what: str, name: str) -> Iterator[None]:
    """Turn PyTorch's error about a state dict into a ValueError: `what` does not fit `name`.

    Examples
    --------
    >>> with fits("w.pt", "small"):
    ...     nn.Linear(1, 1).load_state_dict({})
    Traceback (most recent call last):
        ...
    ValueError: w.pt does not fit small: Missing key(s) in state_dict: "weight", "bias".
    """
    try:
        yield
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        details = str(error).partition(":")[2]  # after the name of the module
        raise ValueError(f"{what} does not fit {name}: {short_reason(details)}") from error


def short_reason(error: BaseException | str) -> str:
    """Return a message on one line of at most 300 characters."""
    return textwrap.shorten(str(error) or type(error).__name__, 300, placeholder=" …")
