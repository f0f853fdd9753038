"""SpectralBatchSampler: batches, epochs, loaders and arguments."""

import copy
import json
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sampler_helpers import Calls, TopSum, batches_by_rank, blocks_of, build, table
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Subset,
    TensorDataset,
)

from spectral_select import (
    FiedlerBatchSelector,
    GuidedBatchSelector,
    LinearSchedule,
    SpectralBatchSampler,
    n_candidates,
    n_kept,
)

ratios = st.one_of(st.sampled_from([0, 0.5, 0.8, 0.9]), st.floats(0, 0.95))


# --- batches -------------------------------------------------------------------


@given(st.integers(1, 150), st.integers(1, 20), ratios, st.booleans(), st.integers(1, 5), st.data())
def test_length_is_exact_and_only_the_last_batch_is_short(
    n, batch_size, ratio, drop_last, n_ranks, data
):
    rank = data.draw(st.integers(0, n_ranks - 1))
    size = n_candidates(batch_size, ratio)
    share = n % (size * n_ranks) // n_ranks
    last = min(batch_size, max(2, n_kept(share, ratio))) if share > 1 and not drop_last else 0
    n_full = n // (size * n_ranks)
    options = {"num_replicas": n_ranks, "rank": rank, "drop_last": drop_last}
    assume(n_full + (last > 0) > 0)
    sampler = build(n, batch_size, ratio=ratio, **options)
    length = len(sampler)
    batches = list(sampler)
    assert [len(b) for b in batches] == [batch_size] * n_full + [last] * (last > 0)
    assert length == len(batches)
    flat = [i for batch in batches for i in batch]
    assert all(type(i) is int for i in flat)
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(range(n))


@given(st.integers(1, 20), ratios, st.integers(1, 5))
def test_needs_one_candidate_batch_for_each_rank(batch_size, ratio, n_ranks):
    options = {"ratio": ratio, "drop_last": True, "num_replicas": n_ranks, "rank": n_ranks - 1}
    n = n_candidates(batch_size, ratio) * n_ranks
    assert len(list(build(n, batch_size, **options))) == 1
    assume(n > 1)
    with pytest.raises(ValueError, match=f"sampler must yield at least {n} indices"):
        build(n - 1, batch_size, **options)


