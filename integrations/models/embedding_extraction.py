"""Compute the embeddings of an image dataset once and store them on disk."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spectral_select._features.dataset_samples import sample_labels, sample_paths
from spectral_select._features.store import EmbeddingStore
from spectral_select._features.store_writer import StoreWriter
from spectral_select._utils.folders import StoreError
from spectral_select._utils.progress_bar import progress_bar
from spectral_select._utils.validation import check_positive_int
from spectral_select.integrations.models.compute_options import (
    check_device,
    check_precision,
    check_workers,
    default_workers,
)
from spectral_select.integrations.models.embedding_network import (
    Output,
    check_output,
    embeddings_of,
    on_device,
)
from spectral_select.integrations.models.image_source import ImageSource
from spectral_select.integrations.models.pretrained_weights import hash_weights
from spectral_select.integrations.runtime.interrupts import interrupt_held

__all__ = ["check_device", "default_workers", "extract_embeddings"]

# Attributes of a backbone that are recorded in a store.
_IDENTITY = ("name", "weights", "weights_hash", "library", "library_version", "revision")


def extract_embeddings(
    split: Any,
    backbone: nn.Module,
    out: str | os.PathLike[str],
    *,
    transform: Callable[[Any], Tensor] | None = None,
    output: Output = None,
    batch_size: int = 64,
    num_workers: int | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    block_size: int = 1024,
    overwrite: bool = False,
    progress: bool | None = None,
    meta: Mapping[str, Any] | None = None,
) -> EmbeddingStore:
    """Compute the embedding of every image in a dataset, in order, and write a store.

    If the process is killed, the same call resumes from the last block written to disk. If the
    store is complete, it is only opened. In both cases, the images, transform and backbone must
    be the same as before. This is checked by comparing the weights, the first embedding and a
    sample of the images.

    Parameters
    ----------
    split : map-style dataset
        An `ImageSplit`, or any dataset with a length whose items are (image, label), a dict
        with the image under "image", or the image itself.
    backbone : Module
        From `build_backbone`, or any module that maps a batch to a tensor of shape (n, d). Its
        mode, device and memory layout are restored afterwards.
    out : path
        Folder for the store.
    transform : callable, optional
        Converts an image from `split` to a tensor, as the transform from `build_backbone`
        does. Not needed if the dataset contains tensors. It must not be random.
    output : str, int or callable, optional
        Which output of `backbone` to use as the embedding: a key or attribute, an index, or a
        function that maps the output to a tensor of shape (n, d).
    batch_size : int, default 64
        Number of images per forward pass.
    num_workers : int, optional
        Number of processes that load images. The default depends on the machine; for small
        datasets, it is 0, so this process loads the images.
    device : str or torch.device, default "auto"
        Device for the network; "auto" means CUDA if available.
    precision : str, default "auto"
        Arithmetic: "float32", "float16", "bfloat16", or "auto" for float16 on CUDA and
        float32 elsewhere. Embeddings are always stored in float32.
    block_size : int, default 1024
        Number of images between writes; rounded up to a multiple of `batch_size`.
    overwrite : bool, default False
        Whether to replace an existing store in `out`.
    progress : bool, optional
        Whether to show a progress bar; by default, only on a terminal.
    meta : mapping, optional
        Additional JSON-serializable metadata for the store.

    Returns
    -------
    EmbeddingStore
        The complete store.

    Raises
    ------
    UnreadableImageError
        If an image cannot be read; the message names the file.
    StoreError
        If `out` contains embeddings of different data, or from a different backbone or weights.
    ValueError, TypeError
        If an argument is out of range, images change each time they are read, the backbone's
        output does not have shape (n, d), or an embedding is not finite.

    Examples
    --------
    >>> import tempfile
    >>> from spectral_select.integrations.models.backbones import build_backbone
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> backbone, transform, dim = build_backbone("squeezenet1_1", "random", image_size=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = extract_embeddings(
    ...         load_dataset("digits").val, backbone, folder, transform=transform
    ...     )
    ...     store.features.shape
    (144, 512)
    """
    batch_size = check_positive_int(batch_size, "batch_size")
    block_size = check_positive_int(block_size, "block_size")
    where = check_device(device)
    dtype = check_precision(precision, where)
    output_name = check_output(output)
    if len(split) == 0:
        raise ValueError("the dataset is empty: there is nothing to extract")
    num_workers = check_workers(num_workers, where, len(split))
    source = ImageSource(split, transform)
    origin = source.origin() | _network(backbone) | {"output": output_name}
    origin["precision"] = str(dtype).removeprefix("torch.")
    with on_device(backbone, where) as network:
        embed = partial(_embed, network, output=output, device=where, dtype=dtype)
        first = embed(source.image(0)[None])[0]
        with StoreWriter(
            out,
            count=len(split),
            dim=len(first),
            labels=sample_labels(split),
            paths=sample_paths(split),
            meta=dict(meta or {}) | origin,
            block_size=-(-block_size // batch_size) * batch_size,
            overwrite=overwrite,
        ) as writer:
            _check_resumable(writer, first, origin["precision"], any_precision=precision == "auto")
            if writer.complete:
                return EmbeddingStore.open(out)
            loader = DataLoader(
                source,
                batch_size=batch_size,
                sampler=range(writer.n_done, len(split)),
                num_workers=num_workers,
                collate_fn=_collate,
                worker_init_fn=_ignore_lost_reader,
                pin_memory=where.type == "cuda",
                generator=torch.Generator(),  # leaves the global generator unchanged
            )
            seconds = _fill(writer, map(embed, _batches(loader)), source, progress)
            return writer.finish(seconds=seconds)


def _collate(items: list[Tensor | Exception]) -> Tensor | Exception:
    for item in items:
        if isinstance(item, Exception):
            return item
    shapes = sorted({tuple(item.shape) for item in items})  # type: ignore[union-attr]
    if len(shapes) > 1:
        return ValueError(
            f"all images must have the same shape; got {shapes[0]} and {shapes[-1]}: resize them "
            "in the transform"
        )
    return torch.stack(items)  # type: ignore[arg-type]


def _ignore_lost_reader(worker: int) -> None:
    """Keep a loading process silent when Ctrl-C ends the process that reads from it.

    In each worker, a thread sends the tensors. By default, this thread prints every exception,
    including those raised because the reader was interrupted.
    """
    sys.excepthook = _print_unless_lost


def _print_unless_lost(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not isinstance(error, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, traceback)


def _batches(loader: DataLoader[Any]) -> Iterator[Tensor]:
    with interrupt_held():  # while the loader's workers are forked
        batches = iter(loader)
    for batch in batches:
        if isinstance(batch, Exception):
            raise batch
        yield batch


def _embed(
    network: nn.Module,
    batch: Tensor,
    *,
    output: Output,
    device: torch.device,
    dtype: torch.dtype,
) -> NDArray[np.float32]:
    """Return the embeddings of a batch of images."""
    images = batch.to(device, non_blocking=True)
    if images.ndim == 4:
        images = images.contiguous(memory_format=torch.channels_last)
    autocast: Any = (
        nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
    )
    try:
        # Do not use inference_mode: tensors that the module creates in this mode and keeps could
        # not be used in training.
        with torch.no_grad(), autocast:
            embeddings = embeddings_of(network(images), output, len(batch))
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"the device ran out of memory on a batch of {len(batch)} images; lower the batch size"
        ) from error
    rows: NDArray[np.float32] = embeddings.float().cpu().numpy()
    return rows


def _check_resumable(
    writer: StoreWriter, first: NDArray[np.float32], precision: str, *, any_precision: bool
) -> None:
    """Reject a store if its precision or first embedding differs from this call's."""
    earlier_precision = writer.earlier.get("precision", precision)
    if earlier_precision != precision and not (writer.complete and any_precision):
        raise StoreError(
            f"{writer.path} was computed in {earlier_precision}, not {precision}; "
            "overwrite it or choose another folder"
        )
    earlier = writer.first_row()
    if earlier is None:
        return
    # The tolerance allows for half precision and different devices.
    if not np.linalg.norm(first - earlier) <= 0.1 * np.linalg.norm(earlier) + 1e-6:
        raise StoreError(
            f"{writer.path} contains other embeddings (this backbone computes a different "
            "embedding for the first image); overwrite it or choose another folder"
        )


def _fill(
    writer: StoreWriter,
    batches: Iterator[NDArray[np.float32]],
    source: ImageSource,
    progress: bool | None,
) -> float | None:
    """Write all missing embeddings; return the estimated seconds for all rows."""
    n_rows, start = writer.count - writer.n_done, time.perf_counter()
    held: list[NDArray[np.float32]] = []
    with progress_bar(
        writer.count, desc="embeddings", unit="images", initial=writer.n_done, enabled=progress
    ) as bar:
        for batch in batches:
            held.append(batch)
            bar.update(len(batch))
            rows = sum(map(len, held))
            while rows >= writer.block_size or (rows and writer.n_done + rows == writer.count):
                block = np.concatenate(held)
                _check_finite(block, writer.n_done, source)
                writer.write_block(block[: writer.block_size])
                held = [block[writer.block_size :]]
                rows = len(held[0])
    # Extrapolate from the rows computed in this call.
    return (time.perf_counter() - start) * writer.count / n_rows if n_rows else None


def _check_finite(block: NDArray[np.float32], start: int, source: ImageSource) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        name = source.name(start + int(np.flatnonzero(~finite)[0]))
        raise ValueError(
            f"the embedding of {name} contains NaN or infinity; "
            "try precision float32, and check the weights"
        )


def _network(backbone: nn.Module) -> dict[str, Any]:
    """Return the metadata that identify the network in the store.

    Attributes of modules from other libraries are used only if they have the expected type.
    """
    kinds = dict.fromkeys(_IDENTITY, str) | {"image_size": int}
    known: dict[str, Any] = {}
    for name, kind in kinds.items():
        value = getattr(backbone, name, None)
        known[name] = value if type(value) is kind else None
    return known | {
        "backbone": known.pop("name") or type(backbone).__name__,
        "weights": known["weights"] or "unknown",
        "weights_hash": known["weights_hash"] or hash_weights(backbone),
        "torch": torch.__version__,
    }
