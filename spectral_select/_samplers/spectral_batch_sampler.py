"""A batch sampler that yields, of each candidate batch, the samples worth a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from torch.utils.data import BatchSampler

from spectral_select._features.feature_table import as_rows, check_belongs, check_count
from spectral_select._samplers.distributed import (
    OtherRanksBatch,
    check_bool,
    check_ranks,
    ranks,
    sharded_by_accelerate,
)
from spectral_select._samplers.epoch_order import (
    EpochClock,
    SeededSampler,
    check_indices,
    check_sampler,
    checksum,
    dataset_of,
    epoch_of,
    generator_of,
    generator_state,
    list_order,
    restore_generator,
    spread_over_ranks,
)
from spectral_select._samplers.epoch_plan import BatchSizes, Plan, make_plan
from spectral_select._samplers.guidance import make_guidance
from spectral_select._samplers.prefetch import Prefetcher
from spectral_select._samplers.schedules import Schedule, ScheduleLike, make_schedule
from spectral_select._samplers.selection_pass import (
    Costs,
    Job,
    Timings,
    check_selector,
    default_block_size,
)
from spectral_select._samplers.state import STATE_VERSION, check_state, describe, describe_estimator
from spectral_select._selectors.fiedler_selector import FiedlerBatchSelector
from spectral_select._utils.validation import check_int, check_positive_int

__all__ = ["SpectralBatchSampler"]

_MISSING: Any = object()


@dataclass
class _Progress:
    """How far a pass has come."""

    epoch: int
    yielded: int
    n_batches: int
    order: int | None
    generator: str | None


class SpectralBatchSampler(BatchSampler):
    """Yield batches of dataset indices that a selector chose from candidate batches.

    The indices that `sampler` gives in an epoch are cut into candidate batches, and a
    selector keeps a part of each by the features of its samples. A sample that is not
    chosen is never loaded. Goes to a DataLoader as ``batch_sampler=``; nothing else in a
    training loop changes.

    Every batch holds `batch_size` indices, except that without `drop_last` the
    candidates left at the end of an epoch, too few for a full batch, give one last
    short batch (on each rank). No batch is empty, and none holds a single index unless
    that is the batch size: of a last batch at least two are kept, and a single
    candidate that remains is left out.

    Parameters
    ----------
    sampler : Sampler, iterable of int, or None
        Gives the dataset indices of an epoch: any torch sampler, or any iterable that
        can be read again. None stands for all rows of `features`, shuffled by `seed`
        and the epoch. A sampler with a `generator` left at None is seeded by `seed` and
        the epoch too. Of a `DistributedSampler` the whole order is used, not one
        rank's share: this class deals out the candidate batches itself.
    batch_size : int or None
        Number of indices yielded at a time. None with `candidate_size`.
    drop_last : bool, default=False
        Drop the candidates that are too few for a full batch.
    features : array, tensor, store, column, table or path
        One row for each sample of the dataset: a NumPy array or memory map of shape
        (n_samples, n_features), SciPy sparse, a torch tensor on any device, an embedding
        store, a column of a Hugging Face dataset, an Arrow array or table, or the path
        of a ``.npy``, ``.npz`` or Parquet file or a store. Required.
    selector : estimator, optional
        Selects rows: `fit`, `get_support`, and parameters `filter_ratio` and
        `candidate_size`, as `FiedlerBatchSelector`, which is the default. A clone is
        fitted to each candidate batch, several at a time on threads. With a `random_state`,
        every candidate batch gets a draw of its own. A `GuidedBatchSelector` works otherwise:
        see Notes.
    candidate_size : int, optional
        The papers' form: candidate batches of this fixed size, of which a scheduled
        share is kept. By default batches are of a fixed size, and it takes
        ``n_candidates(batch_size, filter_ratio)`` candidates to fill one.
    schedule : float, Schedule or callable, optional
        Filter ratio of each epoch. By default the selector's `filter_ratio`.
    seed : int, optional
        Seed of the shuffling; by default 0, or what a `DistributedSampler` or Accelerate
        would shuffle by.
    num_replicas, rank : int, optional
        Number of processes that share the data, and which this one is. By default those
        of a `DistributedSampler` inside, or else of the process group.
    sharded_by_loader : bool, optional
        Whether the loader reads the batches of all ranks and keeps its own, as
        Accelerate's prepared loaders do. Then other ranks' batches are yielded as
        placeholders that are never selected. By default true where Accelerate runs
        several processes.
    dataset : Dataset, optional
        Checked against `features`: number of samples, and fingerprint if they have one.
    prefetch : int, default=2
        Blocks of batches selected ahead of training, on a thread; 0: no thread. With
        `losses` there is none, whatever this says.
    block_size : int, optional
        Candidate batches to a block: solved side by side, on a GPU in one solve. By
        default what fits into 64 MiB, 32 at most; 1 with `losses`.
    labels : array-like of shape (n_samples,), optional
        Label of each sample, integers or strings: required with a `GuidedBatchSelector`,
        refused with any other.
    losses : ndarray or CPU torch.Tensor of floats, of shape (n_samples,), optional
        The loss that each sample had when last trained on, NaN where there is none yet.
        The training loop writes to it, the sampler reads it: see Notes. Only with a
        `GuidedBatchSelector`.

    Attributes
    ----------
    sampler : Sampler or iterable of int
        Where the candidates come from.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, features and dataset do not belong
        together, or there are too few indices for a single batch.

    See Also
    --------
    FiedlerBatchSelector : The selection itself.
    GuidedBatchSelector : Selection by labels, and by losses if there are any.

    Notes
    -----
    The number of batches may change from epoch to epoch with a schedule, unless
    `candidate_size` fixes it: then the size of the batches changes.

    All ranks yield the same number of batches. Together these are the batches of one
    process, but for the last of an epoch where the candidates do not divide evenly.

    With a `GuidedBatchSelector`, the graph of the whole dataset is looked at once, when
    the first pass begins or by `prepare`. Without `losses` samples then take turns: each
    has a rate in proportion to its weight, at most once an epoch, and in every epoch those
    come whose turns are due first; in the long run each comes as often as its rate says.
    Those of equal weight all come before any comes again. What is hard is for later: the
    power of the hardness is 0 in the first epoch and grows with the share of the data that
    has come, to all of it after as many samples as there are. The seed (the selector's
    `random_state`, or else `seed`) says who begins. An epoch is chosen from as a whole and
    cut into batches in the sampler's order. (On several ranks what is dropped at its end
    loses its turn, and short last batches may take a few that come again in the next.) That
    is meant for a sampler that gives the same indices in every epoch: where they change,
    turns may be lost, and where an index is given twice, every epoch is a draw of its own.

    With `losses` each batch is drawn on its own, by the weights that its candidates have
    when the loader asks for it, so nothing is selected ahead of that: a loader without
    workers asks when training does, one with workers earlier. Losses are no part of the
    state: save the array with a checkpoint, and put its content back before the next pass.
    Then a pass that is resumed yields, without workers, exactly what it would have yielded.
    On several ranks, each reads its own array; what one rank wrote is unknown to the others
    unless they share it.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from spectral_select import SpectralBatchSampler
    >>> features = np.random.default_rng(0).random((1000, 16), dtype=np.float32)
    >>> dataset = TensorDataset(torch.from_numpy(features), torch.arange(1000))
    >>> batches = SpectralBatchSampler(None, 32, features=features, dataset=dataset)
    >>> loader = DataLoader(dataset, batch_sampler=batches)
    >>> for epoch in range(2):
    ...     batches.set_epoch(epoch)
    ...     print(len(loader), [len(y) for X, y in loader])
    7 [32, 32, 32, 32, 32, 32, 8]
    7 [32, 32, 32, 32, 32, 32, 8]
    """

    def __init__(
        self,
        sampler: Iterable[int] | None,
        batch_size: int | None,
        drop_last: bool = False,
        *,
        features: Any = _MISSING,
        selector: Any = None,
        candidate_size: int | None = None,
        schedule: ScheduleLike | None = None,
        seed: int | None = None,
        num_replicas: int | None = None,
        rank: int | None = None,
        sharded_by_loader: bool | None = None,
        dataset: Any = None,
        prefetch: int = 2,
        block_size: int | None = None,
        labels: Any = None,
        losses: Any = None,
    ) -> None:
        if features is _MISSING:
            raise TypeError(
                "features is required. Where Lightning put its own sampler into this one: build "
                "the loader inside a *_dataloader hook, or use "
                "Trainer(use_distributed_sampler=False)"
            )
        self._selector = check_selector(FiedlerBatchSelector() if selector is None else selector)
        ratio = self._selector.get_params(deep=False)["filter_ratio"]
        self._sizes = BatchSizes(
            batch_size, candidate_size, make_schedule(ratio if schedule is None else schedule)
        )
        self._drop_last = check_bool(drop_last, "drop_last")
        self._seed = None if seed is None else check_int(seed, "seed", 0)
        self._ranks = check_ranks(num_replicas, rank)
        self._sharded = (
            None
            if sharded_by_loader is None
            else check_bool(sharded_by_loader, "sharded_by_loader")
        )
        self._prefetch = check_int(prefetch, "prefetch", 0)
        if block_size is not None:
            check_positive_int(block_size, "block_size")
        self._block_size = block_size
        if sampler is not None:
            check_sampler(sampler)
        self._rows = as_rows(features)
        check_count(self._rows, dataset_of(sampler))
        if dataset is not None:
            check_belongs(features, self._rows, dataset)
        self._guidance = make_guidance(self._selector, self._rows, labels, losses, block_size)
        self.sampler = (
            SeededSampler(self._rows.n_rows, self._seed or 0) if sampler is None else sampler
        )
        self._own_clock = EpochClock()
        self._epoch_left: int | None = None  # by a sampler that carries one, when last read
        self._active: _Progress | None = None
        self._resume: dict[str, Any] | None = None
        self._costs = (0, Costs())
        self._identity: dict[str, Any] | None = None
        if isinstance(self.sampler, Sized):
            self._plan(self._upcoming(), self._n_indices()).check_enough()

    @property
    def batch_size(self) -> int | None:  # type: ignore[override]
        """Number of indices in a full batch; None if a schedule changes it."""
        return self._sizes.yielded

    @property
    def drop_last(self) -> bool:  # type: ignore[override]
        """Whether candidates too few for a full batch are dropped.

        True where Accelerate deals out the batches: it knows no short ones.
        """
        return self._drop_last or self._deals_for_all()

    @property
    def schedule(self) -> Schedule:
        """Filter ratio as a function of the epoch."""
        return self._sizes.schedule

    @property
    def timings(self) -> Timings:
        """What selection cost in the latest pass: seconds solving, and seconds waited for."""
        epoch, costs = self._costs
        return Timings(
            epoch, costs.n_batches, costs.n_solves, costs.solve_seconds, costs.wait_seconds
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass: its shuffling and its filter ratio.

        Where it is never called, every pass begun counts as one epoch more, unless the
        sampler inside carries an epoch: then that one counts.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        """
        epoch = check_int(epoch, "epoch", 0)
        self._clock.tell(epoch)
        if callable(forward := getattr(self.sampler, "set_epoch", None)):
            forward(epoch)
        if self._active is not None and self._active.epoch != epoch:
            self._active = None

    def __len__(self) -> int:
        """Return the number of batches of the epoch in progress, else of the next one."""
        latest = self._latest()
        if latest is not None and latest.yielded < latest.n_batches:
            return self._length(latest.epoch)
        try:
            return self._length(self._upcoming())
        except (LookupError, ValueError):
            # A schedule may know the epochs of the training alone: then none follows.
            if latest is None:
                raise
            return self._length(latest.epoch)

    def _length(self, epoch: int) -> int:
        plan = self._plan(epoch, self._n_indices())
        return len(plan) * (plan.num_replicas if self._deals_for_all() else 1)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of the next epoch, or what a loaded state leaves of one."""
        begin = perf_counter()
        started = self._begin()
        if started is None:
            return
        job, progress = started
        before = after = 0
        if self._deals_for_all():
            before, after = job.plan.rank, job.plan.num_replicas - job.plan.rank - 1
        elsewhere: list[Any] = [OtherRanksBatch(job.plan.batch_size)]
        ahead = Prefetcher(job.blocks, self._prefetch if job.ahead else 0)
        listing = perf_counter() - begin
        try:
            for block in ahead:
                job.costs.wait_seconds = listing + ahead.waited
                for batch in block:
                    yield from elsewhere * before
                    progress.yielded += 1
                    self._active = progress
                    yield batch
                    yield from elsewhere * after
        finally:
            ahead.close()

    def prepare(self) -> None:
        """Look at the graph of the whole dataset now, not when the first pass begins.

        Only a `GuidedBatchSelector` has something to look at; otherwise nothing happens.
        """
        if self._guidance is not None:
            self._guidance.parts()

    def state_dict(self, batches_yielded: int | None = None) -> dict[str, Any]:
        """Return what it takes to go on from here in another process.

        The state is small and does not depend on the rank: plain numbers and text that
        JSON and ``torch.load(weights_only=True)`` take.

        Parameters
        ----------
        batches_yielded : int, optional
            How many batches of the epoch training is done with. By default all that
            were yielded, which is too many where a loader with workers reads ahead
            (torchdata's StatefulDataLoader keeps count itself).

        Returns
        -------
        dict

        Raises
        ------
        TypeError, ValueError
            If `batches_yielded` is no integer between 0 and the number yielded.
        """
        progress = self._latest() or self._still_to_come()
        yielded = progress.yielded
        if batches_yielded is not None:
            yielded = check_int(batches_yielded, "batches_yielded", 0)
            if yielded > progress.yielded:
                raise ValueError(
                    f"batches_yielded must be at most {progress.yielded}, the number of batches "
                    f"yielded in epoch {progress.epoch}; got {yielded}"
                )
        if yielded == progress.n_batches:  # what decides the order of the next epoch
            generator = generator_state(generator_of(self.sampler))
        else:
            generator = progress.generator
        return {
            "version": STATE_VERSION,
            "epoch": progress.epoch,
            "batches_yielded": yielded,
            "n_batches": progress.n_batches,
            "order": progress.order,
            "generator": generator,
            "configuration": self._configuration(progress.epoch),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a state was taken: the next pass yields what its epoch has left.

        Nothing that was yielded before is selected again. A state taken after the last
        batch of an epoch leads to the next one, unless the epoch is set to that which
        is over: then the next pass is empty. Setting another epoch starts that one
        from its beginning.

        Parameters
        ----------
        state_dict : mapping
            From `state_dict`, of any rank.

        Raises
        ------
        TypeError, ValueError
            If it is no such state, or belongs to another configuration or dataset.
        """
        state = check_state(state_dict, self._configuration)
        epoch = state["epoch"]
        carried = epoch_of(self.sampler)
        if (self._clock.told if carried is None else carried) != epoch:
            # Whoever says nothing else wants the epoch after one that has nothing left.
            epoch += state["batches_yielded"] == state["n_batches"]
        self._clock.set(epoch)
        if carried is not None:
            self.set_epoch(epoch)
        generator = generator_of(self.sampler)
        if generator is not None and state["generator"] is not None:
            restore_generator(generator, state["generator"])
        self._active = None
        self._resume = state

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process has passes of its own.
        return {**self.__dict__, "_active": None, "_costs": (0, Costs())}

    def _still_to_come(self) -> _Progress:
        """Return the progress of a pass that was not begun."""
        epoch, resume = self._upcoming(), self._resume
        generator = generator_state(generator_of(self.sampler))
        if resume is not None:
            done, n_batches = resume["batches_yielded"], resume["n_batches"]
            if epoch in (resume["epoch"], resume["epoch"] + (done == n_batches)):
                return _Progress(resume["epoch"], done, n_batches, resume["order"], generator)
        n_batches = len(self._plan(epoch, self._n_indices()))
        return _Progress(epoch, 0, n_batches, None, generator)

    @property
    def _clock(self) -> EpochClock:
        return self.sampler.clock if isinstance(self.sampler, SeededSampler) else self._own_clock

    def _upcoming(self) -> int:
        """Return the epoch of the next pass."""
        carried = epoch_of(self.sampler)
        return self._clock.upcoming() if carried is None else carried

    def _latest(self) -> _Progress | None:
        """Return the latest pass, unless another epoch was set since."""
        carried = epoch_of(self.sampler)
        return None if carried is not None and carried != self._epoch_left else self._active

    def _deals_for_all(self) -> bool:
        """Tell whether the loader wants the batches of all ranks, in turn."""
        if ranks(self.sampler, self._ranks)[0] == 1:
            return False
        return sharded_by_accelerate() if self._sharded is None else self._sharded

    def _n_indices(self) -> int:
        if spread_over_ranks(self.sampler):
            return len(dataset_of(self.sampler))
        if not isinstance(self.sampler, Sized):
            raise TypeError(
                f"the number of batches is not known: {type(self.sampler).__name__} has no length"
            )
        return len(self.sampler)

    def _plan(self, epoch: int, n: int) -> Plan:
        """Return the plan of an epoch of `n` indices."""
        n_ranks, rank = ranks(self.sampler, self._ranks)
        return make_plan(self._sizes.of_epoch(epoch), n, n_ranks, rank, self.drop_last)

    def _begin(self) -> tuple[Job, _Progress] | None:
        """Start the next pass; return None if it has nothing left to yield."""
        epoch, resume, self._resume = self._upcoming(), self._resume, None
        self._clock.begin()
        if resume is not None and resume["epoch"] != epoch:
            resume = None
        start = 0
        if resume is not None:
            start = resume["batches_yielded"]
            if start == resume["n_batches"]:
                self._active = _Progress(epoch, start, start, resume["order"], None)
                return None
        generator = generator_state(generator_of(self.sampler))
        order = list_order(self.sampler, self._seed, epoch)
        self._epoch_left = epoch_of(self.sampler)
        check_indices(order, self._rows.n_rows)
        if resume is not None and resume["order"] not in (None, checksum(order)):
            raise ValueError(
                "state_dict belongs to another order of the data: in epoch "
                f"{epoch} the sampler gives other indices than when the state was saved"
            )
        plan = self._plan(epoch, len(order))
        plan.check_enough()
        size = self._block_size or default_block_size(plan.candidate_size, self._rows)
        ratio = self.schedule(epoch)
        arguments = (self._rows, order, plan, epoch, ratio, self._selector, start, size)
        guidance = self._guidance
        if guidance is None:
            job = Job(*arguments)
        else:
            n_taken = partial(self._sizes.n_taken, drop_last=self.drop_last)
            job = guidance.job(*arguments, seed=self._seed or 0, n_taken=n_taken)
        self._costs = (epoch, job.costs)
        return job, _Progress(epoch, start, len(plan), checksum(order), generator)

    def _configuration(self, epoch: int) -> dict[str, Any]:
        """Return what must be the same where a pass of this epoch is to go on."""
        if self._identity is None:
            self._identity = {
                "schedule": describe(self.schedule),
                "selector": describe_estimator(self._selector, ("filter_ratio", "candidate_size")),
                "seed": self._seed,
                "features": self._rows.fingerprint(),
                **(self._guidance.configuration() if self._guidance else {}),
            }
        return {
            **self._sizes.of_epoch(epoch)._asdict(),
            "drop_last": self.drop_last,
            "num_replicas": ranks(self.sampler, self._ranks)[0],
            **self._identity,
        }
