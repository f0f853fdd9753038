"""A batch sampler that yields the selected samples of each candidate batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from torch.utils.data import BatchSampler

from spectral_select._features.feature_table import as_rows, check_belongs, check_count
from spectral_select._samplers.distributed import (
    OtherRanksBatch,
    check_ranks,
    loader_shards_batches,
    ranks,
)
from spectral_select._samplers.epoch_order import (
    EpochCarrier,
    EpochClock,
    SeededSampler,
    check_indices,
    check_same_on_all_ranks,
    check_sampler,
    checksum,
    dataset_of,
    epoch_of,
    generator_of,
    generator_state,
    list_order,
    refuse_reading,
    restore_generator,
    spread_over_ranks,
    unwrapped,
    with_epoch,
)
from spectral_select._samplers.epoch_plan import BatchSizes, EpochPlan, make_plan
from spectral_select._samplers.framework_position import framework_position
from spectral_select._samplers.prefetch import Prefetcher
from spectral_select._samplers.sample_scores import SampleScores
from spectral_select._samplers.schedules import Schedule, ScheduleLike, make_schedule
from spectral_select._samplers.selection_pass import (
    SelectionPass,
    SelectionTimings,
    check_selector,
)
from spectral_select._samplers.state import (
    STATE_VERSION,
    check_state,
    describe,
    describe_estimator,
)
from spectral_select._selectors.fiedler_selector import FiedlerBatchSelector
from spectral_select._selectors.score_selector import ScoreSelector
from spectral_select._utils.validation import check_bool, check_int

__all__ = ["SpectralBatchSampler"]

_MISSING: Any = object()


@dataclass
class _PassProgress:
    """The number of batches that a pass has yielded, and what identifies its order."""

    epoch: int
    yielded: int
    n_batches: int
    order: int | None
    generator: str | None


class SpectralBatchSampler(BatchSampler):
    """Yield batches of dataset indices that a selector keeps from candidate batches.

    The indices that `sampler` yields in an epoch are divided into candidate batches. A selector
    keeps part of each one, based on the features of its samples. Samples that are not kept are
    never loaded. Pass the batch sampler to a DataLoader as ``batch_sampler=``; the rest of the
    training loop stays the same.

    A full batch holds `batch_size` indices. Without `drop_last`, the candidates left at the end of
    an epoch form one short batch on each rank. Batches hold at least two samples (unless
    `batch_size` is 1); a single leftover candidate is dropped.

    Parameters
    ----------
    sampler : Sampler, iterable of int, or None
        Yields the dataset indices of an epoch: any torch sampler, or any iterable that can be
        read repeatedly. None means all rows of `features`, shuffled by `seed` and the epoch. A
        sampler whose `generator` is None is also seeded by `seed` and the epoch. From a
        `DistributedSampler`, the order over all ranks is used, because this class distributes the
        candidate batches itself.
    batch_size : int or None
        Number of indices in a batch. With `candidate_size`, None or the number kept in epoch 0.
    drop_last : bool, default=False
        Whether to drop leftover candidates that are too few for a full batch.
    features : array, tensor, store, column, table or path
        One row per sample: a NumPy array or memory map of shape (n_samples, n_features), a SciPy
        sparse array, a torch tensor on any device, an embedding store, a column of a Hugging Face
        dataset, an Arrow array or table, or the path of a ``.npy``, ``.npz`` or Parquet file or a
        store. Required. With the result of `load_scores` instead, samples are drawn from each
        candidate batch in proportion to their weights, and `selector` must be None.
    selector : estimator, optional
        An estimator with `fit`, `get_support` and the parameters `filter_ratio` and
        `candidate_size`; by default, `FiedlerBatchSelector`. Clones of it are fitted to the
        candidate batches, several of which are processed at a time. With a `random_state`, each
        candidate batch has its own random generator.
    candidate_size : int, optional
        Fixed size of a candidate batch, as in the SALN paper; the schedule then changes the size
        of the batches. By default, `batch_size` is fixed, and
        ``n_candidates(batch_size, filter_ratio)`` candidates fill a batch.
    schedule : float, Schedule or callable, optional
        Filter ratio for each epoch. By default, the selector's `filter_ratio`.
    seed : int, optional
        Seed for the shuffling. By default, the seed of a `DistributedSampler` or of the sampler
        that Accelerate installs, otherwise 0.
    num_replicas, rank : int, optional
        Number of processes that share the data, and the index of this process. If passed, this
        sampler divides the data itself: do not pass its loader to ``accelerator.prepare``. By
        default, those of the inner `DistributedSampler` or of the process group. If Accelerate
        runs multiple processes, its prepared loader divides the batches, and the batches of
        other ranks are placeholders that are never selected.
    dataset : Dataset, optional
        If passed, its number of samples must match `features`, and so must its fingerprint, if
        both the dataset and the features have one.
    prefetch : int, default=2
        Number of blocks of batches that a background thread selects in advance; 0 disables the
        thread.

    Attributes
    ----------
    sampler : Sampler or iterable of int
        Source of the candidates.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, if features and dataset do not belong together, or if there are
        too few indices for a single batch.

    See Also
    --------
    FiedlerBatchSelector : The default selector.
    GuidedSampler : Visits samples by label trust and hardness, for datasets with labels.

    Notes
    -----
    With a schedule, the number of batches may change from epoch to epoch. With `candidate_size`,
    the number is fixed, and the size of the batches changes.

    All ranks yield the same number of batches. Together, they yield the batches of a single
    process, except for the last one in an epoch if the candidates do not divide evenly.

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
        dataset: Any = None,
        prefetch: int = 2,
    ) -> None:
        if features is _MISSING:
            raise TypeError(
                "features is required. If Lightning rebuilt this batch sampler, build the loader "
                "inside a *_dataloader hook. For fit, Trainer(use_distributed_sampler=False) also "
                "works, but predict rebuilds the batch sampler even then"
            )
        self._rows = as_rows(features)
        if isinstance(self._rows, SampleScores):
            if selector is not None:
                raise ValueError(
                    "selector must be None with saved scores, which replace both features and "
                    f"selector; got {selector!r}"
                )
            selector = ScoreSelector()
        self._selector = check_selector(FiedlerBatchSelector() if selector is None else selector)
        ratio = self._selector.get_params(deep=False)["filter_ratio"]
        self._sizes = BatchSizes(
            batch_size, candidate_size, make_schedule(ratio if schedule is None else schedule)
        )
        self._drop_last = check_bool(drop_last, "drop_last")
        self._seed = None if seed is None else check_int(seed, "seed", 0)
        self._explicit_ranks = check_ranks(num_replicas, rank)
        self._prefetch = check_int(prefetch, "prefetch", 0)
        if sampler is not None:
            check_sampler(sampler)
        check_count(self._rows, dataset_of(sampler))
        if dataset is not None:
            check_belongs(features, self._rows, dataset)
        self.sampler = (
            SeededSampler(self._rows.n_rows, self._seed or 0)
            if sampler is None
            else with_epoch(sampler)
        )
        self._default_clock = EpochClock()
        self._read_epoch: int | None = None  # epoch of the inner sampler when it was last read
        self._active: _PassProgress | None = None
        self._resume: dict[str, Any] | None = None
        self._timings = SelectionTimings(0)
        self._identity: dict[str, Any] | None = None
        if isinstance(unwrapped(self.sampler), Sized):
            self._plan(self._upcoming(), self._n_indices()).check_enough(self.drop_last)

    @property
    def batch_size(self) -> int | None:  # type: ignore[override]
        """Number of indices in a full batch; None if a schedule changes it."""
        return self._sizes.yielded

    @property
    def drop_last(self) -> bool:  # type: ignore[override]
        """Whether candidates that are too few for a full batch are dropped.

        Always True if Accelerate divides the batches, because its loader skips short ones.
        """
        return self._drop_last or self._loader_shards_batches()

    @property
    def schedule(self) -> Schedule:
        """Filter ratio as a function of the epoch."""
        return self._sizes.schedule

    @property
    def timings(self) -> SelectionTimings:
        """Cost of the selection in the latest pass."""
        return replace(self._timings)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass, which determines its shuffling and filter ratio.

        If the inner sampler has an epoch, that epoch is always used. Otherwise, each pass is a new
        epoch if this method is never called.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        """
        epoch = check_int(epoch, "epoch", 0)
        self._clock.set_explicitly(epoch)
        if callable(forward := getattr(self.sampler, "set_epoch", None)):
            forward(epoch)
        if self._active is not None and self._active.epoch != epoch:
            self._active = None

    def __len__(self) -> int:
        """Return the number of batches in the epoch in progress or the next one."""
        latest = self._latest()
        if latest is not None and latest.yielded < latest.n_batches:
            return self._length(latest.epoch)
        try:
            return self._length(self._upcoming())
        except (LookupError, ValueError):
            if latest is None:  # otherwise the schedule ends with the latest epoch
                raise
            return self._length(latest.epoch)

    def _length(self, epoch: int) -> int:
        plan = self._plan(epoch, self._n_indices())
        return len(plan) * (plan.num_replicas if self._loader_shards_batches() else 1)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of the next epoch, or the remaining ones of a loaded epoch."""
        begin = perf_counter()
        started = self._begin()
        if started is None:
            return
        selection, progress = started
        before = after = 0
        if self._loader_shards_batches():
            before = selection.plan.rank
            after = selection.plan.num_replicas - before - 1
        placeholder: list[Any] = [OtherRanksBatch(selection.plan.batch_size)]
        blocks = Prefetcher(selection.blocks, self._prefetch)
        setup_seconds = perf_counter() - begin
        try:
            for block in blocks:
                selection.timings.wait_seconds = setup_seconds + blocks.waited
                for batch in block:
                    self._check_same_epoch(progress.epoch)
                    yield from placeholder * before
                    progress.yielded += 1
                    self._active = progress
                    yield batch
                    yield from placeholder * after
        finally:
            blocks.close()

    def state_dict(self, batches_yielded: int | None = None) -> dict[str, Any]:
        """Return the state that a sampler in another process needs to resume from here.

        The state is small, does not depend on the rank, and holds only numbers and strings.

        Parameters
        ----------
        batches_yielded : int, optional
            Number of batches that training has used in the epoch. By default, all that were
            yielded, which is too many if a loader with workers reads ahead (torchdata's
            StatefulDataLoader keeps its own count).

        Returns
        -------
        dict

        Raises
        ------
        TypeError, ValueError
            If `batches_yielded` is not an integer between 0 and the number yielded.
        """
        progress = self._latest() or self._pending()
        yielded = progress.yielded
        if batches_yielded is not None:
            yielded = check_int(batches_yielded, "batches_yielded", 0)
            if yielded > progress.yielded:
                raise ValueError(
                    f"batches_yielded must be at most {progress.yielded}, the number of batches "
                    f"yielded in epoch {progress.epoch}; got {yielded}"
                )
        if yielded == progress.n_batches:  # the generator determines the order of the next epoch
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
        """Resume from a state; the next pass yields the rest of its epoch.

        Batches that were already yielded are not selected again. If the saved epoch is complete,
        the next pass yields the following epoch, or nothing if the saved epoch is set
        explicitly, before or after loading. Setting a different epoch starts that epoch from its
        beginning.

        Parameters
        ----------
        state_dict : mapping
            Result of `state_dict`, on any rank.

        Raises
        ------
        TypeError, ValueError
            If `state_dict` is not a sampler state, or if its configuration or dataset is not this
            sampler's.
        """
        state = check_state(
            state_dict,
            self._configuration,
            sampler="SpectralBatchSampler",
            unit="batches",
            extra=("order", "generator"),
        )
        epoch = state["epoch"]
        sampler_epoch = epoch_of(self.sampler)
        explicit = self._clock.explicit_epoch if sampler_epoch is None else sampler_epoch
        if explicit != epoch:
            # If the saved epoch is complete, resume at the next one.
            epoch += state["batches_yielded"] == state["n_batches"]
        self._clock.restore(epoch)
        if sampler_epoch is not None:
            self.set_epoch(epoch)
        generator = generator_of(self.sampler)
        if generator is not None and state["generator"] is not None:
            restore_generator(generator, state["generator"])
        self._active = None
        self._resume = state

    def __getstate__(self) -> dict[str, Any]:
        # A copy has no pass in progress.
        return {**self.__dict__, "_active": None, "_timings": SelectionTimings(0)}

    def _pending(self) -> _PassProgress:
        """Return the progress of the next pass, which has not started."""
        epoch, resume = self._upcoming(), self._resume
        generator = generator_state(generator_of(self.sampler))
        if resume is not None:
            done, n_batches = resume["batches_yielded"], resume["n_batches"]
            if epoch in (resume["epoch"], resume["epoch"] + (done == n_batches)):
                return _PassProgress(resume["epoch"], done, n_batches, resume["order"], generator)
        n_batches = len(self._plan(epoch, self._n_indices()))
        return _PassProgress(epoch, 0, n_batches, None, generator)

    @property
    def _clock(self) -> EpochClock:
        own = isinstance(self.sampler, SeededSampler | EpochCarrier)
        return self.sampler.clock if own else self._default_clock  # type: ignore[union-attr]

    def _upcoming(self) -> int:
        """Return the epoch of the next pass."""
        sampler_epoch = epoch_of(self.sampler)
        return self._clock.upcoming() if sampler_epoch is None else sampler_epoch

    def _latest(self) -> _PassProgress | None:
        """Return the latest pass, unless a different epoch has been set since then."""
        sampler_epoch = epoch_of(self.sampler)
        changed = sampler_epoch is not None and sampler_epoch != self._read_epoch
        return None if changed else self._active

    def _check_same_epoch(self, epoch: int) -> None:
        """Raise if a different epoch has been set since this pass of `epoch` started."""
        sampler_epoch = epoch_of(self.sampler)
        if sampler_epoch is None:
            self._clock.check_reading(epoch)
        elif sampler_epoch != self._read_epoch:
            refuse_reading(epoch, sampler_epoch)

    def _loader_shards_batches(self) -> bool:
        """Return whether the loader reads the batches of all ranks and keeps its own share."""
        if self._explicit_ranks is not None or ranks(self.sampler, None)[0] == 1:
            return False
        return loader_shards_batches()

    def _n_indices(self) -> int:
        if spread_over_ranks(self.sampler):
            return len(dataset_of(self.sampler))
        sampler = unwrapped(self.sampler)
        if not isinstance(sampler, Sized):
            raise TypeError(
                f"the number of batches is unknown, because {type(sampler).__name__} has no length"
            )
        return len(sampler)

    def _plan(self, epoch: int, n: int) -> EpochPlan:
        """Return the plan for an epoch of `n` indices."""
        n_ranks, rank = ranks(self.sampler, self._explicit_ranks)
        return make_plan(self._sizes.of_epoch(epoch), n, n_ranks, rank, self.drop_last)

    def _begin(self) -> tuple[SelectionPass, _PassProgress] | None:
        """Start the next pass; return None if it has no batches left."""
        if (position := framework_position(self)) is not None:
            self.set_epoch(position.epoch)
        epoch, resume, self._resume = self._upcoming(), self._resume, None
        self._clock.start()
        if resume is not None and resume["epoch"] != epoch:
            resume = None
        start = position.batches if position is not None else 0
        if resume is not None:
            start = resume["batches_yielded"]
            if start == resume["n_batches"]:
                self._active = _PassProgress(epoch, start, start, resume["order"], None)
                return None
        generator = generator_state(generator_of(self.sampler))
        order = list_order(self.sampler, self._seed, epoch)
        self._read_epoch = epoch_of(self.sampler)
        check_indices(order, self._rows.n_rows)
        if ranks(self.sampler, self._explicit_ranks)[0] > 1:
            check_same_on_all_ranks(self.sampler, order)
        if resume is not None and resume["order"] not in (None, checksum(order)):
            raise ValueError(
                "state_dict belongs to a different order of the data: the indices that the "
                f"sampler yields in epoch {epoch} have changed since the state was saved"
            )
        plan = self._plan(epoch, len(order))
        plan.check_enough(self.drop_last)
        selection = SelectionPass(
            self._rows, order, plan, epoch, self.schedule(epoch), self._selector, start
        )
        self._timings = selection.timings
        return selection, _PassProgress(epoch, start, len(plan), checksum(order), generator)

    def _configuration(self, epoch: int) -> dict[str, Any]:
        """Return what must match for a pass of this epoch to be resumed."""
        if self._identity is None:
            self._identity = {
                "schedule": describe(self.schedule),
                "selector": describe_estimator(self._selector, ("filter_ratio", "candidate_size")),
                "seed": self._seed,
                "features": self._rows.fingerprint(),
            }
        return {
            **self._sizes.of_epoch(epoch)._asdict(),
            "drop_last": self.drop_last,
            "num_replicas": ranks(self.sampler, self._explicit_ranks)[0],
            **self._identity,
        }
