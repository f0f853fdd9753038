"""Several processes that train one network together, each a share of every batch."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = ["ONE", "Ranks", "current_ranks", "local_rank", "process_group"]

# Extracting features happens on one rank while the others wait. A rank that dies ends
# them all, as torchrun sees to that; this only bounds an endless wait.
_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True)
class Ranks:
    """How many processes train together, and which of them this is.

    With one process every method does nothing, or returns what it was given.

    Attributes
    ----------
    size, rank : int
        Number of processes, and this one's.

    Examples
    --------
    >>> ONE.sum([1.0, 2.0]), ONE.any(False), ONE.gather("value")
    ([1.0, 2.0], False, ['value'])
    """

    size: int = 1
    rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums of each value over all ranks."""
        if self.size == 1:
            return list(values)
        added = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(added)
        return [float(value) for value in added]

    def any(self, flag: bool) -> bool:
        """Tell whether `flag` is set on any rank, the same on all."""
        return self.sum([float(flag)])[0] > 0 if self.size > 1 else flag

    def gather(self, value: Any) -> list[Any]:
        """Return what each rank gave, on the first; on the others nothing."""
        if self.size == 1:
            return [value]
        everything: list[Any] | None = [None] * self.size if self.first else None
        distributed.gather_object(value, everything)
        return everything or []

    def wait(self) -> None:
        """Wait until all ranks are here."""
        self.any(False)

    @contextmanager
    def one_after_another(self) -> Iterator[None]:
        """Let the first rank pass before the others: it makes what they find made."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def merge(self, table: Tensor, changed: Tensor) -> None:
        """Overwrite in `table` what other ranks have changed in theirs.

        Parameters
        ----------
        table : Tensor of shape (n,)
            The same on all ranks except at the entries of `changed`.
        changed : Tensor of shape (n,), bool
            Entries that this rank has changed. No two ranks change the same entry.
        """
        if self.size == 1:
            return
        added = torch.stack([torch.where(changed, table, 0), changed.to(table.dtype)]).cpu()
        distributed.all_reduce(added)
        added = added.to(table.device)
        table.copy_(torch.where(added[1] > 0, added[0], table))

    def share_buffers(self, model: nn.Module) -> None:
        """Give all ranks the first one's buffers: running statistics are each rank's own."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


#: A process on its own.
ONE = Ranks()


def current_ranks() -> Ranks:
    """Return the ranks of the process group, if there is one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ONE
    return Ranks(distributed.get_world_size(), distributed.get_rank())


def local_rank() -> int | None:
    """Return which process of this machine this is, under torchrun; else None."""
    return int(os.environ["LOCAL_RANK"]) if "LOCAL_RANK" in os.environ else None


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """Join the process group that torchrun's environment describes, and leave it afterwards.

    Parameters
    ----------
    device : torch.device
        Where this rank trains: gradients of a GPU go through NCCL, others through gloo.

    Yields
    ------
    Ranks
        One process where torchrun did not start this one, or where a group was joined
        before, that group's.
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
