"""Convert any image to 8-bit RGB, upright and opaque, with values scaled to 0 to 255."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

__all__ = ["as_rgb"]

_BACKGROUND = "white"
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_GRAY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_REMEDY = "save it as 8-bit RGB or gray"

# Tags of TIFF files (TIFF 6.0, sections 8 and 19).
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def as_rgb(image: Any) -> Image.Image:
    """Convert an image to 8-bit RGB.

    Sixteen-bit gray is scaled from its full range, and floating point from [0, 1].
    Transparent pixels are blended with white. The orientation in the EXIF data is applied.
    For animations and multi-page files, the first frame or page is used.

    Parameters
    ----------
    image : PIL image, array or Tensor
        Arrays have shape (height, width) or (height, width, channels), tensors
        (channels, height, width).

    Returns
    -------
    PIL image
        The image in mode RGB; `image` itself if no conversion is needed.

    Raises
    ------
    ValueError, TypeError
        If the range of the values is unknown (32-bit integers, floating point outside [0, 1]),
        or the mode cannot be converted to RGB (LAB).

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> gray = Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))
    >>> np.asarray(as_rgb(gray))[0].tolist()
    [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
    """
    if not isinstance(image, Image.Image):
        image = _from_array(image)
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    rgb = _opaque_rgb(image)
    if turn is not None:
        rgb = rgb.transpose(turn)
        rgb.info = {}  # so that the image is not rotated again
    return rgb


def _from_array(image: Any) -> Image.Image:
    if isinstance(image, Tensor):
        channels_last = image.movedim(0, -1) if image.ndim == 3 else image
        array = channels_last.detach().cpu().numpy()
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise TypeError(
            f"an image must be a PIL image, an array or a tensor; got {type(image).__name__}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype.kind == "f":
        array = _from_unit_range(array)
    sixteen_bit = array.dtype == np.uint16 and array.ndim == 2
    if array.ndim not in (2, 3) or not (array.dtype in (np.uint8, np.bool_) or sixteen_bit):
        raise ValueError(
            "an image array must be uint8, 16-bit gray, or floating point in [0, 1]; "
            f"got {array.dtype} of shape {tuple(image.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # ignore damaged EXIF data
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def _opaque_rgb(image: Image.Image) -> Image.Image:
    if _SIGNED in _tag(image, _SAMPLE_FORMAT):
        raise ValueError(f"its values are signed integers of unknown range; {_REMEDY}")
    if image.mode in (*_GRAY_16, "I", "F"):
        return _gray(image).convert("RGB")
    if image.mode == "LAB":
        raise ValueError(f"its mode LAB is not supported; {_REMEDY}")
    if _has_alpha(image):
        if image.mode in ("La", "RGBa"):  # premultiplied alpha
            image = image.convert(image.mode.upper())
        layer = Image.new("RGBA", image.size, _BACKGROUND)
        return Image.alpha_composite(layer, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _has_alpha(image: Image.Image) -> bool:
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return image.mode in _WITH_ALPHA or palette.endswith("A") or "transparency" in image.info


def _gray(image: Image.Image) -> Image.Image:
    """Convert 16-bit or 32-bit gray to 8-bit gray."""
    if image.mode == "F":
        pixels = _from_unit_range(np.asarray(image))
    elif image.mode in _GRAY_16 or image.format in ("PNG", "PPM"):
        # Older versions of Pillow open 16-bit PNG and PPM files in mode I.
        highest = 2 ** max(_tag(image, _BITS_PER_SAMPLE), default=16) - 1
        values = np.asarray(image)
        if values.size and values.max() > highest:
            raise ValueError(f"it has values above {highest}, the maximum for its bit depth")
        scale = (np.arange(highest + 1) * 255 + highest // 2) // highest
        pixels = scale.astype(np.uint8)[values]
    else:
        raise ValueError(f"its values are 32-bit integers of unknown range; {_REMEDY}")
    if _WHITE_IS_ZERO in _tag(image, _PHOTOMETRIC):
        pixels = 255 - pixels
    if isinstance(key := image.info.get("transparency"), int):
        pixels[np.asarray(image) == key] = 255
    return Image.fromarray(pixels)


def _from_unit_range(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.size and not (values.min() >= 0 and values.max() <= 1):  # rejects NaN too
        raise ValueError(
            f"its floating-point values range from {values.min():g} to {values.max():g}; "
            f"expected [0, 1]; {_REMEDY}"
        )
    pixels: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return pixels


def _tag(image: Image.Image, number: int) -> tuple[int, ...]:
    """Return the values of a TIFF tag, or an empty tuple for other file formats."""
    values = getattr(image, "tag_v2", {}).get(number, ())
    return values if isinstance(values, tuple) else (values,)
