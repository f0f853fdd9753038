"""The order of an epoch: the indices that a sampler yields, as a function of the epoch."""

from __future__ import annotations

import copy
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sized
from numbers import Integral
from typing import Any, Never
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DistributedSampler, RandomSampler, Sampler, SequentialSampler

from spectral_select._utils.validation import check_int

__all__ = [
    "EpochCarrier",
    "EpochClock",
    "SeededSampler",
    "check_indices",
    "check_same_on_all_ranks",
    "check_sampler",
    "checksum",
    "dataset_of",
    "epoch_of",
    "generator_of",
    "generator_state",
    "list_order",
    "refuse_reading",
    "restore_generator",
    "seeded_permutation",
    "spread_over_ranks",
    "unwrapped",
    "with_epoch",
]

Order = npt.NDArray[np.int64]


class EpochClock:
    """Tracks the epoch of the next pass, which is set explicitly or incremented after each pass.

    Once an epoch has been set explicitly, a pass without a newly set epoch repeats the last epoch:
    presumably, the loader was rebuilt or the data are being read again.

    Attributes
    ----------
    epoch : int
        Epoch of the latest pass, or of the next pass if it has been set.
    started : bool
        Whether a pass of that epoch has started.
    explicit_epoch : int or None
        Epoch set explicitly since the latest pass.
    auto_increment : bool
        Whether each pass is a new epoch, because no epoch was ever set explicitly.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.started = False
        self.explicit_epoch: int | None = None
        self.auto_increment = True

    def set_explicitly(self, epoch: int) -> None:
        """Set the epoch of the next pass at the user's request."""
        self.restore(epoch)
        self.explicit_epoch = self.epoch
        self.auto_increment = False

    def restore(self, epoch: int) -> None:
        """Set the epoch of the next pass from a loaded state."""
        self.epoch = check_int(epoch, "epoch", 0)
        self.started = False

    def start(self) -> int:
        """Start a pass and return its epoch."""
        self.epoch = self.upcoming()
        self.started, self.explicit_epoch = True, None
        return self.epoch

    def upcoming(self) -> int:
        """Return the epoch that a pass started now would have."""
        return self.epoch + (self.started and self.auto_increment)

    def check_reading(self, epoch: int) -> None:
        """Raise if a different epoch has been set since the pass of `epoch` started."""
        if self.explicit_epoch not in (None, epoch):
            refuse_reading(epoch, self.explicit_epoch)


