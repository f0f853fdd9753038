"""What a report shows besides numbers: a run's first selected batches and its last layer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.data.decoding import resize_and_crop
from spectral_select.integrations.models.backbones import last_layer
from spectral_select.integrations.records.run_files import run_name
from spectral_select.integrations.records.run_records import RunRecord
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["save_gallery", "save_last_layer", "save_shown"]

_LARGEST_SIDE = 96
# A run stores two batches. At this size, they are small compared with its checkpoints.
_BATCH_BYTES = 2 * 2**20


def save_shown(out: Path, dataset: Any, trainer: Trainer, run: RunRecord) -> None:
    """Write the files that a report shows for a trained network, and record their paths.

    Parameters
    ----------
    out : Path
        Folder for the results; files are written to its ``gallery`` and ``last_layer`` folders.
    dataset : map-style dataset
        The training data.
    trainer : Trainer
        The trainer, after training.
    run : RunRecord
        The run; its ``gallery`` and ``last_layer`` are set to paths relative to `out`.
    """
    name = f"{run_name(run.method, run.seed)}.npz"
    choices = dict(enumerate(trainer.first_choices()))
    if choices and trainer.config.image_size is not None:
        run.gallery = f"gallery/{name}"
        save_gallery(out / run.gallery, dataset, choices, image_size=trainer.config.image_size)
    run.last_layer = f"last_layer/{name}"
    save_last_layer(out / run.last_layer, trainer.model)


def save_gallery(
    path: Path,
    dataset: Any,
    choices: Mapping[int, tuple[ArrayLike, ArrayLike]],
    *,
    image_size: int,
) -> None:
    """Write thumbnails of candidate batches, and which of the candidates were kept.

    The images are not augmented.

    Parameters
    ----------
    path : Path
        An ``.npz`` file; its folder is created if necessary. For each batch ``i`` it contains
        the arrays ``images_i`` (n, side, side, 3) uint8, ``kept_i`` (n,) bool, ``labels_i``
        and ``indices_i`` (n,) int64.
    dataset : map-style dataset
        Its items are (image, label), and its array ``labels`` contains all labels.
    choices : mapping of int to tuple of array
        For each batch, the candidates and the kept samples, as indices into the dataset.
    image_size : int
        Side of the network's input images, in pixels. The side of a thumbnail is the
        smaller of this and 96 px, or less if a batch would exceed 2 MiB, but at least 8 px.

    Raises
    ------
    ValueError
        If a kept sample is not a candidate.
    """
    labels = np.asarray(dataset.labels)
    arrays: dict[str, NDArray[Any]] = {}
    for number, (candidates, kept) in choices.items():
        indices = np.asarray(candidates, dtype=np.int64)
        chosen = np.asarray(kept, dtype=np.int64)
        strange = np.setdiff1d(chosen, indices)
        if len(strange):
            raise ValueError(
                f"choices[{number}] keeps sample {strange[0]}, which is not one of its candidates"
            )
        room = int(np.sqrt(_BATCH_BYTES / (3 * max(len(indices), 1))))
        side = max(8, min(image_size, _LARGEST_SIDE, room))
        images = [resize_and_crop(dataset[int(index)][0], side) for index in indices]
        arrays |= {
            f"images_{number}": np.stack(images),
            f"kept_{number}": np.isin(indices, chosen),
            f"labels_{number}": labels[indices].astype(np.int64),
            f"indices_{number}": indices,
        }
    _save(path, arrays)


def save_last_layer(path: Path, model: nn.Module) -> None:
    """Write the weight, bias and name of a network's last linear or convolutional layer.

    Parameters
    ----------
    path : Path
        An ``.npz`` file; its folder is created if necessary. It contains the arrays
        ``weight`` (n_classes, d) and ``bias`` (n_classes,) in float32, and ``name``.
    model : Module
        The network.

    Raises
    ------
    ValueError
        If the network has no such layer.
    """
    name = last_layer(model)
    layer: Any = model.get_submodule(name)
    weight, bias = layer.weight, layer.bias
    _save(
        path,
        {
            "weight": _numpy(weight).reshape(len(weight), -1),
            "bias": np.empty(0, np.float32) if bias is None else _numpy(bias),
            "name": np.array(name),
        },
    )


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().to("cpu", torch.float32).contiguous())


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
