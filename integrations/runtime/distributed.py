"""Train one network with multiple processes, each with a share of every batch."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = ["ONE", "Ranks", "current_ranks", "local_rank", "process_group"]

# One rank extracts features while the others wait. If a rank dies, torchrun stops all ranks,
# so this timeout only prevents an endless wait.
_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True)
class Ranks:
    """The number of processes that train together, and the rank of this process.

    With a single process, each method does nothing or returns its argument.

    Attributes
    ----------
    size, rank : int
        Number of processes, and the rank of this process.

    Examples
    --------
    >>> ONE.sum([1.0, 2.0]), ONE.any(False), ONE.gather("value")
    ([1.0, 2.0], False, ['value'])
    """

    size: int = 1
    rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sum of each value over all ranks."""
        if self.size == 1:
            return list(values)
        added = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(added)
        return [float(value) for value in added]

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is set on any rank; the result is the same on all ranks."""
        return self.sum([float(flag)])[0] > 0 if self.size > 1 else flag

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks on rank 0, and an empty list on other ranks."""
        if self.size == 1:
            return [value]
        everything: list[Any] | None = [None] * self.size if self.first else None
        distributed.gather_object(value, everything)
        return everything or []

    def wait(self) -> None:
        """Wait until all ranks have called this method."""
        self.any(False)

    @contextmanager
    def one_after_another(self) -> Iterator[None]:
        """Run the block on rank 0 first, so that other ranks find its files complete."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def merge(self, table: Tensor, changed: Tensor) -> None:
        """Copy the entries changed by other ranks into `table`.

        Parameters
        ----------
        table : Tensor of shape (n,)
            Equal on all ranks except at the entries in `changed`.
        changed : Tensor of shape (n,), bool
            Marks the entries changed by this rank. No two ranks may change the same entry.
        """
        if self.size == 1:
            return
        added = torch.stack([torch.where(changed, table, 0), changed.to(table.dtype)]).cpu()
        distributed.all_reduce(added)
        added = added.to(table.device)
        table.copy_(torch.where(added[1] > 0, added[0], table))

    def share_buffers(self, model: nn.Module) -> None:
        """Copy the buffers of rank 0, such as running statistics, to all ranks."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


#: A single process.
ONE = Ranks()


def current_ranks() -> Ranks:
    """Return the ranks of the process group, or `ONE` if there is none."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ONE
    return Ranks(distributed.get_world_size(), distributed.get_rank())


def local_rank() -> int | None:
    """Return this process's rank on this machine, or None if torchrun did not start it."""
    return int(os.environ["LOCAL_RANK"]) if "LOCAL_RANK" in os.environ else None


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """Join the process group defined by torchrun's environment, and leave it afterwards.

    Parameters
    ----------
    device : torch.device
        Device that this rank trains on. Gradients are exchanged with NCCL on a GPU, otherwise
        with gloo.

    Yields
    ------
    Ranks
        The ranks of the process group, which this process may already have joined; `ONE` if
        torchrun did not start this process.
    """
    ranks = current_ranks()
    if ranks.size > 1 or int(os.environ.get("WORLD_SIZE", "1")) == 1 or local_rank() is None:
        yield ranks
        return
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_TIMEOUT)
    try:
        yield current_ranks()
    finally:
        distributed.destroy_process_group()
