"""How the order of an epoch is divided into candidate batches and among the ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from spectral_select._samplers.schedules import ConstantSchedule, Schedule
from spectral_select._selectors.ratio import n_candidates, n_kept
from spectral_select._utils.validation import check_positive_int

__all__ = ["BatchSizes", "EpochPlan", "Sizes", "make_plan"]


class Sizes(NamedTuple):
    """The sizes of the full batches of one epoch."""

    batch_size: int
    candidate_size: int
    filter_ratio: float


class BatchSizes:
    """The batch and candidate sizes of each epoch: one is fixed, the other follows.

    Parameters
    ----------
    batch_size : int or None
        Fixed size of a batch; may be None with `candidate_size`.
    candidate_size : int or None
        Fixed size of a candidate batch.
    schedule : Schedule
        Filter ratio for each epoch.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, or if both are given and disagree.
    """

    def __init__(
        self, batch_size: int | None, candidate_size: int | None, schedule: Schedule
    ) -> None:
        self.schedule = schedule
        self._batch_size = self._candidate_size = None
        if candidate_size is None:
            self._batch_size = check_positive_int(batch_size, "batch_size")  # type: ignore[arg-type]
            return
        self._candidate_size = check_positive_int(candidate_size, "candidate_size")
        kept = self.of_epoch(0).batch_size
        if batch_size is not None and check_positive_int(batch_size, "batch_size") != kept:
            raise ValueError(
                "batch_size must be None with candidate_size, or the number kept in epoch 0: "
                f"{kept} of {candidate_size}; got {batch_size}"
            )

    @property
    def yielded(self) -> int | None:
        """Size of the batches in every epoch; None if it changes."""
        if self._candidate_size is None or isinstance(self.schedule, ConstantSchedule):
            return self.of_epoch(0).batch_size
        return None

    def of_epoch(self, epoch: int) -> Sizes:
        """Return the sizes in an epoch."""
        ratio = self.schedule(epoch)
        if self._batch_size is not None:
            return Sizes(self._batch_size, n_candidates(self._batch_size, ratio), ratio)
        size = self._candidate_size or 1
        return Sizes(n_kept(size, ratio), size, ratio)


@dataclass(frozen=True)
class EpochPlan:
    """How the order of an epoch is divided into candidate batches and among the ranks.

    The candidate batches of a single process are dealt to the ranks in turn: rank r gets the
    batches r, r + num_replicas, … of all full rounds. The remaining candidates, too few for
    another round, are divided evenly into one short last batch per rank, or dropped. For a given
    candidate size, whether there is a short batch does not depend on the filter ratio.

    Attributes
    ----------
    n : int
        Number of indices in the epoch, over all ranks.
    batch_size, candidate_size : int
        Size of a full batch, and of its candidate batch.
    last_candidates, last_batch_size : int
        Number of candidates for each rank's short last batch, and its size; 0 if there is none.
    """

    n: int
    batch_size: int
    candidate_size: int
    last_candidates: int
    last_batch_size: int
    num_replicas: int
    rank: int

    @property
    def n_full(self) -> int:
        """Number of full batches on each rank."""
        return self.n // (self.candidate_size * self.num_replicas)

    def __len__(self) -> int:
        return self.n_full + (self.last_batch_size > 0)

    def candidates(self, i: int) -> slice:
        """Return the slice of the epoch's order that holds the candidates for batch `i`."""
        size = self.candidate_size if i < self.n_full else self.last_candidates
        first = i * self.num_replicas * self.candidate_size + self.rank * size
        return slice(first, first + size)

    def check_enough(self, drop_last: bool) -> None:
        """Raise if the epoch has no batch."""
        if len(self) == 0:
            needed = self.candidate_size if drop_last else min(self.candidate_size, 2)
            ranks = f" on each of {self.num_replicas} ranks" if self.num_replicas > 1 else ""
            raise ValueError(
                f"sampler must yield at least {needed * self.num_replicas} indices: a batch needs "
                f"{needed} candidates{ranks}{' with drop_last=True' * drop_last}; got {self.n}"
            )


def make_plan(sizes: Sizes, n: int, num_replicas: int, rank: int, drop_last: bool) -> EpochPlan:
    """Return the plan for an epoch of `n` indices."""
    batch_size, candidate_size, ratio = sizes
    rest = n % (candidate_size * num_replicas) // num_replicas
    if rest < 2 or drop_last:
        rest = last = 0
    else:  # batch normalization needs two samples
        last = min(batch_size, max(2, n_kept(rest, ratio)))
    return EpochPlan(n, batch_size, candidate_size, rest, last, num_replicas, rank)
