"""Which rank this process is, and what the training framework does to a batch sampler."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Never

import torch
from torch.utils.data import DistributedSampler

from spectral_select._samplers.epoch_order import spread_over_ranks
from spectral_select._utils.validation import check_int, check_positive_int

__all__ = ["OtherRanksBatch", "check_bool", "check_ranks", "ranks", "sharded_by_accelerate"]


def check_bool(value: object, name: str) -> bool:
    """Return `value` if it is True or False, or say what came."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return value


def check_ranks(num_replicas: int | None, rank: int | None) -> tuple[int, int] | None:
    """Return both if both were given, None if neither was."""
    if num_replicas is None and rank is None:
        return None
    if num_replicas is None or rank is None:
        raise ValueError(
            "num_replicas and rank must be given together; "
            f"got num_replicas={num_replicas!r}, rank={rank!r}"
        )
    check_positive_int(num_replicas, "num_replicas")
    if check_int(rank, "rank", 0) >= num_replicas:
        raise ValueError(f"rank must be less than num_replicas={num_replicas}; got {rank}")
    return int(num_replicas), int(rank)


def ranks(sampler: Any, given: tuple[int, int] | None) -> tuple[int, int]:
    """Return the number of ranks and this one's.

    In this order: what was given; what a `DistributedSampler` inside says; the process
    group; one process alone.
    """
    if given is not None:
        return given
    if isinstance(sampler, DistributedSampler):
        # A share that cannot be traced back to the whole order is cut up as it is.
        return (sampler.num_replicas, sampler.rank) if spread_over_ranks(sampler) else (1, 0)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size(), torch.distributed.get_rank()
    return 1, 0


def sharded_by_accelerate() -> bool:
    """Tell whether loaders are dealt out to the ranks by Accelerate in this process.

    Its prepared loaders read every batch of a batch sampler on every rank and keep
    each rank's own. They exist only where its process state does.
    """
    state = sys.modules.get("accelerate.state")
    if state is None or not state.PartialState._shared_state:
        return False
    return int(state.PartialState().num_processes) > 1


class OtherRanksBatch(Sequence[int]):
    """Stands for a batch that another rank selects; only its length is known here."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Never:
        raise RuntimeError(
            "this batch belongs to another rank. Accelerate is running with several processes, so "
            "SpectralBatchSampler expects its loader to go through accelerator.prepare(), which "
            "keeps each rank's own batches; this loader did not. Prepare it, or pass "
            "sharded_by_loader=False to the sampler"
        )
