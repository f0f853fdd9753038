"""Resize and center-crop an image in one step."""

from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor
from torchvision.transforms.v2 import InterpolationMode

from spectral_select.integrations.data.rgb import as_rgb

__all__ = ["ResizedCenterCrop"]


class ResizedCenterCrop:
    """Resize and center-crop an image to a uint8 tensor.

    This is like torchvision's Resize and CenterCrop, but in one step. Only the pixels that are
    kept are resized, so a long, thin image needs no more memory than a square one. The result
    matches that of the two separate steps up to rounding.

    Parameters
    ----------
    resize : int
        Length of the shorter side after resizing, in pixels.
    crop : int
        Side of the center square, at most `resize`.
    interpolation : InterpolationMode
        Resampling method, used with antialiasing.

    Examples
    --------
    >>> from PIL import Image
    >>> crop = ResizedCenterCrop(256, 224, InterpolationMode.BILINEAR)
    >>> crop(Image.new("RGB", (1, 12_000))).shape
    torch.Size([3, 224, 224])
    """

    def __init__(self, resize: int, crop: int, interpolation: InterpolationMode) -> None:
        self.resize = resize
        self.crop = crop
        self.resampling = Image.Resampling[interpolation.name]

    def __call__(self, image: Any) -> Tensor:
        """Return the center square of `image`, which may be anything `as_rgb` accepts."""
        rgb = as_rgb(image)
        shorter = min(rgb.size)
        box = []
        for side in rgb.size:
            resized = int(self.resize * side / shorter)
            start = round((resized - self.crop) / 2)
            box += [start * side / resized, (start + self.crop) * side / resized]
        left, right, top, bottom = box
        cropped = rgb.resize((self.crop, self.crop), self.resampling, (left, top, right, bottom))
        pixels: Tensor = pil_to_tensor(cropped)
        return pixels