@given(st.integers(1, 150), st.integers(1, 60), ratios, st.booleans())
def test_candidate_size_keeps_a_share_of_a_fixed_candidate_batch(n, size, ratio, drop_last):
    kept, rest = n_kept(size, ratio), n % size
    last = min(kept, max(2, n_kept(rest, ratio))) if rest > 1 and not drop_last else 0
    assume(n // size + (last > 0) > 0)
    sampler = build(n, None, ratio=ratio, candidate_size=size, drop_last=drop_last)
    assert sampler.batch_size == kept
    assert [len(b) for b in sampler] == [kept] * (n // size) + [last] * (last > 0)


def test_yields_the_selection_from_each_candidate_batch():
    features = table(100)
    sampler = build(100, 5, features=features, sampler=range(100), ratio=0.5)
    for i, batch in enumerate(sampler):
        candidates = range(10 * i, 10 * i + 10)
        best = sorted(candidates, key=lambda j: -features[j].sum())[:5]
        assert batch == sorted(best)


@pytest.mark.parametrize("rule", ["extreme", "stratified"])
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_yields_the_selection_of_fiedler_batch_selector(rule, kind):
    features = table(300, 10)
    selector = FiedlerBatchSelector(0.8, rule=rule, laplacian="symmetric")
    given_features = features if kind == "array" else torch.from_numpy(features)
    sampler = SpectralBatchSampler(range(300), 8, features=given_features, selector=selector)
    for i, batch in enumerate(sampler):
        rows = features[40 * i : 40 * i + 40]
        alone = selector.fit(rows).get_support(indices=True)
        assert batch == (40 * i + alone).tolist()


SELECTORS = {
    "stand-in": TopSum(0.75),
    "stand-in, random": TopSum(0.75, random_state=1),
    "extreme": FiedlerBatchSelector(0.75),
    "stratified": FiedlerBatchSelector(0.75, rule="stratified", laplacian="symmetric"),
    "stratified, random": FiedlerBatchSelector(0.75, rule="stratified", random_state=2),
}


@pytest.mark.parametrize("kind", ["array", "tensor"])
@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@settings(max_examples=5)
@given(block=st.integers(1, 12), prefetch=st.integers(0, 3), size=st.sampled_from([4, 40]))
def test_selection_does_not_depend_on_blocks_thread_or_ranks(name, kind, block, prefetch, size):
    # Many rows are equal, so the data do not determine the Fiedler vectors.
    features = np.repeat(table(8 * size, 6), 8, axis=0)
    features[::3] = features[0]
    given_features = features if kind == "array" else torch.from_numpy(features)
    options = {"n": len(features), "features": given_features, "selector": SELECTORS[name]}
    options |= {"batch_size": size, "drop_last": True}
    with blocks_of(1):
        expected = list(build(prefetch=0, **options))
    with blocks_of(block):
        assert list(build(prefetch=prefetch, **options)) == expected
        parts = batches_by_rank(2, **options)
    dealt = [batch for round_ in zip(*parts, strict=True) for batch in round_]
    assert dealt == expected[: len(dealt)]


def test_filter_ratio_of_0_calls_no_selector():
    calls = Calls()
    sampler = build(100, 10, selector=TopSum(0, calls=calls))
    assert sorted(i for b in sampler for i in b) == list(range(100))
    assert calls == []


def test_random_selector_draws_anew_for_each_batch_and_epoch():
    features = np.ones((400, 3), np.float32)
    sampler = SpectralBatchSampler(
        range(400), 10, features=features, selector=TopSum(0.5, random_state=7)
    )
    first, second = list(sampler), list(sampler)
    places = {tuple(i % 20 for i in batch) for batch in first + second}
    assert len(places) > 30


@pytest.mark.parametrize("state", [4, np.random.RandomState(4)])
def test_random_selection_does_not_depend_on_the_number_of_ranks(state):
    options = {"selector": TopSum(0.5, random_state=state), "n": 480, "drop_last": True}
    one = list(build(**options))
    for n_ranks in (2, 3):
        parts = batches_by_rank(n_ranks, **options)
        assert [b for round_ in zip(*parts, strict=True) for b in round_] == one


# --- epochs, shuffling, schedule -------------------------------------------------------


def test_order_depends_only_on_seed_and_epoch():
    sampler = build()
    sampler.set_epoch(4)
    fourth = list(sampler)
    assert list(sampler) == fourth
    sampler.set_epoch(5)
    assert list(sampler) != fourth
    other = build()
    other.set_epoch(4)
    torch.manual_seed(5)
    assert list(other) == fourth
    different = build(seed=4)
    different.set_epoch(4)
    assert list(different) != fourth


def test_global_random_state_is_unchanged():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(build(sampler=RandomSampler(range(200))))
    assert torch.equal(before, torch.get_rng_state())


def test_epoch_advances_with_each_pass_without_set_epoch():
    explicit, automatic = build(), build()
    for epoch in range(3):
        explicit.set_epoch(epoch)
        assert len(automatic) == len(explicit)
        assert list(automatic) == list(explicit)
        assert automatic.timings.epoch == epoch


def test_schedule_sets_the_number_of_candidates():
    schedule = LinearSchedule(0.8, 0.0, 5)
    sampler = build(2000, 10, schedule=schedule)
    for epoch in range(6):
        sampler.set_epoch(epoch)
        size = n_candidates(10, schedule(epoch))
        assert len(sampler) == len(list(sampler)) == 2000 // size + (2000 % size > 1)


@given(st.integers(20, 200), st.integers(2, 20), st.integers(1, 3), st.lists(ratios, min_size=3))
def test_candidate_size_gives_the_same_number_of_batches_in_every_epoch(n, size, n_ranks, by_epoch):
    assume(n >= size * n_ranks)
    sampler = build(
        n,
        None,
        candidate_size=size,
        schedule=lambda epoch: by_epoch[epoch % 3],
        num_replicas=n_ranks,
        rank=0,
    )
    assert len({len(list(sampler)) for _ in range(3)}) == 1


def test_schedule_may_end_with_the_training():
    sampler = build(200, 8, schedule=lambda epoch: [0.5, 0.75][epoch])
    for _ in range(2):
        length = len(sampler)
        assert len(list(sampler)) == length
    assert len(sampler) == length
    sampler.state_dict()
    with pytest.raises(IndexError):
        list(sampler)


def test_schedule_sets_the_batch_size_with_candidate_size():
    sampler = build(1000, None, candidate_size=100, schedule=lambda epoch: 0.9 - 0.1 * epoch)
    assert sampler.batch_size is None
    for epoch in range(4):
        sampler.set_epoch(epoch)
        assert len(sampler) == 10
        assert {len(b) for b in sampler} == {n_kept(100, 0.9 - 0.1 * epoch)}


@pytest.mark.parametrize("bad", [-1, 1.5, None, True])
def test_rejects_invalid_epoch(bad):
    with pytest.raises((TypeError, ValueError), match="epoch must be an integer of at least 0"):
        build().set_epoch(bad)


# --- loaders ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_workers": 2},
        {"num_workers": 2, "persistent_workers": True},
        {"num_workers": 1, "multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "spawn"},
    ],
    ids=["main process", "workers", "persistent workers", "fork", "spawn"],
)
def test_loader_returns_the_samples_of_each_batch(options):
    features = table(200)
    dataset = TensorDataset(torch.from_numpy(features), torch.arange(200))
    sampler = build(features=features, dataset=dataset)
    expected = build(features=features)
    loader = DataLoader(dataset, batch_sampler=sampler, **options)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        assert len(loader) == len(sampler)
        batches = list(loader)
        assert [y.tolist() for _, y in batches] == list(expected)
        assert all((x.numpy() == features[y]).all() for x, y in batches)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_training_between_batches_keeps_its_gradients(prefetch):
    weight = torch.ones(3, requires_grad=True)
    for batch in build(features=torch.from_numpy(table(200)), prefetch=prefetch):
        assert torch.is_grad_enabled()
        (weight * len(batch)).sum().backward()


def test_has_the_attributes_of_a_torch_batch_sampler():
    inner = RandomSampler(range(200))
    sampler = build(sampler=inner, drop_last=True)
    assert isinstance(sampler, BatchSampler)
    assert isinstance(sampler.sampler, RandomSampler)
    assert sampler.sampler.data_source is inner.data_source
    assert sampler.batch_size == 8
    assert sampler.drop_last is True
    assert isinstance(build().sampler, RandomSampler)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda sampler: pickle.loads(pickle.dumps(sampler))]
)
def test_copies_are_independent(duplicate):
    sampler = build()
    iterator = iter(sampler)
    next(iterator)
    other = duplicate(sampler)
    assert other.state_dict()["batches_yielded"] == 0
    sampler.set_epoch(3)
    other.set_epoch(3)
    assert list(other) == list(sampler)


