"""GuidedSampler: visits at rates given by label trust and hardness."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from spectral_select import (
    GuidedSampler,
    LinearSchedule,
    StepSchedule,
    find_wrong_labels,
    n_kept,
    save_embeddings,
)
from spectral_select._samplers import guided_sampler
from spectral_select._samplers.stride_scheduler import inclusion_probabilities

N = 240


def clusters(n=N, d=5, n_classes=3, seed=0):
    """Return features around one center for each class, noisy labels, and which are wrong."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    X = rng.random((n_classes, d))[y] + 0.1 * rng.standard_normal((n, d))
    wrong = rng.random(n) < 0.2
    other = (y + rng.integers(1, n_classes, n)) % n_classes
    return X.astype(np.float32), np.where(wrong, other, y), wrong


X, Y, WRONG = clusters()


def build(ratio=0.75, *, labels=Y, features=X, seed=3, **options):
    return GuidedSampler(labels, features=features, filter_ratio=ratio, seed=seed, **options)


def epochs_of(sampler, n):
    """Return the indices of the next `n` epochs."""
    return [list(sampler) for _ in range(n)]


def visit_counts(sampler, n):
    return np.bincount(np.concatenate(epochs_of(sampler, n)), minlength=N)


def through_json(state):
    return json.loads(json.dumps(state))


# --- visits --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.95), st.integers(0, 5))
def test_epoch_yields_its_share_without_repetition(ratio, seed):
    sampler = build(ratio, seed=seed)
    for _ in range(3):
        indices = list(sampler)
        assert len(indices) == len(set(indices)) == n_kept(N, ratio) == len(sampler)


def test_wrong_labels_are_visited_less_often():
    counts = visit_counts(build(0.8, hardness_power=0), 30)
    assert counts[WRONG].mean() < 0.5 * counts[~WRONG].mean()


def test_visits_follow_trust_and_hardness():
    sampler, found = build(hardness_power=1.0, seed=0), find_wrong_labels(X, Y)
    counts = visit_counts(sampler, 204)
    after = counts - visit_counts(build(hardness_power=1.0, seed=0), 4)
    trust = np.maximum(found.trust, 0.01) ** 2
    log_weights = np.log(trust / np.sqrt(np.bincount(Y, trust) / np.bincount(Y))[Y])
    log_weights += np.log(np.maximum(1 - found.label_probability, 0.05))
    # From the fifth epoch on, the data have been seen once and the hardness counts in full.
    np.testing.assert_allclose(after, 200 * inclusion_probabilities(log_weights, 0.25), atol=2)


def test_near_duplicates_share_the_visits_of_one_sample():
    copied = np.vstack([X, np.repeat(X[:4], 5, axis=0)])
    labels = np.r_[Y, np.repeat(Y[:4], 5)]
    for known in (labels, None):
        sampler = build(labels=known, features=copied, trust_power=0, hardness_power=0)
        counts = np.bincount(np.concatenate(epochs_of(sampler, 80)), minlength=len(copied))
        groups = [counts[i] + counts[N + 5 * i : N + 5 * i + 5].sum() for i in range(4)]
        np.testing.assert_allclose(groups, np.median(counts[4:N]), rtol=0.3)


def test_without_labels_and_copies_all_samples_take_turns():
    counts = visit_counts(build(labels=None), 40)
    assert counts.tolist() == [10] * N
    sampler = build(labels=None)
    next(iter(sampler))
    other = build(labels=None)
    other.load_state_dict(sampler.state_dict())
    with pytest.raises(ValueError, match="labels"):
        build().load_state_dict(sampler.state_dict())


def test_hard_samples_are_introduced_gradually():
    hardness = 1 - find_wrong_labels(X, Y).label_probability
    by_hardness = epochs_of(build(hardness_power=3, trust_power=0), 12)
    without = epochs_of(build(hardness_power=0, trust_power=0), 12)
    assert by_hardness[0] == without[0]
    means = [[hardness[epoch].mean() for epoch in run] for run in (by_hardness, without)]
    assert np.mean(means[0][4:]) > np.mean(means[0][1:4]) > np.mean(means[1])


def test_equal_rates_visit_all_samples_before_any_again():
    sampler = build(0.75, hardness_power=0, trust_power=0)
    counts = np.zeros(N, int)
    for indices in epochs_of(sampler, 9):
        counts[indices] += 1
        assert np.ptp(counts) <= 1


def test_order_of_an_epoch_is_shuffled_and_seeded():
    first, again, other = build(0), build(0), build(0, seed=4)
    one, two = epochs_of(first, 2)
    assert epochs_of(again, 2) == [one, two]
    assert one != two
    assert list(other) != one
    assert sorted(one) == list(range(N)) != one


