"""A sampler that visits each sample at its own rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import DistributedSampler

from spectral_select._features.feature_table import as_rows
from spectral_select._samplers.distributed import (
    check_ranks,
    loader_shards_batches,
    process_group_ranks,
)
from spectral_select._samplers.epoch_order import EpochClock, seeded_permutation
from spectral_select._samplers.framework_position import framework_position
from spectral_select._samplers.guided_visits import GuidedVisits
from spectral_select._samplers.schedules import Schedule, ScheduleLike, make_schedule
from spectral_select._samplers.state import STATE_VERSION, check_state, describe
from spectral_select._selectors.ratio import check_filter_ratio, n_kept
from spectral_select._utils.validation import check_bool, check_int, check_number

__all__ = ["GuidedSampler"]


class GuidedSampler(DistributedSampler[int]):
    """Visit each sample at its own rate: more often if its label is correct and hard to predict.

    Each epoch yields a share ``1 - filter_ratio`` of the dataset, in a shuffled order. Samples are
    visited at rates proportional to ``trust**c * hardness**a / n_alike**b``. The trust is the
    probability that the label is correct, the hardness is large if the other labels do not predict
    the label, and ``n_alike`` is the number of near-duplicates, including the sample itself. All
    three come from the similarity graph of the features. No sample is excluded, and none is
    visited twice in an epoch. Without labels, only near-duplicates affect the rates.

    Parameters
    ----------
    labels : array-like of shape (n_samples,) or None
        Label of each sample: integers or strings. None for data without labels, as in
        self-supervised training and regression, and for saved scores.
    features : array, tensor, store, column, table or path
        One row per sample, of shape (n_samples, n_features), in any form that
        `SpectralBatchSampler` accepts. The result of `load_scores` replaces features and labels.
    filter_ratio : float, default=0.8
        Share of the dataset that an epoch leaves out, in [0, 1). Of n samples,
        ``n_kept(n, filter_ratio)`` are yielded.
    schedule : float, Schedule or callable, optional
        Filter ratio for each epoch; replaces `filter_ratio`.
    hardness_power : float, default=0.25
        Power a of the hardness; 0 ignores it. Hard samples are introduced gradually: the
        power is 0 in the first epoch and reaches this value after as many visits as there
        are samples.
    trust_power : float, default=2.0
        Power c of the trust; 0 treats every label as correct. ``trust**c`` is
        divided by the square root of its mean over the samples with the same label, so that rare
        classes keep most of their visits.
    duplicate_power : float, default=1.0
        Power b of the number of near-duplicates, of which at most 32 are counted; 0 ignores them.
        With 1, a few copies together are visited as often as a single sample.
    seed : int, default=0
        Seed for the shuffling and for the times of the first visits.
    drop_last : bool, default=False
        With multiple ranks, whether to drop the samples that do not divide evenly instead of
        repeating a few.
    num_replicas, rank : int, optional
        Number of processes that share the data, and the index of this process. If passed, this
        sampler divides the data itself: do not pass its loader to ``accelerator.prepare``,
        which would divide the data again. By default, those of the process group, or a single
        process if Accelerate divides the batches of a prepared loader.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or if labels and features differ in length.

    See Also
    --------
    GuidedBatchSelector : The same weights for a single selection, as a scikit-learn estimator.
    SpectralBatchSampler : Selection by the Fiedler vector of candidate batches.
    find_wrong_labels : Computes the trust.
    load_scores : Loads saved scores, which replace features and labels.

    Notes
    -----
    Visits follow stride scheduling: after any number of epochs, the number of visits to a sample
    differs from the sum of its rates over these epochs by about one at most. Among samples with
    equal rates, all are visited before any is revisited.

    The rates are computed once, when the first epoch starts. The epoch advances with each
    pass unless `set_epoch` is called.

    The indices that a single process would yield are dealt to the ranks in turn, as in
    `DistributedSampler`. The class is a `DistributedSampler` so that Lightning passes the epoch to
    it and does not shard it again.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from spectral_select import GuidedSampler
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 3, 1000)
    >>> features = rng.random((3, 16))[labels] + 0.1 * rng.random((1000, 16))
    >>> dataset = TensorDataset(torch.arange(1000), torch.from_numpy(labels))
    >>> sampler = GuidedSampler(labels, features=features)
    >>> loader = DataLoader(dataset, batch_size=32, sampler=sampler)
    >>> for epoch in range(2):
    ...     sampler.set_epoch(epoch)
    ...     print(len(loader), sum(len(y) for X, y in loader))
    7 200
    7 200
    """

    def __init__(
        self,
        labels: Any,
        *,
        features: Any,
        filter_ratio: float = 0.8,
        schedule: ScheduleLike | None = None,
        hardness_power: float = 0.25,
        trust_power: float = 2.0,
        duplicate_power: float = 1.0,
        seed: int = 0,
        drop_last: bool = False,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        # DistributedSampler.__init__ would fix the ranks before a process group exists.
        ratio = check_filter_ratio(filter_ratio)
        powers = {
            "hardness_power": hardness_power,
            "trust_power": trust_power,
            "duplicate_power": duplicate_power,
        }
        for name, power in powers.items():
            check_number(power, name, 0, 1e6)
        self._powers = {name: float(power) for name, power in powers.items()}
        self.seed = check_int(seed, "seed", 0)
        self.drop_last = check_bool(drop_last, "drop_last")
        self.shuffle = True
        self.schedule: Schedule = make_schedule(ratio if schedule is None else schedule)
        self._explicit_ranks = check_ranks(num_replicas, rank)
        self._rows = as_rows(features)
        self.dataset = range(self._rows.n_rows)  # type: ignore[assignment]
        self._visits = GuidedVisits(
            self._rows,
            labels,
            self._n_selected,
            seed=self.seed,
            **self._powers,
        )
        self._clock = EpochClock()
        self._active: tuple[int, int] | None = None  # epoch and number of indices yielded
        self._resume: dict[str, Any] | None = None
        self._identity: dict[str, Any] | None = None

    @property
    def num_replicas(self) -> int:  # type: ignore[override]
        """Number of processes that share the data."""
        return self._ranks()[0]

    @property
    def rank(self) -> int:  # type: ignore[override]
        """Index of this process."""
        return self._ranks()[1]

    @property
    def epoch(self) -> int:  # type: ignore[override]
        """Epoch of the pass in progress, or of the next pass."""
        return self._clock.epoch

    @property
    def num_samples(self) -> int:  # type: ignore[override]
        """Number of indices that this rank yields in the epoch."""
        return len(self)

    @property
    def total_size(self) -> int:  # type: ignore[override]
        """Number of indices that all ranks together yield in the epoch."""
        return len(self) * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass, which determines its samples, order and filter ratio.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        """
        self._clock.set_explicitly(epoch)
        if self._active is not None and self._active[0] != self._clock.epoch:
            self._active = None

    def __len__(self) -> int:
        """Return the number of indices on this rank in the epoch in progress or the next one."""
        if self._active is not None and self._active[1] < self._length(self._active[0]):
            return self._length(self._active[0])
        try:
            return self._length(self._clock.upcoming())
        except (LookupError, ValueError):
            if self._active is None:  # otherwise the schedule ends with the latest epoch
                raise
            return self._length(self._active[0])

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of the next epoch, or the remaining ones of a loaded epoch."""
        start = 0
        if (position := framework_position(self)) is not None:
            self.set_epoch(position.epoch)
            start = position.batches * (position.batch_size or 1)
        epoch, resume, self._resume = self._clock.start(), self._resume, None
        if resume is not None and resume["epoch"] == epoch:
            start = resume["indices_yielded"]
        n_indices = self._length(epoch)
        self._active = (epoch, start)
        if start == n_indices:
            return
        n_ranks, rank = self._ranks()
        order = seeded_permutation(self._rows.n_rows, self.seed + epoch)
        selected = self._visits.select(epoch, order)
        # Like DistributedSampler, repeat the first indices, or with `drop_last` drop the last
        # ones, so that all ranks yield the same number.
        shared = np.resize(selected, n_indices * n_ranks)
        for number, index in enumerate(shared[rank::n_ranks][start:].tolist(), start + 1):
            self._clock.check_reading(epoch)
            self._active = (epoch, number)
            yield index

    def state_dict(self, indices_yielded: int | None = None) -> dict[str, Any]:
        """Return the state that a sampler in another process needs to resume from here.

        The state is small, does not depend on the rank, and holds only numbers and strings.

        Parameters
        ----------
        indices_yielded : int, optional
            Number of indices that training has used in the epoch. By default, all that this rank
            has yielded, which is too many if a loader with workers reads ahead (torchdata's
            StatefulDataLoader keeps its own count).

        Returns
        -------
        dict

        Raises
        ------
        TypeError, ValueError
            If `indices_yielded` is not an integer between 0 and the number yielded.
        """
        epoch, yielded = self._progress()
        if indices_yielded is not None:
            used = check_int(indices_yielded, "indices_yielded", 0)
            if used > yielded:
                raise ValueError(
                    f"indices_yielded must be at most {yielded}, the number of indices yielded "
                    f"in epoch {epoch}; got {used}"
                )
            yielded = used
        return {
            "version": STATE_VERSION,
            "epoch": epoch,
            "indices_yielded": yielded,
            "n_indices": self._length(epoch),
            "configuration": self._configuration(epoch),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Resume from a state; the next pass yields the rest of its epoch.

        If the saved epoch is complete, the next pass yields the following epoch, or nothing if the
        saved epoch is set explicitly, before or after loading. Setting a different epoch starts
        that epoch from its beginning.

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
            state_dict, self._configuration, sampler="GuidedSampler", unit="indices"
        )
        epoch = state["epoch"]
        if self._clock.explicit_epoch != epoch:
            epoch += state["indices_yielded"] == state["n_indices"]
        self._clock.restore(epoch)
        self._active, self._resume = None, state

    def __getstate__(self) -> dict[str, Any]:
        # A copy has no pass in progress.
        return {**self.__dict__, "_active": None}

    def _progress(self) -> tuple[int, int]:
        """Return the epoch of the latest or the next pass, and the number of indices yielded."""
        if self._active is not None:
            return self._active
        epoch, resume = self._clock.upcoming(), self._resume
        if resume is not None:
            yielded: int = resume["indices_yielded"]
            if epoch in (resume["epoch"], resume["epoch"] + (yielded == resume["n_indices"])):
                return resume["epoch"], yielded
        return epoch, 0

    def _ranks(self) -> tuple[int, int]:
        if self._explicit_ranks is not None:
            return self._explicit_ranks
        return (1, 0) if loader_shards_batches() else process_group_ranks()

    def _n_selected(self, epoch: int) -> int:
        """Return the number of samples in an epoch; 0 if the schedule does not cover the epoch."""
        try:
            return n_kept(self._rows.n_rows, self.schedule(epoch))
        except (LookupError, ValueError):
            return 0

    def _length(self, epoch: int) -> int:
        n_selected, n_ranks = n_kept(self._rows.n_rows, self.schedule(epoch)), self._ranks()[0]
        return n_selected // n_ranks if self.drop_last else -(-n_selected // n_ranks)

    def _configuration(self, epoch: int) -> dict[str, Any]:
        """Return what must match for an epoch to be resumed.

        The weights are not compared, because they follow from features, labels and powers, and
        their last bits differ between machines.
        """
        if self._identity is None:
            self._identity = {
                "schedule": describe(self.schedule),
                **self._powers,
                "seed": self.seed,
                "drop_last": self.drop_last,
                "features": self._rows.fingerprint(),
                "labels": self._visits.fingerprint(),
            }
        return {
            "filter_ratio": self.schedule(epoch),
            "num_replicas": self.num_replicas,
            **self._identity,
        }
