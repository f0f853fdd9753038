"""The batch sampler with a GuidedBatchSelector: labels, and losses that training writes."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampler_helpers import TopSum
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

from spectral_select import (
    GuidedBatchSelector,
    LinearSchedule,
    SpectralBatchSampler,
    label_trust,
    n_candidates,
)
from spectral_select._samplers.schedules import Schedule
from spectral_select._samplers.stride_scheduler import Rates

N = 240


def clusters(n=N, d=5, n_classes=3, seed=0):
    """Return features around a center a class, labels of which a fifth is wrong, and which."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    X = rng.random((n_classes, d))[y] + 0.1 * rng.standard_normal((n, d))
    bad = rng.random(n) < 0.2
    other = (y + rng.integers(1, n_classes, n)) % n_classes
    return X.astype(np.float32), np.where(bad, other, y), bad


X, Y, BAD = clusters()


def build(batch_size=6, *, ratio=0.5, labels=Y, losses=None, selector=None, **options):
    selector = GuidedBatchSelector(ratio) if selector is None else selector
    options.setdefault("features", X)
    options.setdefault("seed", 3)
    return SpectralBatchSampler(
        None, batch_size, selector=selector, labels=labels, losses=losses, **options
    )


def unknown():
    return np.full(N, np.nan)


def write(losses, batch, epoch):
    """Write what training might have as losses, others in each epoch."""
    for i in batch:
        losses[i] = float(abs(np.sin(i + 1.0 + epoch)) ** 3)


def train(batches, losses, epoch):
    """Yield batches, and write the losses after each."""
    for batch in batches:
        yield batch
        write(losses, batch, epoch)


@pytest.mark.parametrize("losses", [None, "unknown"])
def test_batches_are_as_many_and_as_large_as_with_any_selector(losses):
    plain = build(labels=None, selector=TopSum(0.5))
    guided = build(losses=None if losses is None else unknown())
    for epoch in range(2):
        plain.set_epoch(epoch)
        guided.set_epoch(epoch)
        batches = list(guided)
        assert [len(b) for b in batches] == [len(b) for b in plain]
        assert len(batches) == len(guided)
        assert len({i for batch in batches for i in batch}) == sum(map(len, batches))


def test_wrong_labels_are_drawn_less_often_than_they_are_there():
    features, labels, bad = clusters(2000, d=12, n_classes=6)
    selector = GuidedBatchSelector(0.8, hardness_power=0)
    drawn = np.concatenate(list(build(features=features, labels=labels, selector=selector)))
    assert bad[drawn].mean() < bad.mean() / 2


def passes(sampler, n_epochs=12):
    for epoch in range(n_epochs):
        sampler.set_epoch(epoch)
        yield np.concatenate(list(sampler))


def test_a_sample_comes_as_often_as_the_weights_of_the_whole_data_set_say():
    features, labels, _ = clusters(1000, d=12, n_classes=6)
    selector = GuidedBatchSelector(0.75, hardness_power=1, trust_power=1)
    sampler = build(10, features=features, labels=labels, selector=selector)
    counts = sum(np.bincount(came, minlength=1000) for came in passes(sampler, 40))
    found = label_trust(features, labels)
    trust = np.maximum(found.trust, 0.01) ** found.class_separation[labels] ** 2
    hardness = np.maximum(1 - found.scores, 0.05)
    # All of the hardness counts from when as many came as there are samples.
    grown = [trust * hardness**power for power in (0, 0.25, 0.5, 0.75, *[1] * 36)]
    off = counts - sum(Rates(np.log(weights))(0.25) for weights in grown)
    assert counts.sum() == 40 * 250
    assert np.abs(off).max() < 1.5