def test_schedule_replaces_the_filter_ratio():
    sampler = build(0.9, schedule=StepSchedule([0.8, 0.5], [1]))
    assert [len(indices) for indices in epochs_of(sampler, 3)] == [48, 120, 120]
    assert sampler.schedule(1) == 0.5


@pytest.mark.parametrize("kind", ["list", "tensor", "strings", "store", "path"])
def test_accepts_labels_and_features_of_any_kind(kind, tmp_path):
    features, labels = X, Y
    if kind == "list":
        labels = Y.tolist()
    if kind == "tensor":
        features, labels = torch.from_numpy(X), torch.from_numpy(Y)
    if kind == "strings":
        labels = [f"class {y}" for y in Y]
    if kind == "store":
        features = save_embeddings(tmp_path / "store", X)
    if kind == "path":
        np.save(tmp_path / "features.npy", X)
        features = tmp_path / "features.npy"
    assert list(build(features=features, labels=labels)) == list(build())


def test_dataloader_loads_only_visited_samples():
    loaded = []

    class Recorder(TensorDataset):
        def __getitem__(self, i):
            loaded.append(i)
            return super().__getitem__(i)

    sampler = build()
    loader = DataLoader(Recorder(torch.arange(N)), batch_size=16, sampler=sampler)
    assert len(loader) == 4
    batches = [batch for (batch,) in loader]
    assert [len(batch) for batch in batches] == [16, 16, 16, 12]
    assert torch.cat(batches).tolist() == loaded == list(build())


# --- epochs ----------------------------------------------------------------------------------


def test_each_pass_is_an_epoch_unless_set_epoch_is_called():
    sampler, other = build(), build()
    first, second, third = epochs_of(sampler, 3)
    other.set_epoch(2)
    assert list(other) == list(other) == third  # a set epoch repeats
    other.set_epoch(0)
    assert (other.epoch, list(other)) == (0, first)
    other.set_epoch(1)
    assert list(other) == second


def test_length_is_that_of_the_epoch_in_progress():
    sampler = build(schedule=LinearSchedule(0.75, 0.25, n_epochs=3))
    assert len(sampler) == 60
    iterator = iter(sampler)
    next(iterator)
    assert len(sampler) == 60
    list(iterator)
    assert len(sampler) == 120


def test_schedule_may_end_with_the_training():
    sampler = build(schedule=[0.75, 0.5].__getitem__)
    assert [len(indices) for indices in epochs_of(sampler, 2)] == [60, 120]
    assert len(sampler) == 120
    with pytest.raises(IndexError):
        list(sampler)


# --- several ranks -----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.booleans(), st.sampled_from([0.3, 0.5, 0.8, 0.9]))
def test_ranks_share_the_order_of_one_process_like_distributed_sampler(n_ranks, drop_last, ratio):
    whole = build(ratio)
    parts = [
        build(ratio, num_replicas=n_ranks, rank=rank, drop_last=drop_last)
        for rank in range(n_ranks)
    ]
    for _ in range(2):
        expected, shares = list(whole), [list(part) for part in parts]
        reference = [
            DistributedSampler(expected, n_ranks, rank, shuffle=False, drop_last=drop_last)
            for rank in range(n_ranks)
        ]
        assert shares == [[expected[i] for i in sampler] for sampler in reference]
        assert [len(part) for part in parts] == [len(sampler) for sampler in reference]


def test_more_ranks_than_samples_yield_equal_counts():
    parts = [list(build(0.99, num_replicas=7, rank=rank)) for rank in range(7)]
    assert [len(part) for part in parts] == [1] * 7
    assert len({i for part in parts for i in part}) == n_kept(N, 0.99) == 2


def test_yields_the_whole_order_if_the_loader_shards(monkeypatch):
    monkeypatch.setattr(guided_sampler, "process_group_ranks", lambda: (2, 1))
    assert list(build()) == list(build(num_replicas=2, rank=1))
    monkeypatch.setattr(guided_sampler, "loader_shards_batches", lambda: True)
    assert list(build()) == list(build(num_replicas=1, rank=0))


# --- resume ----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    stops=st.lists(st.integers(1, 200), max_size=5),
    n_ranks=st.integers(1, 3),
    explicit=st.booleans(),
    scheduled=st.booleans(),
)
def test_resume_at_any_position_equals_uninterrupted_training(stops, n_ranks, explicit, scheduled):
    schedule = LinearSchedule(0.8, 0.4, n_epochs=3) if scheduled else None

    def fresh():
        return build(schedule=schedule, num_replicas=n_ranks, rank=n_ranks - 1)

    expected = epochs_of(fresh(), 4)
    sampler, epoch, done = fresh(), 0, 0
    for n_indices in stops:
        if explicit:
            sampler.set_epoch(epoch)
        iterator = iter(sampler)
        part = [i for _, i in zip(range(n_indices), iterator, strict=False)]
        assert part == expected[epoch][done : done + n_indices]
        done += len(part)
        state = through_json(sampler.state_dict())
        assert (state["epoch"], state["indices_yielded"]) == (epoch, done)
        sampler = fresh()
        sampler.load_state_dict(state)
        if done == len(expected[epoch]):
            epoch, done = epoch + 1, 0
        assume(epoch < 4)
    if explicit:
        sampler.set_epoch(epoch)
    assert list(sampler) == expected[epoch][done:]


