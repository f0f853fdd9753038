"""Embeddings of an image dataset, computed once and kept on disk."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from spectral_select._features.store import EmbeddingStore
from spectral_select._features.store_writer import StoreWriter
from spectral_select._utils.folders import StoreError
from spectral_select._utils.progress_bar import progress_bar
from spectral_select._utils.validation import check_positive_int
from spectral_select.integrations.data.images import UnreadableImageError
from spectral_select.integrations.models.backbones import hash_weights
from spectral_select.integrations.runtime.interrupts import interrupt_held
from spectral_select.integrations.runtime.provenance import n_cores

__all__ = ["check_device", "default_workers", "extract_embeddings"]

_PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def extract_embeddings(
    split: Any,
    backbone: nn.Module,
    out: str | os.PathLike[str],
    *,
    transform: Callable[[Any], Tensor] | None = None,
    batch_size: int = 64,
    num_workers: int | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    block_size: int = 1024,
    overwrite: bool = False,
    progress: bool | None = None,
) -> EmbeddingStore:
    """Compute the embedding of every image of a dataset, in order, into a store.

    A killed extraction goes on at the last block that reached the disk when it is called
    again with the same arguments; called on a finished store it only opens it.

    Parameters
    ----------
    split : map-style dataset
        Gives (image, label): an `ImageSplit`, or any dataset with a length.
    backbone : Module
        From `build_backbone`, or any module that maps a batch to (n, d).
    out : path
        Folder of the store.
    transform : callable, optional
        From an image of `split` to a tensor: what `build_backbone` returned. None if the
        dataset gives tensors already.
    batch_size : int, default 64
        Images in one forward pass.
    num_workers : int, optional
        Processes that load images; by default as many as suit the machine, none for a
        small dataset.
    device : str or torch.device, default "auto"
        "auto" takes CUDA where there is one.
    precision : str, default "auto"
        "float32", "float16" or "bfloat16" arithmetic; "auto" is float16 on CUDA and
        float32 elsewhere. Embeddings are stored in float32 in any case.
    block_size : int, default 1024
        Images between two writes; rounded up to a multiple of `batch_size`.
    overwrite : bool, default False
        Compute them anew, whatever is in `out`.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    EmbeddingStore
        The finished store.

    Raises
    ------
    UnreadableImageError
        If an image cannot be read; the message names the file.
    StoreError
        If `out` holds embeddings of other data, another backbone or other weights.
    ValueError
        If an argument is out of range, or an embedding is not finite.

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
    dtype = _check_precision(precision, where)
    if len(split) == 0:
        raise ValueError("the dataset is empty: there is nothing to extract")
    if num_workers is None:
        num_workers = default_workers(where) if len(split) > 2000 else 0
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(f"num_workers must be an integer of at least 0; got {num_workers!r}")
    images = _Images(split, transform)
    writer = StoreWriter(
        out,
        count=len(split),
        dim=_dim(backbone, images),
        labels=getattr(split, "labels", getattr(split, "targets", None)),
        meta=_origin(split, backbone) | {"precision": str(dtype).removeprefix("torch.")},
        block_size=-(-block_size // batch_size) * batch_size,
        overwrite=overwrite,
    )
    with writer:
        if writer.complete:
            store = EmbeddingStore.open(out)
            if precision not in ("auto", store.meta.get("precision")):
                raise StoreError(
                    f"{out} was computed in {store.meta.get('precision')}, not {precision}; "
                    "overwrite it or choose another folder"
                )
            return store
        loader = DataLoader(
            images,
            batch_size=batch_size,
            sampler=range(writer.n_done, len(split)),
            num_workers=num_workers,
            collate_fn=_collate,
            pin_memory=where.type == "cuda",
            generator=torch.Generator(),  # else it draws the workers' seed from the global one
        )
        bar = progress_bar(
            len(split), desc="embeddings", unit="images", initial=writer.n_done, enabled=progress
        )
        rows, start = len(split) - writer.n_done, time.perf_counter()
        with bar:
            _fill(writer, _embed(loader, backbone, where, dtype), split, bar.update)
        seconds = time.perf_counter() - start
        # What all rows cost, at the pace of those computed here.
        return writer.finish(seconds=seconds * len(split) / rows if rows else None)


def check_device(device: str | torch.device) -> torch.device:
    """Return the device meant by `device`, where "auto" is CUDA if there is one.

    Parameters
    ----------
    device : str or torch.device
        "auto", "cpu", "cuda" or "cuda:N".

    Returns
    -------
    torch.device
        One that this machine has.

    Raises
    ------
    ValueError
        If it is not a device, or this machine does not have it.

    Examples
    --------
    >>> check_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}"
        ) from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device {device!r} is not there: PyTorch sees {count} CUDA devices")
    return found


def default_workers(device: torch.device) -> int:
    """Return how many loading processes suit this machine.

    On a CPU the forward pass needs the cores itself; on an accelerator all but one load.

    Parameters
    ----------
    device : torch.device
        Where the network runs.

    Returns
    -------
    int
        Number of processes beside this one.

    Examples
    --------
    >>> import torch
    >>> default_workers(torch.device("cpu")) <= 1
    True
    """
    cores = n_cores()
    if device.type == "cpu":
        return 1 if cores > 1 else 0
    return min(16, max(1, cores - 1))


class _Images(Dataset[Any]):
    """The images of a split without their labels; what fails comes back as an exception.

    A loader's process would wrap the exception in the text of its traceback.
    """

    def __init__(self, split: Any, transform: Callable[[Any], Tensor] | None) -> None:
        self.split = split
        self.transform = transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Tensor | Exception:
        try:
            image = self.split[index][0]
            return self.transform(image) if self.transform else torch.as_tensor(image)
        except UnreadableImageError as error:
            return error


def _collate(items: list[Tensor | Exception]) -> Tensor | Exception:
    for item in items:
        if isinstance(item, Exception):
            return item
    return torch.stack(items)  # type: ignore[arg-type]


def _embed(
    loader: DataLoader[Any], backbone: nn.Module, device: torch.device, dtype: torch.dtype
) -> Iterator[NDArray[np.float32]]:
    backbone = backbone.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    autocast: Any = (
        nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
    )
    with interrupt_held():  # while its workers are forked
        batches = iter(loader)
    for batch in batches:
        if isinstance(batch, Exception):
            raise batch
        images = batch.to(device, non_blocking=True)
        if images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        try:
            with torch.inference_mode(), autocast:
                found = backbone(images)
        except torch.OutOfMemoryError as error:
            raise MemoryError(
                f"the device ran out of memory on a batch of {len(batch)} images; "
                "lower the batch size"
            ) from error
        yield found.float().cpu().numpy()


def _fill(
    writer: StoreWriter,
    batches: Iterator[NDArray[np.float32]],
    split: Any,
    count: Callable[[int], object],
) -> None:
    held: list[NDArray[np.float32]] = []
    for batch in batches:
        held.append(batch)
        count(len(batch))
        rows = sum(map(len, held))
        while rows >= writer.block_size or (rows and writer.n_done + rows == writer.count):
            block = np.concatenate(held)
            _check_finite(block, writer.n_done, split)
            writer.write_block(block[: writer.block_size])
            held = [block[writer.block_size :]]
            rows = len(held[0])


def _check_finite(block: NDArray[np.float32], start: int, split: Any) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        row = start + int(np.flatnonzero(~finite)[0])
        what = split.source(row) if hasattr(split, "source") else f"row {row}"
        raise ValueError(
            f"the embedding of {what} has a value that is NaN or infinite; "
            "try precision float32, and check the weights"
        )


def _origin(split: Any, backbone: nn.Module) -> dict[str, Any]:
    """Return what ties the embeddings to the data and the network, for the store."""
    return {
        "fingerprint": getattr(split, "fingerprint", None),
        "dataset": getattr(split, "dataset", None) or None,
        "split": getattr(split, "name", None),
        "classes": list(getattr(split, "classes", ())) or None,
        "backbone": getattr(backbone, "name", type(backbone).__name__),
        "weights": getattr(backbone, "weights", "unknown"),
        "weights_hash": getattr(backbone, "weights_hash", None) or hash_weights(backbone),
        "image_size": getattr(backbone, "image_size", None),
        "torch": torch.__version__,
    }


def _dim(backbone: nn.Module, images: _Images) -> int:
    dim = getattr(backbone, "dim", None)
    if isinstance(dim, int):
        return dim
    first = images[0]
    if isinstance(first, Exception):
        raise first
    with torch.inference_mode():
        weight = next(backbone.parameters(), torch.empty(0))
        out = backbone.eval()(first[None].to(weight.device))
    if out.ndim != 2:
        raise ValueError(f"backbone must give (n, d); it gives {tuple(out.shape)} for one image")
    return int(out.shape[1])


def _check_precision(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision not in _PRECISIONS:
        raise ValueError(
            f"precision must be 'auto' or one of {', '.join(_PRECISIONS)}; got {precision!r}"
        )
    return _PRECISIONS[precision]