@pytest.mark.parametrize("twice", [False, True])
def test_hardness_counts_the_more_the_more_of_the_data_has_come(twice):
    found = label_trust(X, Y)
    order = list(range(N)) * (1 + twice)

    def mean_scores(hardness):
        selector = GuidedBatchSelector(0.75, hardness_power=hardness, trust_power=0)
        sampler = SpectralBatchSampler(order, 4, features=X, labels=Y, selector=selector)
        return [found.scores[came].mean() for came in passes(sampler, 30)]

    by_hardness, without = mean_scores(3), mean_scores(0)
    assert by_hardness[0] == without[0]
    assert all(a < b for a, b in zip(by_hardness[3:], without[3:], strict=True))
    assert np.mean(by_hardness[4:]) < by_hardness[1] < by_hardness[0]


@pytest.mark.parametrize("n", [240, 239, 211])
def test_where_weights_are_equal_all_come_before_any_comes_again(n):
    sampler = build(
        4,
        features=X[:n],
        labels=Y[:n],
        selector=GuidedBatchSelector(0.75, hardness_power=0, trust_power=0),
    )
    counts = np.zeros(n, int)
    for came in passes(sampler, 30):
        counts += np.bincount(came, minlength=n)
        assert np.ptp(counts) <= 1


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_pass_is_resumed_without_what_came_before(drop_last):
    """Where samples take turns, what comes is a function of the epoch; nothing is counted."""

    def fresh():
        schedule = LinearSchedule(0.3, 0.7, 3)
        return build(None, candidate_size=14, schedule=schedule, drop_last=drop_last)

    whole, sampler = [], fresh()
    for epoch in range(3):
        sampler.set_epoch(epoch)
        whole.append(list(sampler))
    sampler = fresh()
    sampler.set_epoch(2)
    assert list(sampler) == whole[2]
    sampler.set_epoch(1)
    begun = iter(sampler)
    first = [next(begun) for _ in range(5)]
    state = json.loads(json.dumps(sampler.state_dict()))
    resumed = fresh()
    resumed.load_state_dict(state)
    assert first + list(resumed) == whole[1]


@pytest.mark.parametrize("kind", ["tensor", "memmap", "list of names"])
def test_features_and_labels_of_any_kind_give_the_same(kind, tmp_path):
    features, labels = X, Y
    if kind == "tensor":
        features, labels = torch.from_numpy(X), torch.from_numpy(Y)
    elif kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        features = tmp_path / "X.npy"
    else:
        labels = [f"class {label}" for label in Y]
    assert list(build(features=features, labels=labels)) == list(build())


def test_every_epoch_and_seed_has_turns_of_its_own():
    def batches(sampler, epoch=0):
        sampler.set_epoch(epoch)
        return list(sampler)

    assert batches(build()) == batches(build(prefetch=0, block_size=3))
    assert batches(build(seed=1)) != batches(build(seed=2))
    order = {"sampler": range(N), "batch_size": 6, "features": X, "labels": Y}

    def same_order(seed, random_state=None):
        selector = GuidedBatchSelector(0.5, random_state=random_state)
        return SpectralBatchSampler(**order, selector=selector, seed=seed)

    assert batches(same_order(1)) != batches(same_order(2))
    assert batches(same_order(1)) != batches(same_order(1), epoch=1)
    assert batches(same_order(1, 5)) == batches(same_order(2, 5))
    assert batches(same_order(1, 5)) != batches(same_order(1, 6))
    state = np.random.RandomState(0)
    assert batches(same_order(1, state)) == batches(same_order(1, state))


def test_rates_are_of_the_samples_that_the_epoch_has():
    """A subset of what is trusted least is gone through as evenly as everything."""
    part = np.argsort(label_trust(X, Y).trust)[:80].tolist()
    selector = GuidedBatchSelector(0.75, hardness_power=0, trust_power=0)
    sampler = SpectralBatchSampler(
        SubsetRandomSampler(part), 4, features=X, labels=Y, selector=selector
    )
    counts = sum(np.bincount(came, minlength=N) for came in passes(sampler))
    assert (counts[part] == 3).all()
    assert counts.sum() == 3 * len(part)


