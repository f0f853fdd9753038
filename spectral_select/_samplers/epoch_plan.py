"""How an epoch's order is cut into candidate batches and dealt to the ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from spectral_select._samplers.schedules import ConstantSchedule, Schedule
from spectral_select._selectors.ratio import n_candidates, n_kept
from spectral_select._utils.validation import check_positive_int

__all__ = ["BatchSizes", "Plan", "Sizes", "make_plan"]


class Sizes(NamedTuple):
    """The sizes of the full batches of one epoch."""

    batch_size: int
    candidate_size: int
    filter_ratio: float


class BatchSizes:
    """What is fixed, the size yielded or that chosen from, and what follows in each epoch.

    Parameters
    ----------
    batch_size : int or None
        Size yielded; may be None with `candidate_size`.
    candidate_size : int or None
        Size chosen from, if that is what is fixed.
    schedule : Schedule
        Filter ratio of each epoch.

    Raises
    ------
    TypeError, ValueError
        If a size is no positive integer, or both are given and do not agree.
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
                "batch_size must be None with candidate_size, or what is kept of it in epoch 0: "
                f"{kept} of {candidate_size}; got {batch_size}"
            )

    @property
    def yielded(self) -> int | None:
        """Size yielded in every epoch; None if it changes."""
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

    def n_taken(self, epoch: int, n: int, drop_last: bool) -> int:
        """Return how many of `n` indices one process yields in an epoch.

        None in an epoch that the schedule does not know.
        """
        try:
            sizes = self.of_epoch(epoch)
        except (LookupError, ValueError):
            return 0
        return make_plan(sizes, n, 1, 0, drop_last).n_yielded


@dataclass(frozen=True)
class Plan:
    """How an epoch's order is cut into candidate batches and dealt to the ranks.

    Batch by batch in turn, as one process would have used them: rank r gets the
    candidate batches r, r + num_replicas, …, of as many full rounds as there are. What
    remains, fewer candidates than a round needs, is shared out evenly for one short
    last batch each, or dropped. Whether there is one does not depend on the filter ratio.

    Attributes
    ----------
    n : int
        Number of indices of the epoch, over all ranks.
    batch_size, candidate_size : int
        Indices yielded, and chosen from, in a full batch.
    last_candidates, last_batch_size : int
        The same of the short last batch of each rank; 0 if there is none.
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
        """Number of full batches of each rank."""
        return self.n // (self.candidate_size * self.num_replicas)

    def __len__(self) -> int:
        return self.n_full + (self.last_batch_size > 0)

    def candidates(self, i: int) -> slice:
        """Return where in the epoch's order this rank's batch `i` is chosen from."""
        return self._slice(i, self.candidate_size, self.last_candidates)

    def taken(self, i: int) -> slice:
        """Return where this rank's batch `i` lies in what is taken of the whole order."""
        return self._slice(i, self.batch_size, self.last_batch_size)

    def _slice(self, i: int, full: int, last: int) -> slice:
        size = full if i < self.n_full else last
        first = i * self.num_replicas * full + self.rank * size
        return slice(first, first + size)

    @property
    def n_yielded(self) -> int:
        """Number of indices that all ranks together yield."""
        return self.num_replicas * (self.n_full * self.batch_size + self.last_batch_size)

    def check_enough(self) -> None:
        """Raise if there is not a single batch."""
        if len(self) == 0:
            raise ValueError(
                f"sampler must give at least {self.candidate_size * self.num_replicas} indices: "
                f"a batch of {self.batch_size} is chosen from {self.candidate_size} candidates "
                f"on each of {self.num_replicas} ranks; got {self.n}"
            )


def make_plan(sizes: Sizes, n: int, num_replicas: int, rank: int, drop_last: bool) -> Plan:
    """Return the plan of an epoch of `n` indices."""
    batch_size, candidate_size, ratio = sizes
    rest = n % (candidate_size * num_replicas) // num_replicas
    if rest < 2 or drop_last:
        rest = last = 0
    else:  # one sample alone breaks batch normalization
        last = min(batch_size, max(2, n_kept(rest, ratio)))
    return Plan(n, batch_size, candidate_size, rest, last, num_replicas, rank)
