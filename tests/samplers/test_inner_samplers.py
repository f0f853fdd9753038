"""Samplers inside a SpectralBatchSampler whose epoch a framework sets."""

import pickle

import numpy as np
import pytest
import torch
from accelerate.data_loader import DataLoaderShard
from lightning.fabric.utilities.data import _set_sampler_epoch
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from spectral_select import ClassBalancedSampler, LinearSchedule, SpectralBatchSampler

N = 120
DATASET = TensorDataset(torch.arange(N))
FEATURES = np.random.default_rng(0).random((N, 4))


class Custom(Sampler):
    """A user-defined sampler: a permutation drawn with its own generator."""

    def __init__(self):
        self.generator = None

    def __iter__(self):
        return iter(torch.randperm(N, generator=self.generator).tolist())

    def __len__(self):
        return N


def generator():
    return torch.Generator().manual_seed(3)


SHUFFLED = {
    "none": lambda: None,
    "random": lambda: RandomSampler(DATASET),
    "random with generator": lambda: RandomSampler(DATASET, generator=generator()),
    "weighted": lambda: WeightedRandomSampler(torch.ones(N), N),
    "weighted with generator": lambda: WeightedRandomSampler(
        torch.ones(N), N, generator=generator()
    ),
    "custom": Custom,
    "distributed": lambda: DistributedSampler(DATASET, 1, 0),
    "balanced": lambda: ClassBalancedSampler(np.arange(N) % 3),
}
ORDERED = {"sequential": lambda: SequentialSampler(DATASET), "list": lambda: list(range(N))}


def loader(make):
    schedule = LinearSchedule(0.8, 0.4, 4)
    batches = SpectralBatchSampler(
        make(), None, features=FEATURES, candidate_size=30, schedule=schedule, seed=0, prefetch=0
    )
    return DataLoader(DATASET, batch_sampler=batches)


def by_lightning(data, epoch):
    _set_sampler_epoch(data, epoch)


def by_accelerate(data, epoch):
    shard = DataLoaderShard(DATASET, batch_sampler=data.batch_sampler)
    shard.set_epoch(epoch)


def by_hand(data, epoch):
    data.batch_sampler.set_epoch(epoch)


FRAMEWORKS = [by_lightning, by_accelerate, by_hand]


def read(data):
    return [rows.tolist() for (rows,) in data]


@pytest.mark.parametrize("set_epoch", FRAMEWORKS)
@pytest.mark.parametrize("inner", [*SHUFFLED, *ORDERED])
def test_rebuilt_loader_continues_with_the_epoch(inner, set_epoch):
    make = (SHUFFLED | ORDERED)[inner]
    epochs = []
    for epoch in range(4):
        data = loader(make)  # as when Lightning reloads it or another process resumes
        set_epoch(data, epoch)
        epochs.append(read(data))
    assert [len(batches[0]) for batches in epochs] == [6, 10, 14, 18]
    assert len({str(batches) for batches in epochs}) == 4
    if inner in SHUFFLED:  # so the epochs do not differ only because of the schedule
        assert len({str(sorted(batches[0])[:6]) for batches in epochs}) == 4


@pytest.mark.parametrize("set_epoch", FRAMEWORKS)
@pytest.mark.parametrize("inner", [*SHUFFLED, *ORDERED])
def test_epoch_determines_the_order_in_a_kept_loader(inner, set_epoch):
    make = (SHUFFLED | ORDERED)[inner]
    kept = loader(make)
    for epoch in (0, 1, 2, 1):
        set_epoch(kept, epoch)
        fresh = loader(make)
        set_epoch(fresh, epoch)
        assert read(kept) == read(fresh)


class Unseeded(Custom):
    """A sampler that uses the global random state."""

    def __init__(self):
        pass

    def __iter__(self):
        return iter(torch.randperm(N).tolist())


def test_rejects_sampler_that_each_rank_draws_differently():
    options = {"features": FEATURES, "prefetch": 0, "seed": 0}
    with pytest.raises(ValueError, match=r"same order on every rank, but its order changes"):
        list(SpectralBatchSampler(Unseeded(), 6, num_replicas=2, rank=0, **options))
    assert list(SpectralBatchSampler(Unseeded(), 6, **options))


@pytest.mark.parametrize("inner", sorted((SHUFFLED | ORDERED).keys() - {"distributed"}))
def test_ranks_share_the_order_of_every_other_sampler(inner):
    make = (SHUFFLED | ORDERED)[inner]
    options = {"features": FEATURES, "prefetch": 0, "seed": 0}
    parts = [
        list(SpectralBatchSampler(make(), 6, num_replicas=2, rank=rank, **options))
        for rank in range(2)
    ]
    one = list(SpectralBatchSampler(make(), 6, **options))
    dealt = [batch for pair in zip(*parts, strict=True) for batch in pair]
    assert dealt == one[: len(dealt)]


@pytest.mark.parametrize("inner", ["random", "weighted", "custom", "list"])
def test_carrier_has_the_attributes_of_the_sampler(inner):
    made = (SHUFFLED | ORDERED)[inner]()
    carrier = loader(lambda: made).batch_sampler.sampler
    assert len(carrier) == N
    assert isinstance(carrier, RandomSampler) == isinstance(made, RandomSampler)
    for name in ("data_source", "weights", "num_samples", "replacement"):
        assert hasattr(carrier, name) == hasattr(made, name)
    if inner != "list":
        assert carrier.generator is made.generator
    again = pickle.loads(pickle.dumps(carrier))
    assert len(again) == N
    again.set_epoch(2)


def test_without_explicit_epochs_a_generator_advances():
    sampler = RandomSampler(DATASET, generator=generator())
    batches = SpectralBatchSampler(sampler, 6, features=FEATURES, prefetch=0)
    assert list(batches) != list(batches)
    same = RandomSampler(DATASET, generator=generator())
    first = SpectralBatchSampler(same, 6, features=FEATURES, prefetch=0)
    assert list(first) == list(
        SpectralBatchSampler(
            RandomSampler(DATASET, generator=generator()), 6, features=FEATURES, prefetch=0
        )
    )
