"""The epoch that a training framework is in, and the batches that its checkpoint had seen.

Not every call arrives at the sampler inside a loader:

- Lightning resumes a loader from its `state_dict`, which a plain DataLoader lacks. The loader
  begins the epoch anew, while Lightning counts on from the batch where training stopped.
- Lightning reads the first batches of a resumed epoch for the workers before it sets the epoch.
- Accelerate, on several ranks, does not reach a batch sampler through `skip_first_batches`, with
  which the Hugging Face Trainer resumes.

So a sampler that is read looks up the loop that reads it.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Any, NamedTuple

__all__ = ["FrameworkPosition", "framework_position"]

_LIGHTNING = ("lightning.pytorch", "pytorch_lightning")


class FrameworkPosition(NamedTuple):
    """The epoch, the batches of it to skip, and the batch size of the loader."""

    epoch: int
    batches: int = 0
    batch_size: int | None = None


def framework_position(sampler: Any) -> FrameworkPosition | None:
    """Return the position of the framework that reads `sampler`.

    Parameters
    ----------
    sampler : Sampler
        The sampler or batch sampler of a DataLoader, in whose `__iter__` this is called.

    Returns
    -------
    FrameworkPosition or None
        None if neither Lightning nor Accelerate reads the sampler.

    Raises
    ------
    RuntimeError
        If training resumes in mid-epoch and the batches seen do not follow from their number.
    """
    if not sys.modules.keys() & {"accelerate.data_loader", *_LIGHTNING}:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        package, _, loop = module.rpartition(".loops.")
        if module == "accelerate.data_loader":
            iteration = getattr(frame.f_locals.get("self"), "iteration", None)
            if iteration is not None:
                return FrameworkPosition(int(iteration))
        elif package in _LIGHTNING and loop in ("evaluation_loop", "prediction_loop"):
            return None
        elif package in _LIGHTNING and loop == "fit_loop":
            return _lightning_position(frame.f_locals.get("self"), sampler)
        frame = frame.f_back
    return None


def _lightning_position(loop: Any, sampler: Any) -> FrameworkPosition | None:
    try:
        epoch = int(loop.epoch_progress.current.processed)
        batches = int(loop.epoch_loop.batch_progress.current.processed) if loop.restarting else 0
        loaders, limits = loop._combined_loader.flattened, loop._combined_loader.limits
    except AttributeError as error:
        warnings.warn(
            f"this version of Lightning does not say where training stands ({error}); resume it "
            "at the start of an epoch only",
            stacklevel=2,
        )
        return None
    loader = None
    for candidate, limit in zip(loaders, limits or [None] * len(loaders), strict=True):
        batch_sampler: Any = getattr(candidate, "batch_sampler", None)
        if batch_sampler is sampler or getattr(candidate, "sampler", None) is sampler:
            loader = candidate
            if limit is not None and batches >= limit:  # saved after the last batch
                epoch, batches = epoch + 1, 0
        elif hasattr(batch_sampler, "state_dict") and batch_sampler.sampler is sampler:
            return None  # the batch sampler of this library reads whole epochs of it
    if batches and (loader is None or len(loaders) > 1):
        reason = "several loaders are read" if len(loaders) > 1 else "another sampler contains it"
        raise RuntimeError(
            f"training resumes after {batches} batches of epoch {epoch}, and the samples of "
            f"{type(sampler).__name__} that were seen are unknown because {reason}. Resume from "
            "a checkpoint at the end of an epoch, or use torchdata's StatefulDataLoader"
        )
    return FrameworkPosition(epoch, batches, getattr(loader, "batch_size", None))
