import copy
import json
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampler_helpers import Calls, TopSum, blocks_of, table
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from spectral_select import (
    FiedlerBatchSelector,
    GuidedBatchSelector,
    LinearSchedule,
    SpectralBatchSampler,
    n_candidates,
    n_kept,
)
from spectral_select._samplers import spectral_batch_sampler

ratios = st.one_of(st.sampled_from([0, 0.5, 0.8, 0.9]), st.floats(0, 0.95))


def build(n=200, batch_size=8, *, ratio=0.5, seed=3, selector=None, sampler=None, **options):
    selector = TopSum(ratio) if selector is None else selector
    options.setdefault("features", table(n))
    return SpectralBatchSampler(sampler, batch_size, selector=selector, seed=seed, **options)


def everything(n_ranks, **options):
    """Return the batches of every rank, a list a rank."""
    return [list(build(num_replicas=n_ranks, rank=r, **options)) for r in range(n_ranks)]


# --- what is yielded -------------------------------------------------------------------


@given(st.integers(1, 150), st.integers(1, 20), ratios, st.booleans(), st.integers(1, 5), st.data())
def test_batches_are_full_but_for_a_last_one_and_as_many_as_announced(
    n, batch_size, ratio, drop_last, n_ranks, data
):
    rank = data.draw(st.integers(0, n_ranks - 1))
    size = n_candidates(batch_size, ratio)
    share = n % (size * n_ranks) // n_ranks
    last = min(batch_size, max(2, n_kept(share, ratio))) if share > 1 and not drop_last else 0
    n_full = n // (size * n_ranks)
    options = {"num_replicas": n_ranks, "rank": rank, "drop_last": drop_last}
    if n_full + (last > 0) == 0:
        with pytest.raises(ValueError, match="sampler must yield at least"):
            build(n, batch_size, ratio=ratio, **options)
        return
    sampler = build(n, batch_size, ratio=ratio, **options)
    length = len(sampler)
    batches = list(sampler)
    assert [len(b) for b in batches] == [batch_size] * n_full + [last] * (last > 0)
    assert length == len(batches)
    flat = [i for batch in batches for i in batch]
    assert all(type(i) is int for i in flat)
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(range(n))


