"""The selections of one pass over the data, several candidate batches at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from spectral_select._features.feature_table import FeatureRows
from spectral_select._samplers.epoch_plan import EpochPlan
from spectral_select._selectors.guided_selector import GuidedBatchSelector
from spectral_select._selectors.ratio import ratio_that_keeps
from spectral_select._utils.array_namespace import is_torch, to_numpy
from spectral_select._utils.threads import map_in_threads
from spectral_select._utils.validation import check_finite

__all__ = [
    "SelectionPass",
    "SelectionTimings",
    "check_selector",
]

# Limits of a block: bytes of features, and number of candidate batches (enough to keep all cores
# busy).
_BLOCK_BYTES = 64 * 2**20
MAX_BLOCK = 32


@dataclass
class SelectionTimings:
    """Cost of the selection in one pass.

    Attributes
    ----------
    epoch : int
        Epoch of the pass.
    n_batches : int
        Number of batches selected so far, including those not yielded yet.
    n_solves : int
        Number of selector calls: one per batch, or one per block of batches.
    solve_seconds : float
        Seconds spent on gathering features and selecting, in parallel with training.
    wait_seconds : float
        Seconds that the training loop waited for batches.

    Examples
    --------
    >>> from spectral_select import SelectionTimings
    >>> SelectionTimings(epoch=0).n_batches
    0
    """

    epoch: int
    n_batches: int = 0
    n_solves: int = 0
    solve_seconds: float = 0.0
    wait_seconds: float = 0.0


def check_selector(selector: Any) -> Any:
    """Return `selector` if a sampler can use it; raise otherwise."""
    estimator = hasattr(selector, "get_params") and not isinstance(selector, type)
    parameters = selector.get_params(deep=False) if estimator else {}
    missing = [name for name in ("fit", "get_support") if not hasattr(selector, name)]
    missing += [name for name in ("filter_ratio", "candidate_size") if name not in parameters]
    if missing:
        raise TypeError(
            "selector must be an estimator with fit, get_support and the parameters filter_ratio "
            f"and candidate_size, such as FiedlerBatchSelector(); got {selector!r}"
        )
    if hasattr(selector, "_parameter_constraints"):
        selector._validate_params()  # raise here instead of in the first batch
    if isinstance(selector, GuidedBatchSelector):
        raise ValueError(
            "selector must select by features alone; GuidedBatchSelector needs labels: use "
            "DataLoader(dataset, sampler=GuidedSampler(labels, features=features)) instead"
        )
    if parameters["candidate_size"] is not None:
        raise ValueError(
            "candidate_size must be passed to SpectralBatchSampler, not to its selector; "
            f"got selector {selector!r}"
        )
    return selector


@dataclass
class SelectionPass:
    """Everything needed to select the batches of one pass, on any thread.

    `blocks` always yields the same blocks for the same argument, which makes resuming exact.
    """

    rows: FeatureRows
    order: npt.NDArray[np.int64]
    plan: EpochPlan
    epoch: int
    filter_ratio: float
    selector: Any
    first: int

    def __post_init__(self) -> None:
        self.timings = SelectionTimings(self.epoch)
        batch_bytes = self.plan.candidate_size * self.rows.n_columns * self.rows.itemsize
        self._block_size = max(1, min(MAX_BLOCK, _BLOCK_BYTES // batch_bytes))

    def blocks(self, skip: int = 0) -> Iterator[list[list[int]]]:
        """Yield blocks of batches, skipping the first `skip` blocks."""
        seed = _seed_of_selector(self.selector)
        stream = _side_stream(self.rows.device)
        for start, stop in self._ranges()[skip:]:
            begin = perf_counter()
            # Leave these contexts before the yield. Otherwise, without a background thread, the
            # training code would run in them.
            with torch.no_grad(), stream:
                block = self._select(start, stop, seed)
            self.timings.solve_seconds += perf_counter() - begin
            self.timings.n_batches += len(block)
            yield block

    def _ranges(self) -> list[tuple[int, int]]:
        """Return (first batch, last batch + 1) for each block."""
        ranges = []
        start, size = self.first, 1
        while start < self.plan.n_full:
            stop = min(start + size, self.plan.n_full)
            ranges.append((start, stop))
            # Small blocks first, so that training starts before a large block is selected.
            start, size = stop, min(2 * size, self._block_size)
        if start < len(self.plan):
            ranges.append((start, start + 1))
        return ranges

    def _select(self, start: int, stop: int, seed: int | None) -> list[list[int]]:
        """Return the batches from `start` to `stop`, whose candidate batches have the same size.

        A selector without a seed solves the batches of a block together. The result of
        `FiedlerBatchSelector` for a batch does not depend on the other batches in the block (bit
        for bit on the CPU), so the selection depends neither on where training resumes nor on the
        number of ranks. A selector with a seed selects from each batch separately, with a new
        random generator for each batch.
        """
        plan = self.plan
        candidates = [self.order[plan.candidates(i)] for i in range(start, stop)]
        size = len(candidates[0])
        k = plan.batch_size if start < plan.n_full else plan.last_batch_size
        if k == size:
            return [batch.tolist() for batch in candidates]
        # A short last batch may hold more samples than the filter ratio implies, because it has
        # at least two.
        ratio = ratio_that_keeps(k, size, self.filter_ratio)
        selector = clone(self.selector).set_params(filter_ratio=ratio)

        def select_alone(i: int) -> list[int]:
            number = i * plan.num_replicas + plan.rank  # over all ranks
            entropy = np.random.SeedSequence([seed or 0, self.epoch, number])
            seeded = clone(selector).set_params(random_state=int(entropy.generate_state(1)[0]))
            return self._fit(seeded, candidates[i - start], 1, k)[0]

        selector.set_params(candidate_size=size)
        if seed is not None:
            self.timings.n_solves += stop - start
            numbers = range(start, stop)
            on_host = self.rows.device is None
            return list((map_in_threads if on_host else map)(select_alone, numbers))
        self.timings.n_solves += 1
        return self._fit(selector, np.concatenate(candidates), stop - start, k)

    def _fit(
        self, selector: Any, candidates: npt.NDArray[np.int64], n: int, k: int
    ) -> list[list[int]]:
        """Return the `k` indices that a selector keeps from each of `n` candidate batches."""
        features = self.rows.take(candidates)
        if is_torch(features) and features.device.type == "cpu":
            # With NumPy, a batch's matrix products do not depend on other batches in the block.
            half = features.dtype not in (torch.float32, torch.float64)
            features = to_numpy(features.float() if half else features)
        try:
            kept = selector.fit(features).get_support(indices=True)
        except ValueError:
            check_finite(features, "features", candidates)  # names the row in the whole table
            raise
        kept = np.sort(np.asarray(kept))
        counts = np.bincount(kept // (len(candidates) // n), minlength=n)
        if (counts != k).any():
            raise RuntimeError(
                f"{type(selector).__name__} must keep {k} rows from every "
                f"{len(candidates) // n} candidates; it kept {counts.tolist()}"
            )
        return [batch.tolist() for batch in candidates[kept].reshape(n, k)]


def _seed_of_selector(selector: Any) -> int | None:
    """Return the seed of the selector, or None if it uses no random numbers."""
    state = selector.get_params(deep=False).get("random_state")
    if state is None or isinstance(state, int | np.integer):
        return None if state is None else int(state)
    return int(check_random_state(copy.deepcopy(state)).randint(np.iinfo(np.int32).max))


def _side_stream(device: Any) -> AbstractContextManager[Any]:
    """Return a context in which GPU work does not queue behind training."""
    if device is None or device.type != "cuda":
        return nullcontext()
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)
