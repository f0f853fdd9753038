"""A baseline that uses the pixels of a small image as features, without a network."""

from torch import nn
from torchvision.transforms.v2 import InterpolationMode

from spectral_select.integrations.models.libraries.interface import (
    Backbone,
    Transform,
    finish,
)
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.resized_center_crop import ResizedCenterCrop

__all__ = ["PIXELS", "build"]

#: Name of the baseline that uses the pixels of a small image as features.
PIXELS = "pixels"
_SIZE = 32


def build(request: BackboneRequest) -> tuple[Backbone, Transform]:
    """Build the baseline; the embedding is the image itself, with values in [0, 1]."""
    if request.name != PIXELS:
        raise ValueError(f"{PIXELS!r} takes no further name; got {request.name!r}")
    if request.weights != "default":
        raise ValueError(
            f"{PIXELS!r} has no weights, so leave weights at its default; got {request.weights!r}"
        )
    request.reject_revision(f"{PIXELS!r} has no weights")
    request.reject_remote_code(f"{PIXELS!r} is not a network")
    size = request.image_size or _SIZE
    return finish(
        nn.Flatten(),
        ResizedCenterCrop(size, size, InterpolationMode.BILINEAR),
        request,
        name=PIXELS,
        weights="none",
        library=None,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