class SeededSampler(RandomSampler):
    """Yield all indices in an order that depends only on the seed and the epoch.

    The class is a `RandomSampler`, so that a framework that replaces it with a distributed
    sampler knows that the order is shuffled. The permutation is the one that `DistributedSampler`
    draws for the same seed and epoch.
    """

    def __init__(self, n: int, seed: int) -> None:
        super().__init__(range(n))
        self.seed = seed
        self.clock = EpochClock()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass."""
        self.clock.set_explicitly(epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(seeded_permutation(len(self), self.seed + self.clock.epoch).tolist())


class EpochCarrier(Sampler[int]):
    """Wraps a sampler to add an epoch that frameworks can set.

    Lightning and Accelerate set the epoch of the sampler inside a batch sampler. A
    `RandomSampler` or `WeightedRandomSampler` has no epoch, so the order and the batch sampler's
    schedule would restart at the first epoch when a loader is rebuilt or resumed.

    Parameters
    ----------
    sampler : iterable of int
        The sampler to wrap; its attributes are also available on the carrier.
    """

    def __init__(self, sampler: Iterable[int]) -> None:
        self.base = sampler
        self.clock = EpochClock()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass."""
        self.clock.set_explicitly(epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(self.base)

    def __len__(self) -> int:
        return len(self.base)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name == "base" or name.startswith("__"):  # during unpickling
            raise AttributeError(name)
        return getattr(self.base, name)


class _RandomCarrier(EpochCarrier, RandomSampler):
    """A `RandomSampler` with an epoch, which frameworks recognize as shuffled."""


class _SequentialCarrier(EpochCarrier, SequentialSampler):
    """A `SequentialSampler` with an epoch, which frameworks recognize as ordered."""


def with_epoch(sampler: Any) -> Any:
    """Return `sampler`, wrapped in an `EpochCarrier` if frameworks cannot set its epoch."""
    if epoch_of(sampler) is not None or callable(getattr(sampler, "set_epoch", None)):
        return sampler
    if isinstance(sampler, RandomSampler):
        return _RandomCarrier(sampler)
    return (
        _SequentialCarrier(sampler)
        if isinstance(sampler, SequentialSampler)
        else EpochCarrier(sampler)
    )


def unwrapped(sampler: Any) -> Any:
    """Return the sampler inside an `EpochCarrier`, or `sampler` itself."""
    return sampler.base if isinstance(sampler, EpochCarrier) else sampler


def check_sampler(sampler: Any) -> None:
    """Raise unless `sampler` can be iterated in every epoch."""
    if not hasattr(sampler, "__iter__") and not hasattr(sampler, "__getitem__"):
        raise TypeError(
            "sampler must be None, a torch Sampler or an iterable of indices; "
            f"got {sampler!r} of type {type(sampler).__name__}"
        )
    if hasattr(sampler, "__next__"):
        raise TypeError(
            "sampler must be an iterable that can be iterated in every epoch; "
            f"got an iterator of type {type(sampler).__name__}, which can be iterated only once"
        )


def spread_over_ranks(sampler: Any) -> bool:
    """Return whether `sampler` is a `DistributedSampler` whose order over all ranks is known.

    `SpectralBatchSampler` divides the candidate batches among the ranks, so it needs the order
    over all ranks instead of one rank's share.
    """
    return (
        isinstance(sampler, DistributedSampler)
        and type(sampler).__iter__ is DistributedSampler.__iter__
    )


def dataset_of(sampler: Any) -> Any:
    """Return the dataset that a sampler draws from, or None if the sampler does not hold it."""
    dataset = getattr(sampler, "dataset", None)
    return getattr(sampler, "data_source", None) if dataset is None else dataset


def epoch_of(sampler: Any) -> int | None:
    """Return the epoch of a sampler, or None if it does not have one."""
    epoch = getattr(sampler, "epoch", None)
    if isinstance(epoch, bool) or not isinstance(epoch, Integral) or epoch < 0:
        return None
    return int(epoch)


def generator_of(sampler: Any) -> torch.Generator | None:
    """Return the generator that determines the next order of a sampler, or None."""
    generator = getattr(sampler, "generator", None)
    reseeds = isinstance(sampler, SeededSampler) or epoch_of(sampler) is not None
    return generator if isinstance(generator, torch.Generator) and not reseeds else None


def list_order(sampler: Iterable[int], seed: int | None, epoch: int) -> Order:
    """Return the indices of an epoch, the same on all ranks.

    Parameters
    ----------
    sampler : sampler or iterable of int
        If its `generator` is None, a generator seeded with ``seed + epoch`` is used for this
        pass, so that the order is the same on every rank and after resuming. If the epoch was set
        explicitly, the sampler's own generator is replaced with one seeded with its initial seed
        plus the epoch.
    seed : int or None
        None means the seed of a `DistributedSampler` or of the `SeedableRandomSampler` that
        Accelerate installs, otherwise 0.
    epoch : int
        Epoch, counted from 0.

    Returns
    -------
    ndarray of shape (n,), int64
        Dataset indices.
    """
    if spread_over_ranks(sampler):
        n = len(sampler.dataset)  # type: ignore[attr-defined]
        if not sampler.shuffle:  # type: ignore[attr-defined]
            return np.arange(n)
        seed = sampler.seed if seed is None else seed  # type: ignore[attr-defined]
        return seeded_permutation(n, seed + epoch)
    if seed is not None and hasattr(sampler, "initial_seed"):
        # Accelerate's SeedableRandomSampler advances its epoch with each pass. Here, a copy is
        # read, so the epoch of the sampler itself is advanced explicitly.
        reseeded = copy.copy(sampler)
        reseeded.initial_seed = seed
        sampler.set_epoch(epoch + 1)  # type: ignore[attr-defined]
        return _as_indices(list(reseeded))
    seed = 0 if seed is None else seed
    explicit = isinstance(sampler, EpochCarrier) and not sampler.clock.auto_increment
    sampler = unwrapped(sampler)
    if isinstance(sampler, SeededSampler):
        return seeded_permutation(len(sampler), seed + epoch)
    if type(sampler) is SequentialSampler:
        return np.arange(len(sampler))
    generator = getattr(sampler, "generator", 0)
    if explicit and isinstance(generator, torch.Generator):
        # The order depends on the epoch, not the generator's state, so a new process repeats it.
        seed, generator = generator.initial_seed(), None
    if generator is None and epoch_of(sampler) is None:
        sampler = copy.copy(sampler)
        sampler.generator = torch.Generator().manual_seed(seed + epoch)  # type: ignore[attr-defined]
    expected = len(sampler) if isinstance(sampler, Sized) else None
    order = _as_indices(list(sampler))
    if expected is not None and len(order) != expected:
        raise RuntimeError(
            f"the sampler ({type(sampler).__name__}) yielded {len(order)} indices but its length "
            f"is {expected}; the number of batches would be wrong"
        )
    return order


def refuse_reading(epoch: int, since: int | None) -> Never:
    """Raise because the epoch was set to `since` while the pass of `epoch` was being read."""
    raise RuntimeError(
        f"epoch {since} was set after the loader had begun to read epoch {epoch}; call set_epoch "
        "before iterating over the loader"
    )


def check_same_on_all_ranks(sampler: Any, order: Order) -> None:
    """Raise if `sampler` draws a different order on each rank.

    A sampler with neither an epoch nor a generator cannot be seeded, so it is iterated once more:
    if it draws at random, its order changes.
    """
    base = unwrapped(sampler)
    if base is sampler or type(base) is SequentialSampler or hasattr(base, "generator"):
        return
    if not np.array_equal(_as_indices(list(base)), order):
        raise ValueError(
            f"sampler ({type(base).__name__}) must yield the same order on every rank, but its "
            "order changes with each iteration. Give it a `set_epoch` method, or a `generator` "
            "attribute that is None and that its random functions use"
        )


def check_indices(order: Order, n_rows: int) -> None:
    """Raise unless every index refers to one of the `n_rows` rows."""
    outside = np.flatnonzero((order < 0) | (order >= n_rows))
    if len(outside):
        raise ValueError(
            f"sampler must yield indices into the {n_rows} rows of features; "
            f"got {order[outside[0]]} at position {outside[0]}"
        )


def checksum(order: Order) -> int:
    """Return a checksum of an epoch's order."""
    return crc32(np.ascontiguousarray(order, "<i8").tobytes())


def generator_state(generator: torch.Generator | None) -> str | None:
    """Return a generator's state as text."""
    if generator is None:
        return None
    return b64encode(generator.get_state().numpy().tobytes()).decode("ascii")


def restore_generator(generator: torch.Generator, state: str) -> None:
    """Restore a generator from the result of `generator_state`."""
    raw = np.frombuffer(b64decode(state), np.uint8).copy()
    generator.set_state(torch.from_numpy(raw))


def seeded_permutation(n: int, seed: int) -> Order:
    """Return the permutation of a `DistributedSampler` whose seed and epoch add up to `seed`."""
    generator = torch.Generator().manual_seed(seed)
    order: Order = torch.randperm(n, generator=generator, device="cpu").numpy()
    return order


def _as_indices(values: list[Any]) -> Order:
    order = np.asarray(values)
    if order.size == 0:
        return np.empty(0, np.int64)
    if order.ndim != 1 or order.dtype.kind not in "iu":
        raise TypeError(
            "sampler must yield one integer index at a time; "
            f"got {values[0]!r} of type {type(values[0]).__name__}"
        )
    return order.astype(np.int64)
