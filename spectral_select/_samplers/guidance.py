"""Guided selection inside the batch sampler: by turns, or by draws where there are losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from spectral_select._features.feature_table import FeatureRows
from spectral_select._labels.label_trust import label_trust
from spectral_select._samplers.epoch_plan import Plan
from spectral_select._samplers.selection_pass import Job, seed_of_selector
from spectral_select._samplers.stride_scheduler import Turns, share_come
from spectral_select._selectors.guided_selector import (
    GuidedBatchSelector,
    fill_unknown,
    log_weights,
)
from spectral_select._selectors.weighted_sampling import ascending, gumbel_top_k
from spectral_select._utils.array_namespace import is_torch, to_numpy
from spectral_select._utils.labels import checked_labels, class_codes

__all__ = ["Guidance", "make_guidance"]

Floats = npt.NDArray[np.floating[Any]]
Order = npt.NDArray[np.int64]


def make_guidance(
    selector: Any, rows: FeatureRows, labels: Any, losses: Any, block_size: int | None
) -> Guidance | None:
    """Return what a guided sampler goes by; None for other selectors.

    Parameters
    ----------
    selector : estimator
        A `GuidedBatchSelector`, which needs labels, or another, which has no use for them.
    rows : FeatureRows
        Features of the whole dataset.
    labels, losses : array-like of shape (n_samples,), or None
        What the user handed over.
    block_size : int or None
        What the user asked for: with losses there is one batch to a block.

    Raises
    ------
    TypeError, ValueError
        If they do not go together, or are not as described.
    """
    if not isinstance(selector, GuidedBatchSelector):
        for name, given in (("labels", labels), ("losses", losses)):
            if given is not None:
                raise ValueError(
                    f"{name} must be None unless the selector is a GuidedBatchSelector; got "
                    f"{name} with {type(selector).__name__}, which has no use for them"
                )
        return None
    if labels is None:
        raise ValueError("labels must be given with a GuidedBatchSelector: its weights are of them")
    selector._validate_params()
    if losses is not None and block_size not in (None, 1):
        raise ValueError(
            "block_size must be None or 1 with losses: each batch is chosen by what training "
            f"has written before it; got {block_size}"
        )
    return Guidance(selector, rows, labels, losses)


class Guidance:
    """What does not change from pass to pass: labels, the array of losses, what the graph says.

    The graph is that of the whole dataset. It is looked at once, when the first pass
    begins, and what it says is kept, in copies too.
    """

    def __init__(
        self, selector: GuidedBatchSelector, rows: FeatureRows, labels: Any, losses: Any
    ) -> None:
        self._selector = selector
        self._rows = rows
        labels = checked_labels(labels, rows.n_rows, "labels")
        self._classes, self._codes = class_codes(labels, "labels")
        self._losses = None if losses is None else _as_losses(losses, rows.n_rows)
        self._parts: npt.NDArray[np.float64] | None = None
        self._turns: tuple[Any, Turns] | None = None  # the latest, and what they are of

    def parts(self) -> npt.NDArray[np.float64]:
        """Return the parts of all weights, as `guided_parts` does."""
        if self._parts is None:
            found = label_trust(self._rows.whole(), self._codes)
            self._parts = self._selector._parts(found, self._codes)
        return self._parts

    def job(
        self,
        rows: FeatureRows,
        order: Order,
        plan: Plan,
        epoch: int,
        *others: Any,
        seed: int,
        n_taken: Callable[..., int],
    ) -> Job:
        """Return the selections of a pass.

        Parameters
        ----------
        rows, order, plan, epoch, *others
            As for `Job`.
        seed : int
            Where the selector has none.
        n_taken : callable
            Number of indices that one process yields in an epoch, of `n`.
        """
        own = seed_of_selector(self._selector)
        seed = seed if own is None else own
        job = (rows, order, plan, epoch, *others)
        if self._losses is not None:
            return DrawsJob(*job, parts=self.parts(), losses=self._losses, seed=seed)
        return TakenJob(*job, taken=self._take(order, plan, epoch, seed, n_taken))

    def _take(
        self,
        order: Order,
        plan: Plan,
        epoch: int,
        seed: int,
        n_taken: Callable[..., int],
    ) -> Order:
        """Return what comes in a pass, in its order; at the end what short batches need more."""
        present, places = np.unique(order, return_inverse=True)
        in_pass = partial(n_taken, n=len(order))
        k = in_pass(epoch)
        more = max(0, plan.n_yielded - k)
        trust, hardness, _ = self.parts().T
        if len(present) < len(order):  # some come twice: those cannot take turns
            rng = np.random.default_rng([seed, epoch])
            weights = trust + share_come(sum(map(in_pass, range(epoch))), len(order)) * hardness
            taken: Order = order[ascending(gumbel_top_k(weights[order], k + more, rng), k)]
            return taken
        key = (seed, len(present), crc32(present.tobytes()))
        if self._turns is None or self._turns[0] != key:
            self._turns = key, Turns(trust[present], in_pass, seed, growing=hardness[present])
        taken = order[self._turns[1].take(epoch, places, more)]
        return taken

    def configuration(self) -> dict[str, Any]:
        """Return what must be the same where a pass is to go on.

        The weights follow from features, labels and parameters, each of which is compared;
        their last bits differ between machines, so they are not. Losses are the caller's.
        """
        names = crc32(repr(self._classes.tolist()).encode())
        content = crc32(np.ascontiguousarray(self._codes, "<i8").tobytes(), names)
        return {
            "labels": f"{len(self._codes)}-{content:08x}",
            "losses": self._losses is not None,
        }


def _as_losses(losses: Any, n: int) -> Floats:
    """Return the memory that training writes its losses to, or say why it cannot."""
    array = losses
    if is_torch(losses) and losses.device.type == "cpu" and "bfloat16" not in str(losses.dtype):
        array = to_numpy(losses)  # the same memory
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        kind = f"{type(losses).__name__} of dtype {getattr(losses, 'dtype', None)}"
        device = f" on {losses.device}" if is_torch(losses) else ""
        raise TypeError(
            "losses must be a NumPy array or CPU tensor of floats, which training writes to and "
            f"the sampler reads; got {kind}{device}"
        )
    if array.shape != (n,):
        raise ValueError(f"losses must have shape ({n},), one a sample; got {array.shape}")
    if not array.flags.writeable:
        raise ValueError("losses must be writable: training writes to them; got a read-only array")
    return array


@dataclass(kw_only=True)
class TakenJob(Job):
    """The batches of one pass that was chosen from as a whole."""

    taken: Order

    def _select(self, start: int, stop: int, seed: int | None) -> list[list[int]]:
        return [self.taken[self.plan.taken(i)].tolist() for i in range(start, stop)]


@dataclass(kw_only=True)
class DrawsJob(Job):
    """The selections of one pass where each candidate has a weight, by its loss among others.

    `blocks` is no function of its argument alone: a batch is drawn by what the losses are
    when it is asked for.
    """

    parts: npt.NDArray[np.float64]
    losses: Floats
    seed: int

    def __post_init__(self) -> None:
        self.block_size = 1

    @property
    def ahead(self) -> bool:
        return False

    def _choose(
        self,
        candidates: list[npt.NDArray[np.int64]],
        kept: int,
        numbers: Sequence[int],
        seed: int | None,
    ) -> list[list[int]]:
        self.costs.n_solves += len(numbers)
        chosen = []
        for i, batch in zip(numbers, candidates, strict=True):
            weights = log_weights(self.parts[batch], fill_unknown(self.losses[batch]))
            rng = np.random.default_rng(self.entropy(self.seed, i))
            chosen.append(batch[np.sort(gumbel_top_k(weights, kept, rng))].tolist())
        return chosen