def test_where_indices_are_given_twice_every_epoch_is_a_draw():
    sampler = SpectralBatchSampler(
        [*range(N), *range(0, N, 3)] * 2,
        8,
        features=X,
        labels=Y,
        selector=GuidedBatchSelector(0.75, hardness_power=0, trust_power=0),
    )
    counts = np.zeros((30, N))
    for epoch, came in enumerate(passes(sampler, 30)):
        counts[epoch] = np.bincount(came, minlength=N)
        assert len(came) == 640 // 4
    assert counts.std(axis=0).min() > 0.2
    assert counts[:, ::3].mean() == pytest.approx(2 * counts[:, 1::3].mean(), rel=0.1)


class Later(Schedule):
    """Knows the epochs from 5 on."""

    def _ratio(self, epoch):
        return {5: 0.5, 6: 0.75}[epoch]


class Unsized:
    def __iter__(self):
        return iter(range(N))


def test_a_schedule_may_know_the_epochs_from_a_later_one_on():
    sampler = SpectralBatchSampler(
        Unsized(),
        6,
        features=X,
        labels=Y,
        selector=GuidedBatchSelector(),
        schedule=Later(),
    )
    for epoch, expected in ((5, N // 2), (6, N // 4)):
        sampler.set_epoch(epoch)
        assert len(np.unique(np.concatenate(list(sampler)))) == expected


@settings(max_examples=60)
@given(
    st.integers(30, N),
    st.integers(1, 9),
    st.floats(0, 0.9),
    st.integers(2, 4),
    st.booleans(),
    st.integers(0, 5),
)
def test_the_full_batches_of_all_ranks_are_those_of_one_process(
    n, size, ratio, n_ranks, drop_last, epoch
):
    if n_candidates(size, ratio) * n_ranks > n:
        return

    def batches(n_ranks, rank):
        sampler = SpectralBatchSampler(
            range(n),
            size,
            drop_last,
            features=X,
            labels=Y,
            selector=GuidedBatchSelector(ratio, hardness_power=1),
            num_replicas=n_ranks,
            rank=rank,
        )
        sampler.set_epoch(epoch)
        found = list(sampler)
        assert len(found) == len(sampler)
        return found

    alone = batches(1, 0)
    mine = [batches(n_ranks, rank) for rank in range(n_ranks)]
    n_full = n // (n_candidates(size, ratio) * n_ranks)
    assert len({len(found) for found in mine}) == 1
    assert all(len(batch) == size for found in mine for batch in found[:n_full])
    dealt = [mine[i % n_ranks][i // n_ranks] for i in range(n_full * n_ranks)]
    assert dealt == alone[: n_full * n_ranks]
    drawn = [i for found in mine for batch in found for i in batch]
    assert len(drawn) == len(set(drawn))


def test_prepare_looks_at_the_graph_before_the_first_pass(monkeypatch):
    sampler = build()
    sampler.prepare()
    monkeypatch.setattr("spectral_select._samplers.guidance.label_trust", None)
    assert list(sampler)
    build(labels=None, selector=TopSum(0.5)).prepare()  # has nothing to look at


# --- losses ----------------------------------------------------------------------------


def test_with_losses_every_batch_of_every_epoch_and_seed_has_a_draw_of_its_own():
    def drawn(seed, epoch):
        sampler = SpectralBatchSampler(
            [*range(12)] * 20,
            6,
            features=X,
            labels=Y,
            losses=unknown(),
            selector=GuidedBatchSelector(0.5),
            seed=seed,
        )
        sampler.set_epoch(epoch)
        return list(sampler)

    assert len({tuple(batch) for batch in drawn(0, 0)}) > 10  # of the same 12 candidates
    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


@pytest.mark.parametrize("kind", [np.float64, np.float32, torch.float32, torch.float64])
def test_what_training_writes_changes_what_is_chosen_from_the_next_batch_on(kind):
    array = torch.full((N,), torch.nan, dtype=kind) if isinstance(kind, torch.dtype) else None
    losses = unknown().astype(kind) if array is None else array
    selector = GuidedBatchSelector(0.5, hardness_power=0, trust_power=0, loss_power=1e6)
    sampler = build(losses=losses, selector=selector, prefetch=2, drop_last=True)
    order, large = list(sampler.sampler), []
    for i, batch in enumerate(sampler):
        if i:  # of the 12 candidates, those 6 that have the large loss
            assert sorted(batch) == sorted(large)
        following = order[12 * (i + 1) : 12 * (i + 2)]
        large = following[i % 6 :][:6]
        losses[following] = 0.1
        losses[large] = 10.0


def test_losses_that_differ_lead_to_other_batches():
    a, b, c = unknown(), unknown(), unknown()
    first, other, same = build(losses=a), build(losses=b), build(losses=c)
    written = list(train(first, a, 0))
    assert written[0] == next(iter(other))
    assert written == list(train(same, c, 0))
    for sampler in (first, other, same):
        sampler.set_epoch(1)
    again = list(train(first, a, 1))
    assert again != list(other)  # of which nothing is known
    assert again == list(train(same, c, 1))


def test_a_loss_not_known_counts_as_the_largest_of_its_candidates():
    losses = np.full(N, 1e-3)
    losses[::3] = np.nan
    losses[1::3] = 1.0
    power = GuidedBatchSelector(0.5, hardness_power=0, trust_power=0, loss_power=1e6)
    for batch in build(losses=losses, selector=power, drop_last=True):
        assert sum(i % 3 == 2 for i in batch) <= 2
    known = np.nan_to_num(losses, nan=1.0)
    assert list(build(losses=losses)) == list(build(losses=known))
    assert list(build(losses=unknown())) == list(build(losses=np.ones(N)))


def test_with_losses_there_is_no_thread_and_nothing_is_chosen_ahead():
    sampler = build(losses=unknown(), prefetch=2)
    before = threading.active_count()
    for number, _ in enumerate(sampler, start=1):
        assert threading.active_count() == before
        assert sampler.timings.n_batches == number


@pytest.mark.parametrize("stop", [0, 1, 7, 20])
@pytest.mark.parametrize("tensor", [False, True])
def test_a_resumed_pass_goes_on_to_the_bit_with_the_losses_of_the_checkpoint(stop, tensor):
    def empty():
        return torch.full((N,), torch.nan) if tensor else unknown()

    def fresh(losses):
        return build(losses=losses, schedule=LinearSchedule(0.2, 0.6, 3))

    losses = empty()
    sampler, whole = fresh(losses), []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        whole += list(train(sampler, losses, epoch))

    losses = empty()
    sampler, got = fresh(losses), []
    got += list(train(sampler, losses, 0))
    sampler.set_epoch(1)
    run = train(sampler, losses, 1)
    stop = min(stop, len(sampler) - 1)
    got += [next(run) for _ in range(stop + 1)]
    # The checkpoint is taken once the losses of the batch are written.
    write(losses, got[-1], 1)
    state, saved = json.dumps(sampler.state_dict()), copy.deepcopy(losses)
    assert len(state) < 2000
    del sampler, losses

    losses = empty()
    sampler = fresh(losses)
    losses[:] = saved
    sampler.load_state_dict(json.loads(state))
    for epoch in (1, 2):
        sampler.set_epoch(epoch)
        got += list(train(sampler, losses, epoch))
    assert got == whole


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"labels": np.roll(Y, 1)}, "another dataset: .*labels='240-"),
        ({"labels": [f"class {y}" for y in Y]}, "another dataset: .*labels='240-"),
        ({"losses": None}, "another configuration: .*losses=True, .* losses=False"),
        (
            {"selector": GuidedBatchSelector(0.5, loss_power=1)},
            "configuration: .*loss_power=0.5.*loss_power=1",
        ),
        ({"labels": None, "losses": None, "selector": TopSum(0.5)}, "configuration: .*selector="),
    ],
)
def test_a_state_of_other_labels_or_weights_is_refused(other, message):
    sampler = build(losses=unknown())
    next(iter(sampler))
    with pytest.raises(ValueError, match=message):
        build(**({"losses": unknown()} | other)).load_state_dict(sampler.state_dict())