@given(st.integers(1, 150), st.integers(1, 60), ratios, st.booleans())
def test_in_the_papers_form_a_share_of_a_fixed_candidate_batch_is_kept(n, size, ratio, drop_last):
    kept, rest = n_kept(size, ratio), n % size
    last = min(kept, max(2, n_kept(rest, ratio))) if rest > 1 and not drop_last else 0
    if n // size + (last > 0) == 0:
        return
    sampler = build(n, None, ratio=ratio, candidate_size=size, drop_last=drop_last)
    assert sampler.batch_size == kept
    assert [len(b) for b in sampler] == [kept] * (n // size) + [last] * (last > 0)


def test_what_the_selector_keeps_of_each_candidate_batch_is_what_is_yielded():
    features = table(100)
    sampler = build(100, 5, features=features, sampler=range(100), ratio=0.5)
    for i, batch in enumerate(sampler):
        candidates = range(10 * i, 10 * i + 10)
        best = sorted(candidates, key=lambda j: -features[j].sum())[:5]
        assert batch == sorted(best)


@pytest.mark.parametrize("rule", ["extreme", "stratified"])
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_the_default_selector_chooses_as_it_does_by_itself(rule, kind):
    features = table(300, 10)
    selector = FiedlerBatchSelector(0.8, rule=rule, laplacian="symmetric")
    given_ = features if kind == "array" else torch.from_numpy(features)
    sampler = SpectralBatchSampler(range(300), 8, features=given_, selector=selector)
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
def test_what_is_chosen_does_not_depend_on_blocks_thread_or_ranks(
    name, kind, block, prefetch, size
):
    # Many rows are equal: the Fiedler vectors are not determined by the data.
    features = np.repeat(table(8 * size, 6), 8, axis=0)
    features[::3] = features[0]
    given_ = features if kind == "array" else torch.from_numpy(features)
    options = {"n": len(features), "features": given_, "selector": SELECTORS[name]}
    options |= {"batch_size": size, "drop_last": True}
    with blocks_of(1):
        expected = list(build(prefetch=0, **options))
    with blocks_of(block):
        assert list(build(prefetch=prefetch, **options)) == expected
        parts = everything(2, **options)
    dealt = [batch for round_ in zip(*parts, strict=True) for batch in round_]
    assert dealt == expected[: len(dealt)]


def test_without_anything_to_discard_nothing_is_solved():
    calls = Calls()
    sampler = build(100, 10, selector=TopSum(0, calls=calls))
    assert sorted(i for b in sampler for i in b) == list(range(100))
    assert calls == []


def test_a_random_selector_draws_anew_for_each_batch_and_epoch():
    features = np.ones((400, 3), np.float32)
    sampler = SpectralBatchSampler(
        range(400), 10, features=features, selector=TopSum(0.5, random_state=7)
    )
    first, second = list(sampler), list(sampler)
    places = {tuple(i % 20 for i in batch) for batch in first + second}
    assert len(places) > 30


@pytest.mark.parametrize("state", [4, np.random.RandomState(4)])
def test_random_choices_are_the_same_on_any_number_of_ranks(state):
    options = {"selector": TopSum(0.5, random_state=state), "n": 480, "drop_last": True}
    one = list(build(**options))
    for n_ranks in (2, 3):
        parts = everything(n_ranks, **options)
        assert [b for round_ in zip(*parts, strict=True) for b in round_] == one


# --- epochs, shuffling, schedule -------------------------------------------------------


def test_the_order_depends_on_the_seed_and_the_epoch_alone():
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


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(build(sampler=RandomSampler(range(200))))
    assert torch.equal(before, torch.get_rng_state())


def test_without_set_epoch_each_pass_is_one_epoch_more():
    explicit, automatic = build(), build()
    for epoch in range(3):
        explicit.set_epoch(epoch)
        assert len(automatic) == len(explicit)
        assert list(automatic) == list(explicit)
        assert automatic.timings.epoch == epoch


def test_the_schedule_sets_how_many_candidates_a_batch_takes():
    schedule = LinearSchedule(0.8, 0.0, 5)
    sampler = build(2000, 10, schedule=schedule)
    for epoch in range(6):
        sampler.set_epoch(epoch)
        size = n_candidates(10, schedule(epoch))
        assert len(sampler) == len(list(sampler)) == 2000 // size + (2000 % size > 1)


@given(st.integers(20, 200), st.integers(2, 20), st.integers(1, 3), st.lists(ratios, min_size=3))
def test_the_papers_form_has_as_many_batches_in_every_epoch(n, size, n_ranks, by_epoch):
    if n < size * n_ranks:
        return
    sampler = build(
        n,
        None,
        candidate_size=size,
        schedule=lambda epoch: by_epoch[epoch % 3],
        num_replicas=n_ranks,
        rank=0,
    )
    assert len({len(list(sampler)) for _ in range(3)}) == 1


def test_a_schedule_that_knows_the_epochs_of_the_training_alone_is_no_trouble():
    sampler = build(200, 8, schedule=lambda epoch: [0.5, 0.75][epoch])
    for _ in range(2):
        length = len(sampler)
        assert len(list(sampler)) == length
    assert len(sampler) == length
    sampler.state_dict()
    with pytest.raises(IndexError):
        list(sampler)


def test_the_schedule_sets_how_much_is_kept_in_the_papers_form():
    sampler = build(1000, None, candidate_size=100, schedule=lambda epoch: 0.9 - 0.1 * epoch)
    assert sampler.batch_size is None
    for epoch in range(4):
        sampler.set_epoch(epoch)
        assert len(sampler) == 10
        assert {len(b) for b in sampler} == {n_kept(100, 0.9 - 0.1 * epoch)}


def test_the_epoch_is_read_from_a_sampler_that_carries_one():
    inner = DistributedSampler(range(200), num_replicas=1, rank=0)
    sampler = build(sampler=inner, schedule=lambda epoch: 0.1 * epoch)
    inner.set_epoch(5)
    assert len(sampler) == len(list(sampler))
    assert sampler.timings.epoch == 5
    sampler.set_epoch(2)
    assert inner.epoch == 2
    list(sampler)
    assert sampler.timings.epoch == 2


def test_the_epoch_arrives_through_the_sampler_inside():
    sampler = build()
    sampler.sampler.set_epoch(6)
    expected = build()
    expected.set_epoch(6)
    assert list(sampler) == list(expected)


@pytest.mark.parametrize("bad", [-1, 1.5, None, True])
def test_what_is_no_epoch_is_refused(bad):
    with pytest.raises((TypeError, ValueError), match="epoch must be an integer of at least 0"):
        build().set_epoch(bad)


# --- samplers inside -------------------------------------------------------------------


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
def test_any_sampler_or_iterable_serves(inner):
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


def test_a_random_sampler_and_none_give_the_same_order():
    assert list(build(sampler=RandomSampler(range(200)))) == list(build())


def test_a_generator_of_the_users_own_is_used_as_torch_would():
    def inner():
        return RandomSampler(range(200), generator=torch.Generator().manual_seed(8))

    everything_ = [list(inner())]
    sampler = build(sampler=inner(), ratio=0.0)
    assert [i for b in sampler for i in b] == everything_[0]
    assert [i for b in sampler for i in b] != everything_[0]


def test_a_sampler_may_be_left_without_a_length():
    class Unsized:
        def __iter__(self):
            return iter(range(100))

    sampler = build(sampler=Unsized())
    assert len(list(sampler)) == 7
    with pytest.raises(TypeError, match="Unsized has no length"):
        len(sampler)


def test_a_sampler_whose_length_is_wrong_is_found_out():
    class Liar:
        def __len__(self):
            return 120

        def __iter__(self):
            return iter(range(100))

    with pytest.raises(RuntimeError, match="gave 100 indices but its length is 120"):
        list(build(sampler=Liar()))


# --- ranks -----------------------------------------------------------------------------


@given(st.integers(40, 400), st.integers(1, 6), ratios, st.integers(2, 5), st.booleans())
def test_the_ranks_together_yield_what_one_process_would(n, batch, ratio, n_ranks, drop_last):
    size = n_candidates(batch, ratio)
    if n < size * n_ranks:
        return
    options = {"n": n, "batch_size": batch, "ratio": ratio, "drop_last": drop_last}
    parts = everything(n_ranks, **options)
    assert len({len(part) for part in parts}) == 1
    assert len({tuple(map(len, part)) for part in parts}) == 1
    flat = [i for part in parts for b in part for i in b]
    assert len(set(flat)) == len(flat)
    n_full = n // (size * n_ranks)
    dealt = [b for round_ in zip(*parts, strict=True) for b in round_][: n_full * n_ranks]
    assert dealt == list(build(**options))[: n_full * n_ranks]


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_each_rank_computes_its_own_selections_only(n_ranks):
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
def test_of_a_distributed_sampler_the_whole_order_is_dealt_out(shuffle, n):
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


def test_a_distributed_sampler_of_another_kind_is_taken_as_this_ranks_share():
    class Share(DistributedSampler):
        def __iter__(self):
            return iter(range(self.rank, 200, self.num_replicas))

    for rank in range(2):
        sampler = build(sampler=Share(range(200), 2, rank))
        assert len(sampler) == 7
        assert {i % 2 for b in sampler for i in b} == {rank}


def test_more_ranks_than_batches_share_what_there_is_or_say_so():
    parts = everything(4, n=40, batch_size=8, ratio=0.5)
    assert [[len(b) for b in part] for part in parts] == [[5]] * 4
    with pytest.raises(ValueError, match=r"at least 64 indices: .* each of 4 ranks; got 40"):
        everything(4, n=40, batch_size=8, ratio=0.5, drop_last=True)


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
def test_a_loader_gives_the_samples_of_each_batch(options):
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


def test_it_is_a_torch_batch_sampler_with_what_frameworks_read():
    inner = RandomSampler(range(200))
    sampler = build(sampler=inner, drop_last=True)
    assert isinstance(sampler, BatchSampler)
    assert sampler.sampler is inner
    assert sampler.batch_size == 8
    assert sampler.drop_last is True
    assert isinstance(build().sampler, RandomSampler)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda sampler: pickle.loads(pickle.dumps(sampler))]
)
def test_copies_go_their_own_way(duplicate):
    sampler = build()
    iterator = iter(sampler)
    next(iterator)
    other = duplicate(sampler)
    assert other.state_dict()["batches_yielded"] == 0
    sampler.set_epoch(3)
    other.set_epoch(3)
    assert list(other) == list(sampler)


