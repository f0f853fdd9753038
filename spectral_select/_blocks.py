"""The selections of one pass over the data, several candidate batches to a solve."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from ._features import FeatureRows, check_finite
from ._plan import Plan
from ._ratio import n_kept

__all__ = ["Costs", "Job", "Timings", "check_selector", "default_block_size"]

# Features of a block: bounded memory, and enough batches to keep all cores at work.
_BLOCK_BYTES = 64 * 2**20
_MAX_BLOCK = 32


class Timings(NamedTuple):
    """What selection cost in one pass.

    Attributes
    ----------
    epoch : int
        Epoch of the pass.
    n_batches : int
        Batches selected so far, some of them maybe not asked for yet.
    n_solves : int
        Calls of the selector, each on a block of candidate batches.
    solve_seconds : float
        Seconds spent gathering features and selecting, beside training.
    wait_seconds : float
        Seconds that whoever asked for batches had to wait for them.
    """

    epoch: int
    n_batches: int
    n_solves: int
    solve_seconds: float
    wait_seconds: float


@dataclass
class Costs:
    """Running totals behind `Timings`; the first three belong to the producing thread."""

    n_batches: int = 0
    n_solves: int = 0
    solve_seconds: float = 0.0
    wait_seconds: float = 0.0


def check_selector(selector: Any) -> Any:
    """Return `selector` if a sampler can select with it, or say why not."""
    estimator = hasattr(selector, "get_params") and not isinstance(selector, type)
    parameters = selector.get_params(deep=False) if estimator else {}
    missing = [name for name in ("fit", "get_support") if not hasattr(selector, name)]
    missing += [name for name in ("filter_ratio", "candidate_size") if name not in parameters]
    if missing:
        raise TypeError(
            "selector must be an estimator with fit, get_support and the parameters filter_ratio "
            f"and candidate_size, such as FiedlerBatchSelector(); got {selector!r}"
        )
    if parameters["candidate_size"] is not None:
        raise ValueError(
            "candidate_size must be passed to SpectralBatchSampler, not to its selector; "
            f"got selector {selector!r}"
        )
    return selector


def default_block_size(candidate_size: int, rows: FeatureRows) -> int:
    """Return how many candidate batches fit into the memory set aside for a block."""
    batch_bytes = candidate_size * rows.n_columns * rows.itemsize
    return max(1, min(_MAX_BLOCK, _BLOCK_BYTES // batch_bytes))


@dataclass
class Job:
    """All that it takes to select the batches of one pass, on any thread.

    `blocks` is a function of its argument: the same blocks come from it again, which
    is what resuming rests on.
    """

    rows: FeatureRows
    order: npt.NDArray[np.int64]
    plan: Plan
    epoch: int
    filter_ratio: float
    selector: Any
    first: int
    block_size: int
    costs: Costs = field(default_factory=Costs)

    def blocks(self, skip: int = 0) -> Iterator[list[list[int]]]:
        """Yield the batches from the first on, in blocks, the first `skip` blocks left out."""
        selector = clone(self.selector)
        seed = _seed_of(selector)
        ranges = self._ranges(1 if seed is not None else self.block_size)[skip:]
        stream = _own_stream(self.rows.device)
        for start, stop in ranges:
            begin = perf_counter()
            if seed is not None:
                # A draw of its own for every candidate batch of every epoch,
                # whatever rank it falls to and wherever training resumes.
                place = start * self.plan.num_replicas + self.plan.rank
                draw = np.random.SeedSequence([seed, self.epoch, place]).generate_state(1)
                selector.set_params(random_state=int(draw[0]))
            # Not around the yield: without a thread, training would be inside too.
            with torch.no_grad(), stream:
                block = self._select(selector, start, stop)
            self.costs.solve_seconds += perf_counter() - begin
            self.costs.n_batches += len(block)
            yield block

    def _ranges(self, block_size: int) -> list[tuple[int, int]]:
        """Return (first, last + 1) of the batches of each block."""
        ranges = []
        start, size = self.first, 1
        while start < self.plan.n_full:
            stop = min(start + size, self.plan.n_full)
            ranges.append((start, stop))
            # Small blocks first: training need not wait for a whole one.
            start, size = stop, min(2 * size, block_size)
        if start < len(self.plan):
            ranges.append((start, start + 1))
        return ranges

    def _select(self, selector: Any, start: int, stop: int) -> list[list[int]]:
        """Return the batches from `start` to `stop`, which are of one size, in one solve."""
        candidates = np.stack([self.order[self.plan.candidates(i)] for i in range(start, stop)])
        size = candidates.shape[1]
        plan = self.plan
        kept = plan.batch_size if start < plan.n_full else plan.last_batch_size
        if kept == size:
            return [batch.tolist() for batch in candidates]
        exact = n_kept(size, self.filter_ratio) == kept
        ratio = self.filter_ratio if exact else 1 - kept / size
        flat = candidates.ravel()
        features = self.rows.take(flat)
        selector.set_params(filter_ratio=ratio, candidate_size=size)
        try:
            chosen = selector.fit(features).get_support(indices=True)
        except ValueError:
            check_finite(features, flat)  # names the row of the whole table
            raise
        self.costs.n_solves += 1
        chosen = np.sort(np.asarray(chosen))
        counts = np.bincount(chosen // size, minlength=len(candidates))
        if (counts != kept).any():
            raise RuntimeError(
                f"{type(selector).__name__} must keep {kept} rows of each {size} candidates; "
                f"it kept {counts.tolist()}"
            )
        return [batch.tolist() for batch in flat[chosen].reshape(len(candidates), kept)]


def _seed_of(selector: Any) -> int | None:
    """Return the selector's seed, or None if what it does is not random."""
    state = selector.get_params(deep=False).get("random_state")
    if state is None or isinstance(state, int | np.integer):
        return None if state is None else int(state)
    return int(check_random_state(copy.deepcopy(state)).randint(np.iinfo(np.int32).max))


def _own_stream(device: Any) -> AbstractContextManager[Any]:
    """Return a context in which a GPU's work does not queue behind the training's."""
    if device is None or device.type != "cuda":
        return nullcontext()
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)
