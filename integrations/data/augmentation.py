"""Random augmentation of whole batches of images, with separate draws for each image.

torchvision's transforms draw once per call, so they must be applied image by image. Here the
draws are a table with one row per image, and each operation runs once on the whole batch. The
same code runs on CPU and GPU, and the result for an image does not depend on its batch.
"""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "N_DRAWS", "Augmentation", "normalize"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: Number of uniform draws per image: flip, angle, brightness, contrast, saturation, hue.
N_DRAWS = 6


@dataclass(frozen=True)
class Augmentation:
    """Random flip, rotation and color jitter, with the SALN paper's defaults.

    The parameters are the same as in torchvision's RandomHorizontalFlip, RandomRotation
    (here with bilinear interpolation) and ColorJitter (here always in the order
    brightness, contrast, saturation, hue). Resize images before augmentation, not after.

    Parameters
    ----------
    flip : float, default=0.5
        Probability of a horizontal flip.
    degrees : float, default=15
        Largest rotation in either direction, in degrees.
    brightness, contrast, saturation : float, default=0.2
        Each factor is drawn from the range 1 ± this value.
    hue : float, default=0.1
        Largest shift of the hue, as a fraction of the color circle.

    Examples
    --------
    >>> import torch
    >>> images = torch.rand(2, 3, 8, 8)
    >>> unchanged = torch.full((2, N_DRAWS), 0.5)
    >>> bool((Augmentation()(images, unchanged) - images).abs().max() < 1e-5)
    True
    """

    flip: float = 0.5
    degrees: float = 15.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the augmented images.

        Parameters
        ----------
        images : Tensor of shape (n, 3, height, width)
            RGB in [0, 1].
        draws : Tensor of shape (n, N_DRAWS)
            Uniform in [0, 1), one row per image. If `flip` is at most 0.5, draws of 0.5 leave the
            images unchanged.

        Returns
        -------
        Tensor of shape (n, 3, height, width)
            In [0, 1]; pixels that rotation brings in from outside the image are black.
        """
        flip, angle, *jitter = draws.unbind(1)
        signed = [2 * draw - 1 for draw in (angle, *jitter)]
        if self.flip or self.degrees:
            images = _flip_and_rotate(
                images, flip < self.flip, torch.deg2rad(signed[0] * self.degrees)
            )
        if self.brightness:
            images = (images * _column(1 + signed[1] * self.brightness)).clamp_(0, 1)
        if self.contrast:
            mean = _gray(images).mean((1, 2, 3), keepdim=True)
            images = mean.lerp(images, _column(1 + signed[2] * self.contrast)).clamp_(0, 1)
        if self.saturation:
            factor = _column(1 + signed[3] * self.saturation)
            images = _gray(images).lerp(images, factor).clamp_(0, 1)
        if self.hue:
            images = _shift_hue(images, signed[4] * self.hue)
        return images

    def describe(self) -> dict[str, Any]:
        """Return the parameters as a JSON object."""
        return asdict(self)


def normalize(images: Tensor) -> Tensor:
    """Normalize images in [0, 1] in place with ImageNet's statistics, and return them.

    Parameters
    ----------
    images : Tensor of shape (n, 3, height, width)
        RGB in [0, 1]; overwritten.

    Returns
    -------
    Tensor of shape (n, 3, height, width)
        The images, minus each channel's mean, divided by its standard deviation.

    Examples
    --------
    >>> import torch
    >>> [round(x, 2) for x in normalize(torch.zeros(1, 3, 1, 1)).flatten().tolist()]
    [-2.12, -2.04, -1.8]
    """
    mean, std = (_channels(values, images.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return images.sub_(mean).div_(std)


@cache
def _channels(values: tuple[float, float, float], device: torch.device) -> Tensor:
    """Return one number per channel, cached because every copy makes the GPU wait."""
    return torch.tensor(values, device=device).view(3, 1, 1)


def _column(factors: Tensor) -> Tensor:
    return factors.view(-1, 1, 1, 1)


def _flip_and_rotate(images: Tensor, flipped: Tensor, angles: Tensor) -> Tensor:
    """Flip, then rotate counter-clockwise about the center, in one resampling."""
    height, width = images.shape[-2:]
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    # Map output pixels to input pixels by the inverse rotation, then the flip, in coordinates
    # that range over [-1, 1] along both axes.
    mirror = 1.0 - 2.0 * flipped.to(images.dtype)
    theta = torch.stack(
        [
            torch.stack([mirror * cos, -mirror * sin * (height / width), zero], dim=1),
            torch.stack([sin * (width / height), cos, zero], dim=1),
        ],
        dim=1,
    )
    size = [len(images), images.shape[1], height, width]
    grid = functional.affine_grid(theta, size, align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _gray(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def _shift_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Rotate the hue by the fraction `shift` of a full circle, at constant value and chroma."""
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    divisor = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    sextant = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sextant = sextant + 6 * shift.view(-1, 1, 1)
    # RGB from hue, value and chroma, with one formula for all three channels.
    place = (_channels((5.0, 3.0, 1.0), images.device) + sextant.unsqueeze(1)) % 6
    fall = torch.minimum(place, 4 - place).clamp_(0, 1)
    return value.unsqueeze(1) - chroma.unsqueeze(1) * fall
