"""SpectralBatchSampler on several ranks."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sampler_helpers import Calls, TopSum, batches_by_rank, build, table
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    TensorDataset,
)

from spectral_select import (
    n_candidates,
)
from spectral_select._samplers import spectral_batch_sampler

ratios = st.one_of(st.sampled_from([0, 0.5, 0.8, 0.9]), st.floats(0, 0.95))


@given(st.integers(40, 400), st.integers(1, 6), ratios, st.integers(2, 5), st.booleans())
def test_ranks_together_yield_the_batches_of_one_process(n, batch, ratio, n_ranks, drop_last):
    size = n_candidates(batch, ratio)
    assume(n >= size * n_ranks)
    options = {"n": n, "batch_size": batch, "ratio": ratio, "drop_last": drop_last}
    parts = batches_by_rank(n_ranks, **options)
    assert len({len(part) for part in parts}) == 1
    assert len({tuple(map(len, part)) for part in parts}) == 1
    flat = [i for part in parts for b in part for i in b]
    assert len(set(flat)) == len(flat)
    n_full = n // (size * n_ranks)
    dealt = [b for round_ in zip(*parts, strict=True) for b in round_][: n_full * n_ranks]
    assert dealt == list(build(**options))[: n_full * n_ranks]


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_each_rank_selects_only_its_own_batches(n_ranks):
    features = table(480)
    seen = []
    for rank in range(n_ranks):
        calls = Calls()
        sampler = build(
            480,
            features=features,
            selector=TopSum(0.5, calls=calls),
            num_replicas=n_ranks,
            rank=rank,
        )
        assert len(list(sampler)) == 480 // (16 * n_ranks)
        seen += [row for _, X in calls for row in X.tolist()]
    assert sorted(seen) == sorted(features.tolist())


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n", [192, 201])
def test_ranks_divide_the_whole_order_of_a_distributed_sampler(shuffle, n):
    parts = []
    for rank in range(3):
        inner = DistributedSampler(range(n), 3, rank, shuffle=shuffle, seed=11)
        inner.set_epoch(2)
        parts.append(list(build(n, sampler=inner, seed=None)))
    flat = [i for part in parts for b in part for i in b]
    assert len(set(flat)) == len(flat)
    one = build(n, sampler=None if shuffle else range(n), seed=11)
    one.set_epoch(2)
    dealt = [b for round_ in zip(*parts, strict=True) for b in round_]
    assert dealt[: 3 * (n // 48)] == list(one)[: 3 * (n // 48)]


def test_subclass_of_distributed_sampler_yields_the_share_of_its_rank():
    class Share(DistributedSampler):
        def __iter__(self):
            return iter(range(self.rank, 200, self.num_replicas))

    for rank in range(2):
        sampler = build(sampler=Share(range(200), 2, rank))
        assert len(sampler) == 7
        assert {i % 2 for b in sampler for i in b} == {rank}


def test_more_ranks_than_batches_yield_short_batches_or_raise():
    parts = batches_by_rank(4, n=40, batch_size=8, ratio=0.5)
    assert [[len(b) for b in part] for part in parts] == [[5]] * 4
    with pytest.raises(ValueError, match=r"at least 64 indices: .* each of 4 ranks .*got 40"):
        batches_by_rank(4, n=40, batch_size=8, ratio=0.5, drop_last=True)


def test_batches_of_other_ranks_are_placeholders_if_the_loader_shards(monkeypatch):
    monkeypatch.setattr(spectral_batch_sampler, "loader_shards_batches", lambda: True)
    one = list(build(n=201))
    for rank in range(3):
        inner = DistributedSampler(range(201), 3, rank)
        sampler = build(n=201, sampler=inner)
        batches = list(sampler)
        assert sampler.drop_last
        assert len(sampler) == len(batches) == 12
        assert {len(b) for b in batches} == {8}
        assert batches[rank::3] == one[rank:12:3]
        with pytest.raises(RuntimeError, match=r"another rank.*accelerator\.prepare"):
            list(batches[rank - 1])
        loader = DataLoader(TensorDataset(torch.arange(201)), batch_sampler=sampler)
        if rank:
            with pytest.raises(RuntimeError, match="another rank"):
                next(iter(loader))