def test_timings_count_solves_and_waiting():
    sampler = build(400, prefetch=0)
    assert sampler.timings.n_batches == 0
    with blocks_of(4):
        list(sampler)
    timings = sampler.timings
    assert timings.n_batches == 25
    assert timings.n_solves == 8  # blocks of 1, 2, 4, 4, 4, 4, 4 and 2 batches
    assert 0 < timings.solve_seconds <= timings.wait_seconds
    json.dumps(asdict(timings))


# --- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1; got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer of at least 1; got 2.5"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer of at least 1; got True"),
        ({"batch_size": None}, TypeError, "batch_size must be an integer of at least 1; got None"),
        (
            {"batch_size": None, "candidate_size": 0},
            ValueError,
            "candidate_size must be an integer",
        ),
        ({"candidate_size": 100}, ValueError, "batch_size must be None .*: 50 of 100; got 8"),
        ({"drop_last": 1}, TypeError, "drop_last must be True or False; got 1"),
        ({"schedule": 1.0}, ValueError, r"filter_ratio must be in \[0, 1\)"),
        ({"schedule": "linear"}, TypeError, "schedule must be a filter ratio"),
        ({"selector": object()}, TypeError, "selector must be an estimator"),
        ({"selector": TopSum}, TypeError, "selector must be an estimator"),
        ({"selector": TopSum(candidate_size=5)}, ValueError, "candidate_size must be passed to"),
        ({"selector": FiedlerBatchSelector(rule="best")}, ValueError, "The 'rule' parameter"),
        ({"features": np.ma.masked_less(table(9), 5)}, ValueError, "features must not be a masked"),
        ({"seed": -1}, ValueError, "seed must be an integer of at least 0; got -1"),
        ({"seed": 1.0}, TypeError, "seed must be an integer of at least 0; got 1.0"),
        ({"num_replicas": 2}, ValueError, "num_replicas and rank must be given together"),
        (
            {"num_replicas": 2, "rank": 2},
            ValueError,
            "rank must be less than num_replicas=2; got 2",
        ),
        ({"num_replicas": 0, "rank": 0}, ValueError, "num_replicas must be an integer"),
        ({"selector": GuidedBatchSelector()}, ValueError, r"needs labels: use .*GuidedSampler"),
        ({"prefetch": -1}, ValueError, "prefetch must be an integer of at least 0; got -1"),
        ({"sampler": 200}, TypeError, "sampler must be None, a torch Sampler or an iterable"),
        ({"sampler": iter(range(200))}, TypeError, "got an iterator of type"),
        ({"sampler": RandomSampler(range(150))}, ValueError, "got 200 rows for 150 samples"),
        ({"dataset": range(199)}, ValueError, "got 200 rows for 199 samples"),
        ({"sampler": []}, ValueError, "sampler must yield at least 2 indices: .* got 0"),
        ({"sampler": range(1)}, ValueError, "sampler must yield at least 2 indices"),
        ({"features": table(0)}, ValueError, "features must have at least one row"),
    ],
)
def test_rejects_invalid_arguments(change, error, message):
    with pytest.raises(error, match=message):
        build(**change)


def test_missing_features_raise_with_a_remedy():
    with pytest.raises(TypeError, match=r"features is required.*use_distributed_sampler=False"):
        SpectralBatchSampler(RandomSampler(range(10)), batch_size=2, drop_last=False)


def test_rejects_selector_that_keeps_too_few():
    class KeepsTooFew(TopSum):
        def __sklearn_clone__(self):
            return KeepsTooFew(self.filter_ratio)

        def fit(self, X, y=None):
            super().fit(X)
            self.support_[np.flatnonzero(self.support_)[0]] = False
            return self

    with pytest.raises(
        RuntimeError, match="KeepsTooFew must keep 8 rows from every 16 candidates; it kept"
    ):
        list(build(selector=KeepsTooFew(0.5)))


def test_subset_of_a_dataset_needs_the_features_of_the_subset():
    features = table(300)
    indices = list(range(0, 300, 3))
    subset = Subset(TensorDataset(torch.arange(300)), indices)
    sampler = build(features=features[indices], dataset=subset)
    loader = DataLoader(subset, batch_sampler=sampler)
    assert {int(i) % 3 for (batch,) in loader for i in batch} == {0}