# --- ranks, copies, loaders ------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(2, 3), st.booleans(), st.sampled_from([None, 7]))
def test_ranks_yield_equally_many_batches_that_have_nothing_in_common(n_ranks, known, state):
    def of_rank(rank):
        losses = unknown() if known else None
        sampler = build(
            losses=losses,
            num_replicas=n_ranks,
            rank=rank,
            selector=GuidedBatchSelector(0.5, random_state=state),
        )
        return list(sampler) if losses is None else list(train(sampler, losses, 0))

    batches = [of_rank(rank) for rank in range(n_ranks)]
    assert len({len(mine) for mine in batches}) == 1
    drawn = [i for mine in batches for batch in mine for i in batch]
    assert len(drawn) == len(set(drawn))
    alone = build(selector=GuidedBatchSelector(0.5, random_state=state))
    if not known:  # together, what one process draws
        full = N // (12 * n_ranks) * n_ranks
        together = [batches[i % n_ranks][i // n_ranks] for i in range(full)]
        assert together == list(alone)[:full]


def test_the_graph_is_looked_at_once_and_copies_remember(monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return label_trust(*arguments)

    monkeypatch.setattr("spectral_select._samplers.guidance.label_trust", counted)
    losses = unknown()
    sampler = build(losses=losses)
    assert (len(sampler), calls) == (20, [])
    first = list(sampler)
    for copied in (copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        losses[:] = 5.0  # a copy has an array of its own
        copied.set_epoch(0)
        assert list(copied) == first
        losses[:] = np.nan
    assert len(calls) == 1


def test_a_loop_over_a_loader_writes_what_the_next_batch_is_chosen_by():
    losses = torch.full((N,), torch.nan)
    dataset = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y), torch.arange(N))
    batches = build(losses=losses, dataset=dataset)
    loader = DataLoader(dataset, batch_sampler=batches)
    model = torch.nn.Linear(X.shape[1], 3)
    seen = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        for inputs, labels, indices in loader:
            each = torch.nn.functional.cross_entropy(model(inputs), labels, reduction="none")
            losses[indices] = each.detach()
            seen.append(indices)
    seen = torch.cat(seen).unique()
    assert torch.isfinite(losses[seen]).all()
    assert int(torch.isfinite(losses).sum()) == len(seen)


# --- bad input -------------------------------------------------------------------------

READ_ONLY = unknown()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": None}, ValueError, "labels must be given with a GuidedBatchSelector"),
        ({"labels": Y[:-1]}, ValueError, r"labels must have shape \(240,\).*got \(239,\)"),
        ({"labels": Y + 0.5}, ValueError, "labels must hold class labels, integers or strings"),
        ({"labels": Y * 0}, ValueError, "labels must hold at least two classes; got 1 class"),
        ({"losses": unknown()[:-1]}, ValueError, r"losses must have shape \(240,\), .*\(239,\)"),
        ({"losses": [0.0] * N}, TypeError, "losses must be a NumPy array or CPU tensor.*got list"),
        ({"losses": np.zeros(N, int)}, TypeError, "got ndarray of dtype int64"),
        ({"losses": torch.zeros(N).bfloat16()}, TypeError, "got Tensor of dtype torch.bfloat16"),
        ({"losses": torch.zeros(N, device="meta")}, TypeError, "torch.float32 on meta"),
        ({"losses": READ_ONLY}, ValueError, "losses must be writable"),
        ({"losses": unknown(), "block_size": 2}, ValueError, "block_size must be None or 1 with"),
        ({"selector": TopSum(0.5)}, ValueError, "labels must be None unless .* with TopSum"),
        (
            {"selector": TopSum(0.5), "labels": None, "losses": unknown()},
            ValueError,
            "losses must be None unless the selector is a GuidedBatchSelector",
        ),
        (
            {"selector": GuidedBatchSelector(loss_power=-1)},
            ValueError,
            "'loss_power' parameter.*Got -1",
        ),
        (
            {"selector": GuidedBatchSelector(candidate_size=5)},
            ValueError,
            "candidate_size must be passed to",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_once(change, error, message):
    with pytest.raises(error, match=message):
        build(**change)