def test_timings_tell_what_was_solved_and_what_was_waited_for():
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
        ({"sampler": []}, ValueError, "sampler must yield at least 16 indices: .* got 0"),
        ({"sampler": range(1)}, ValueError, "sampler must yield at least 16 indices"),
        ({"features": table(0)}, ValueError, "features must have at least one row"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_once(change, error, message):
    with pytest.raises(error, match=message):
        build(**change)


def test_features_are_required_and_the_message_helps():
    with pytest.raises(TypeError, match=r"features is required.*use_distributed_sampler=False"):
        SpectralBatchSampler(RandomSampler(range(10)), batch_size=2, drop_last=False)


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (range(100, 300), ValueError, "indices of the 200 rows of features; got 200 at position"),
        (range(-1, 100), ValueError, "got -1 at position 0"),
        (np.arange(0, 200) / 2, TypeError, r"one integer index at a time; got np.float64\(0.0\)"),
        (["a"] * 50, TypeError, "one integer index at a time; got 'a'"),
        ([[1, 2]] * 50, TypeError, "one integer index at a time"),
        ([True, False] * 50, TypeError, "one integer index at a time; got True"),
    ],
)
def test_what_is_no_index_of_a_row_is_refused(indices, error, message):
    with pytest.raises(error, match=message):
        list(build(sampler=indices))


def test_a_selector_that_keeps_too_few_is_found_out():
    class Miser(TopSum):
        def __sklearn_clone__(self):
            return Miser(self.filter_ratio)

        def fit(self, X, y=None):
            super().fit(X)
            self.support_[np.flatnonzero(self.support_)[0]] = False
            return self

    with pytest.raises(RuntimeError, match="Miser must keep 8 rows of each 16 candidates; it kept"):
        list(build(selector=Miser(0.5)))


def test_a_subset_of_the_data_set_is_served_by_its_own_rows():
    features = table(300)
    indices = list(range(0, 300, 3))
    subset = Subset(TensorDataset(torch.arange(300)), indices)
    sampler = build(features=features[indices], dataset=subset)
    loader = DataLoader(subset, batch_sampler=sampler)
    assert {int(i) % 3 for (batch,) in loader for i in batch} == {0}