def test_state_of_a_complete_epoch_leads_to_the_next_one_or_to_an_empty_pass():
    sampler, expected = build(), epochs_of(build(), 2)
    sampler.set_epoch(0)
    list(sampler)
    state = sampler.state_dict()
    after, same = build(), build()
    after.load_state_dict(state)
    assert list(after) == expected[1]
    same.set_epoch(0)
    same.load_state_dict(state)
    assert list(same) == []


def test_loader_that_reads_ahead_resumes_at_the_number_used():
    sampler, expected = build(), list(build())
    iterator = iter(sampler)
    [next(iterator) for _ in range(20)]
    state = sampler.state_dict(indices_yielded=12)
    again = build()
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert list(again) == expected[12:]
    with pytest.raises(ValueError, match=r"indices_yielded must be at most 20.*epoch 0; got 21"):
        sampler.state_dict(21)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ratio": 0.5},
            "different configuration: .*filter_ratio=0.75, but this sampler has .*0.5",
        ),
        ({"seed": 4}, "different configuration: .*seed=3"),
        ({"trust_power": 0.5}, "different configuration: .*trust_power=2.0"),
        ({"hardness_power": 1}, "different configuration: .*hardness_power=0.25"),
        ({"num_replicas": 2, "rank": 0}, "different configuration: .*num_replicas=1"),
        ({"drop_last": True}, "different configuration: .*drop_last=False"),
        ({"labels": np.roll(Y, 1)}, "different dataset: .*labels='240-"),
        ({"labels": [f"class {y}" for y in Y]}, "different dataset: .*labels='240-"),
        ({"features": X + 1}, "different dataset: .*features='240x5-"),
    ],
)
def test_rejects_state_of_another_configuration(change, message):
    state = build().state_dict()
    with pytest.raises(ValueError, match=message):
        build(**change).load_state_dict(state)


def test_rejects_invalid_state_and_stays_unchanged():
    sampler = build()
    for state, error in [({}, ValueError), (None, TypeError), ({"version": 99}, ValueError)]:
        with pytest.raises(error, match="state_dict must be"):
            sampler.load_state_dict(state)
    too_many = sampler.state_dict() | {"indices_yielded": 61}
    with pytest.raises(ValueError, match="got 61 of 60"):
        sampler.load_state_dict(too_many)
    assert list(sampler) == list(build())


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_yield_the_same_epochs(copy_of):
    sampler = build()
    before = copy_of(sampler)
    first = list(sampler)
    after = copy_of(sampler)
    assert list(before) == first
    assert list(after) == list(sampler)


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": Y[:-1]}, ValueError, r"labels must have shape \(240,\).*got \(239,\)"),
        ({"labels": np.zeros(N, int)}, ValueError, "labels must hold at least two classes"),
        ({"labels": Y + 0.5}, ValueError, "labels must hold class labels, integers or strings"),
        ({"ratio": 1.0}, ValueError, r"filter_ratio must be in \[0, 1\)"),
        ({"hardness_power": -1}, ValueError, r"hardness_power must be a number in \[0, 1e\+06\]"),
        ({"trust_power": "1"}, TypeError, "trust_power must be a number"),
        ({"seed": -1}, ValueError, "seed must be an integer of at least 0; got -1"),
        ({"drop_last": 1}, TypeError, "drop_last must be True or False; got 1"),
        ({"num_replicas": 2}, ValueError, "num_replicas and rank must be given together"),
        ({"num_replicas": 2, "rank": 2}, ValueError, "rank must be less than num_replicas=2"),
        ({"schedule": "linear"}, TypeError, "schedule must be a filter ratio"),
        ({"features": X[0]}, ValueError, r"features must have shape \(n_samples, n_features\)"),
    ],
)
def test_rejects_invalid_arguments(change, error, message):
    with pytest.raises(error, match=message):
        build(**change)


def test_features_on_disk_are_called_features(tmp_path):
    bad = X.copy()
    bad[17, 1] = np.nan
    np.save(tmp_path / "x.npy", bad)
    sampler = build(features=str(tmp_path / "x.npy"))
    with pytest.raises(ValueError, match="features must be finite; row 17"):
        list(sampler)
