"""Candidate batches as images, with kept samples marked (like the paper's figures 7 and 8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.records.run_files import read_arrays
from spectral_select.integrations.report.figures.drawing import Picture
from spectral_select.integrations.report.run_groups import Run

__all__ = ["SelectedBatch", "draw_batch", "read_batches"]

_CELL, _FRAME, _GAP = 60, 4, 4
_KEPT = (0, 114, 178)
_OPACITY = 0.35  # opacity of a discarded image


@dataclass(frozen=True)
class SelectedBatch:
    """A candidate batch with its thumbnails.

    Attributes
    ----------
    number : int
        Position in the first epoch, counted from 0.
    images : ndarray of shape (n, height, width, 3), uint8
        Thumbnails.
    kept : ndarray of shape (n,), bool
        Whether each image was used for training.
    labels, indices : ndarray of shape (n,), int
        Class label of each image, and its index in the training data.
    """

    number: int
    images: NDArray[np.uint8]
    kept: NDArray[np.bool_]
    labels: NDArray[np.integer[Any]]
    indices: NDArray[np.integer[Any]]


def read_batches(path: Path) -> list[SelectedBatch]:
    """Read the batches from a file.

    Parameters
    ----------
    path : Path
        A file written by `spectral_select.integrations.training.artifacts.save_gallery`.

    Raises
    ------
    ValueError
        If the file does not contain valid batches.
    """
    arrays = read_arrays(path)
    numbers = sorted(int(k[5:]) for k in arrays if k.startswith("kept_") and k[5:].isdecimal())
    if not numbers:
        raise ValueError(f"{path.name} does not contain a batch")
    return [_batch(arrays, number, path.name) for number in numbers]


def _batch(arrays: Mapping[str, NDArray[Any]], number: int, file: str) -> SelectedBatch:
    keys = ("images", "kept", "labels", "indices")
    try:
        images, kept, labels, indices = (arrays[f"{key}_{number}"] for key in keys)
    except KeyError as error:
        raise ValueError(f"{file} lacks {error.args[0]}") from error
    n = kept.size
    fits = images.ndim == 4 and images.shape[0] == n and images.shape[3] == 3 and images.size
    fits = fits and images.dtype == np.uint8 and kept.dtype == bool
    for array in (kept, labels, indices):
        fits = fits and array.shape == (n,)
    if not fits or labels.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        raise ValueError(f"{file} does not contain valid thumbnails for batch {number}")
    return SelectedBatch(number, images, kept, labels, indices)


def draw_batch(batch: SelectedBatch, run: Run, prefix: str, counterpart: int | None) -> Picture:
    """Draw a batch with kept images framed and discarded images faded.

    Parameters
    ----------
    batch : SelectedBatch
        The batch.
    run : Run
        The run that selected from the batch.
    prefix : str
        Prefix for the file name.
    counterpart : int or None
        Number of the paper's figure to compare with, for the caption.

    Returns
    -------
    Picture
    """
    from PIL import Image

    n = len(batch.kept)
    columns = int(np.clip(round(np.sqrt(1.15 * n)), min(n, 6), 20))
    rows = -(-n // columns)
    pitch = _CELL + 2 * _FRAME + _GAP
    canvas = Image.new("RGB", (columns * pitch - _GAP, rows * pitch - _GAP), "white")
    for place in range(n):
        picture = Image.fromarray(batch.images[place])
        how = Image.Resampling.NEAREST if picture.width < 16 else Image.Resampling.BICUBIC
        picture = picture.resize((_CELL, _CELL), how)
        corner = (place % columns * pitch, place // columns * pitch)
        if batch.kept[place]:
            side = _CELL + 2 * _FRAME
            canvas.paste(_KEPT, (*corner, corner[0] + side, corner[1] + side))
        else:
            white = Image.new("RGB", picture.size, "white")
            picture = Image.blend(white, picture, _OPACITY)
        canvas.paste(picture, (corner[0] + _FRAME, corner[1] + _FRAME))
    n_kept = int(batch.kept.sum())
    classes = len(np.unique(batch.labels[batch.kept])), len(np.unique(batch.labels))
    counts = f"{n_kept} of {n} kept, from {classes[0]} of {classes[1]} classes"
    compare = "" if counterpart is None else f" (compare the paper’s figure {counterpart})"
    where = f"{run.method}, seed {run.seed}, batch {batch.number} of the first epoch"
    return Picture(
        f"{prefix}-{batch.number}.png",
        _encode(canvas, "PNG", optimize=True),
        f"Grid of {n} thumbnails. {where}: the {n_kept} kept images have a blue frame; the "
        "others are faded.",
        f"{where}: {counts}{compare}.",
        _encode(canvas, "JPEG", quality=85),
    )


def _encode(canvas: Any, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    canvas.save(buffer, kind, **options)
    return buffer.getvalue()
