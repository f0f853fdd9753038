"""A training framework's current epoch, and the number of batches seen before a checkpoint.

Frameworks do not always inform the sampler inside a loader of their position:

- Lightning resumes a loader from its `state_dict`, which a plain DataLoader does not have. A plain
  DataLoader therefore restarts the epoch, while Lightning keeps counting from the batch where
  training stopped.
- Before it sets the epoch, Lightning already reads the first batches of a resumed epoch, so that
  the workers can load them.
- With multiple ranks, Accelerate's `skip_first_batches`, which the Hugging Face Trainer uses to
  resume, does not reach a batch sampler.

When a sampler is iterated, it therefore looks up the framework's loop on the call stack.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Any, NamedTuple

__all__ = ["FrameworkPosition", "framework_position"]

_LIGHTNING = ("lightning.pytorch", "pytorch_lightning")


class FrameworkPosition(NamedTuple):
    """The epoch, the number of its batches to skip, and the loader's batch size."""

    epoch: int
    batches: int = 0
    batch_size: int | None = None


def framework_position(sampler: Any) -> FrameworkPosition | None:
    """Return the position of the framework that iterates over `sampler`.

    Parameters
    ----------
    sampler : Sampler
        The sampler or batch sampler of a DataLoader; call this in its `__iter__`.

    Returns
    -------
    FrameworkPosition or None
        None if neither Lightning nor Accelerate iterates over the sampler.

    Raises
    ------
    RuntimeError
        If training resumes mid-epoch and the number of batches does not determine which samples
        were seen.
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
            f"the position cannot be read from this version of Lightning ({error}); resume "
            "training only at the start of an epoch",
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
            return None  # this library's batch sampler reads whole epochs from it
    if batches and (loader is None or len(loaders) > 1):
        reason = "there are several loaders" if len(loaders) > 1 else "another sampler contains it"
        raise RuntimeError(
            f"training resumes after {batches} batches of epoch {epoch}, but it is unknown which "
            f"samples of {type(sampler).__name__} were seen, because {reason}. Resume from "
            "a checkpoint at the end of an epoch, or use torchdata's StatefulDataLoader"
        )
    return FrameworkPosition(epoch, batches, getattr(loader, "batch_size", None))
