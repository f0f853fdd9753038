"""The selections of one pass over the data, several candidate batches at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from spectral_select._features.feature_table import FeatureRows, check_finite
from spectral_select._samplers.epoch_plan import Plan
from spectral_select._selectors.ratio import n_kept
from spectral_select._utils.array_namespace import is_torch, to_numpy
from spectral_select._utils.threads import map_in_threads

__all__ = [
    "Costs",
    "Job",
    "Timings",
    "check_selector",
    "default_block_size",
    "seed_of_selector",
]

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
        Calls of the selector: one a batch, or on a GPU one a block of batches; none
        where samples take turns.
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

    @property
    def ahead(self) -> bool:
        """Whether batches may be selected before they are asked for."""
        return True

    def blocks(self, skip: int = 0) -> Iterator[list[list[int]]]:
        """Yield the batches from the first on, in blocks, the first `skip` blocks left out."""
        seed = seed_of_selector(self.selector)
        stream = _own_stream(self.rows.device)
        for start, stop in self._ranges()[skip:]:
            begin = perf_counter()
            # Not around the yield: without a thread, training would be inside too.
            with torch.no_grad(), stream:
                block = self._select(start, stop, seed)
            self.costs.solve_seconds += perf_counter() - begin
            self.costs.n_batches += len(block)
            yield block

    def _ranges(self) -> list[tuple[int, int]]:
        """Return (first, last + 1) of the batches of each block."""
        ranges = []
        start, size = self.first, 1
        while start < self.plan.n_full:
            stop = min(start + size, self.plan.n_full)
            ranges.append((start, stop))
            # Small blocks first: training need not wait for a whole one.
            start, size = stop, min(2 * size, self.block_size)
        if start < len(self.plan):
            ranges.append((start, start + 1))
        return ranges

    def entropy(self, seed: int, i: int) -> list[int]:
        """Return what seeds the draw of this rank's batch `i`, one of its own everywhere."""
        return [seed, self.epoch, i * self.plan.num_replicas + self.plan.rank]

    def _select(self, start: int, stop: int, seed: int | None) -> list[list[int]]:
        """Return the batches from `start` to `stop`, which are of one size."""
        plan = self.plan
        candidates = [self.order[plan.candidates(i)] for i in range(start, stop)]
        kept = plan.batch_size if start < plan.n_full else plan.last_batch_size
        if kept == len(candidates[0]):
            return [batch.tolist() for batch in candidates]
        return self._choose(candidates, kept, range(start, stop), seed)

    def _choose(
        self,
        candidates: list[npt.NDArray[np.int64]],
        kept: int,
        numbers: Sequence[int],
        seed: int | None,
    ) -> list[list[int]]:
        """Return what is kept of candidate batches of one size, those of these numbers.

        The block is one solve. `FiedlerBatchSelector` solves a batch alike whatever is
        beside it, on the CPU to the last bit, so what is chosen does not depend on where
        training resumes or on what falls to other ranks. Only a selector with a seed
        solves each batch on its own, as each has a draw of its own.
        """
        size = len(candidates[0])
        # Of a last batch at least two are kept, whatever the ratio says.
        exact = n_kept(size, self.filter_ratio) == kept
        ratio = self.filter_ratio if exact else 1 - kept / size
        selector = clone(self.selector).set_params(filter_ratio=ratio)

        def alone(i: int) -> list[int]:
            mine = clone(selector)
            if seed is not None:
                draw = np.random.SeedSequence(self.entropy(seed, i)).generate_state(1)
                mine.set_params(random_state=int(draw[0]))
            return self._chosen(mine, candidates[i - numbers[0]], 1, kept)[0]

        selector.set_params(candidate_size=size)
        if seed is not None:
            self.costs.n_solves += len(numbers)
            on_host = self.rows.device is None
            return list(map_in_threads(alone, numbers) if on_host else map(alone, numbers))
        self.costs.n_solves += 1
        return self._chosen(selector, np.concatenate(candidates), len(numbers), kept)

    def _chosen(
        self, selector: Any, candidates: npt.NDArray[np.int64], n: int, kept: int
    ) -> list[list[int]]:
        """Return what a selector keeps of `n` candidate batches of one size."""
        features = self.rows.take(candidates)
        if is_torch(features) and features.device.type == "cpu":
            # NumPy's products of a batch do not depend on the batches beside it.
            half = features.dtype not in (torch.float32, torch.float64)
            features = to_numpy(features.float() if half else features)
        try:
            chosen = selector.fit(features).get_support(indices=True)
        except ValueError:
            check_finite(features, candidates)  # names the row of the whole table
            raise
        chosen = np.sort(np.asarray(chosen))
        counts = np.bincount(chosen // (len(candidates) // n), minlength=n)
        if (counts != kept).any():
            raise RuntimeError(
                f"{type(selector).__name__} must keep {kept} rows of each "
                f"{len(candidates) // n} candidates; it kept {counts.tolist()}"
            )
        return [batch.tolist() for batch in candidates[chosen].reshape(n, kept)]


def seed_of_selector(selector: Any) -> int | None:
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
