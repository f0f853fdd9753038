"""The order of an epoch, from any sampler or iterable in a SpectralBatchSampler."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from sampler_helpers import build
from torch.utils.data import (
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

ratios = st.one_of(st.sampled_from([0, 0.5, 0.8, 0.9]), st.floats(0, 0.95))


@pytest.mark.parametrize(
    "inner",
    [
        RandomSampler(range(200)),
        RandomSampler(range(200), num_samples=150),
        RandomSampler(range(200), replacement=True, num_samples=300),
        WeightedRandomSampler(np.arange(1.0, 201), 300),
        SubsetRandomSampler(range(50, 200)),
        SequentialSampler(range(200)),
        range(0, 200, 2),
        list(range(199, -1, -1)),
        np.arange(200),
        torch.arange(200),
        {5: "a", 7: "b"} | dict.fromkeys(range(20, 90)),
    ],
    ids=lambda inner: type(inner).__name__,
)
def test_accepts_any_sampler_or_iterable(inner):
    sampler = build(sampler=inner)
    length = len(sampler)
    first = list(sampler)
    assert len(first) == length
    again = build(sampler=inner)
    assert list(again) == first
    assert list(again) == list(sampler)
    if getattr(inner, "generator", 0) is None:
        assert list(sampler) != first
        assert inner.generator is None


def test_random_sampler_and_none_give_the_same_order():
    assert list(build(sampler=RandomSampler(range(200)))) == list(build())


def test_uses_the_generator_of_the_sampler_inside():
    def inner():
        return RandomSampler(range(200), generator=torch.Generator().manual_seed(8))

    whole = [list(inner())]
    sampler = build(sampler=inner(), ratio=0.0)
    assert [i for b in sampler for i in b] == whole[0]
    assert [i for b in sampler for i in b] != whole[0]


def test_sampler_inside_may_have_no_length():
    class Unsized:
        def __iter__(self):
            return iter(range(100))

    sampler = build(sampler=Unsized())
    assert len(list(sampler)) == 7
    with pytest.raises(TypeError, match="Unsized has no length"):
        len(sampler)


def test_rejects_sampler_with_a_wrong_length():
    class WrongLength:
        def __len__(self):
            return 120

        def __iter__(self):
            return iter(range(100))

    with pytest.raises(RuntimeError, match="yielded 100 indices but its length is 120"):
        list(build(sampler=WrongLength()))


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (range(100, 300), ValueError, "indices into the 200 rows of features; got 200 at position"),
        (range(-1, 100), ValueError, "got -1 at position 0"),
        (np.arange(0, 200) / 2, TypeError, r"one integer index at a time; got np.float64\(0.0\)"),
        (["a"] * 50, TypeError, "one integer index at a time; got 'a'"),
        ([[1, 2]] * 50, TypeError, "one integer index at a time"),
        ([True, False] * 50, TypeError, "one integer index at a time; got True"),
    ],
)
def test_rejects_invalid_indices(indices, error, message):
    with pytest.raises(error, match=message):
        list(build(sampler=indices))


def test_epoch_of_the_sampler_inside_decides():
    inner = DistributedSampler(range(200), num_replicas=1, rank=0)
    sampler = build(sampler=inner, schedule=lambda epoch: 0.1 * epoch)
    inner.set_epoch(5)
    assert len(sampler) == len(list(sampler))
    assert sampler.timings.epoch == 5
    sampler.set_epoch(2)
    assert inner.epoch == 2
    list(sampler)
    assert sampler.timings.epoch == 2


def test_set_epoch_of_the_default_sampler_inside_sets_the_epoch():
    sampler = build()
    sampler.sampler.set_epoch(6)
    expected = build()
    expected.set_epoch(6)
    assert list(sampler) == list(expected)
