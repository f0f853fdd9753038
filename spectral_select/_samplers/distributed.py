"""The rank of this process, and whether the sampler or the loader divides the data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Never

import torch
from torch.utils.data import DistributedSampler

from spectral_select._samplers.epoch_order import spread_over_ranks
from spectral_select._utils.validation import check_int, check_positive_int

__all__ = [
    "OtherRanksBatch",
    "check_ranks",
    "loader_shards_batches",
    "process_group_ranks",
    "ranks",
]


def check_ranks(num_replicas: int | None, rank: int | None) -> tuple[int, int] | None:
    """Return `num_replicas` and `rank`, or None if both are None."""
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


def ranks(sampler: Any, explicit: tuple[int, int] | None) -> tuple[int, int]:
    """Return the number of ranks and the rank of this process.

    In order of precedence, they come from the explicit arguments, a `DistributedSampler` or the
    process group; otherwise, there is a single process.
    """
    if explicit is not None:
        return explicit
    if isinstance(sampler, DistributedSampler):
        # If only this rank's share of the order is known, it is not divided any further.
        return (sampler.num_replicas, sampler.rank) if spread_over_ranks(sampler) else (1, 0)
    return process_group_ranks()


def process_group_ranks() -> tuple[int, int]:
    """Return the size of the process group and this rank; (1, 0) without one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size(), torch.distributed.get_rank()
    return 1, 0


def loader_shards_batches() -> bool:
    """Return whether Accelerate runs several processes and therefore shards prepared loaders.

    A prepared loader reads every batch on every rank, and each rank keeps its share.
    """
    state = sys.modules.get("accelerate.state")
    if state is None or not state.PartialState._shared_state:
        return False
    return int(state.PartialState().num_processes) > 1


class OtherRanksBatch(Sequence[int]):
    """Placeholder for a batch that another rank selects; only its length is known here."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Never:
        raise RuntimeError(
            "this batch belongs to another rank. If the loader was not prepared, pass it to "
            "accelerator.prepare(), or pass num_replicas and the rank of each process to "
            "SpectralBatchSampler. If it was prepared with split_batches or dispatch_batches, "
            "which read whole batches, pass num_replicas=1 and rank=0 to SpectralBatchSampler"
        )
