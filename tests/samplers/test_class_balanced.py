import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sampler_helpers import TopSum, table
from torch.utils.data import DataLoader, TensorDataset

from spectral_select import SpectralBatchSampler
from spectral_select._samplers.class_balanced import ClassBalancedSampler, WeightedDataset

label_lists = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(label_lists, st.integers(1, 200), st.integers(0, 5), st.integers(0, 3))
def test_every_group_contains_each_class_once(labels, n, seed, epoch):
    sampler = ClassBalancedSampler(labels, n, seed=seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(sampler) == n
    assert order == list(sampler)
    n_classes = len(set(labels))
    drawn = [labels[i] for i in order]
    for start in range(0, n - n_classes + 1, n_classes):
        assert sorted(drawn[start : start + n_classes]) == sorted(set(labels))
    counts = np.bincount(order, minlength=len(labels))
    for label in set(labels):
        of_class = counts[np.asarray(labels) == label]
        assert of_class.max() - of_class.min() <= 1


def test_order_changes_with_seed_and_epoch():
    labels = [0, 1] * 50
    orders = []
    for seed in (0, 1):
        sampler = ClassBalancedSampler(labels, seed=seed)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            orders.append(tuple(sampler))
    assert len(set(orders)) == 4


@pytest.mark.parametrize("rank", [0, 1])
def test_batch_sampler_gets_balanced_candidates_and_resumes(rank):
    labels = np.repeat([0, 1, 2, 3], [150, 30, 10, 10])
    features = table(200) + 10 * labels[:, None].astype(np.float32)

    def fresh():
        return SpectralBatchSampler(
            ClassBalancedSampler(labels, seed=3),
            4,
            features=features,
            selector=TopSum(0.75),
            num_replicas=2,
            rank=rank,
        )

    sampler = fresh()
    sampler.set_epoch(2)
    batches = list(sampler)
    # There are 16 candidates, 4 from each class; the class with the largest sums is kept.
    assert all((labels[batch] == 3).all() for batch in batches[:-1])
    iterator = iter(fresh())
    first = [next(iterator) for _ in range(3)]
    half = fresh()
    for _ in zip(range(2), half, strict=False):
        pass
    again = fresh()
    again.load_state_dict(half.state_dict(batches_yielded=2))
    assert next(iter(again)) == first[2]


def test_loader_returns_the_weights_of_each_batch():
    dataset = TensorDataset(torch.arange(40.0))
    weights = np.linspace(0, 2, 40)
    weighted = pickle.loads(pickle.dumps(WeightedDataset(dataset, weights)))
    sampler = SpectralBatchSampler(None, 4, features=table(40), selector=TopSum(0.5))
    for x, weight in DataLoader(weighted, batch_sampler=sampler):
        np.testing.assert_allclose(weight, weights[x.int()], rtol=1e-6)
    assert len(weighted) == 40


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ((1, 2), (1, 2, 0.5)),
        ([1, 2], (1, 2, 0.5)),
        ({"x": 1}, {"x": 1, "weight": 0.5}),
        (7, (7, 0.5)),
    ],
)
def test_weight_is_added_to_samples_of_any_type(sample, expected):
    assert WeightedDataset([sample], [0.5])[0] == expected


def test_rejects_invalid_arguments():
    with pytest.raises(ValueError, match="labels must hold at least one label; got none"):
        ClassBalancedSampler([])
    with pytest.raises(
        TypeError, match="labels must be a sequence with one label per sample; got 5"
    ):
        ClassBalancedSampler(5)
    with pytest.raises(ValueError, match="weights must not be a masked array"):
        WeightedDataset([0, 1], np.ma.masked_less([1.0, 2.0], 1.5))
    with pytest.raises(ValueError, match="n_indices must be an integer of at least 1; got 0"):
        ClassBalancedSampler([1, 2], 0)
    with pytest.raises(TypeError, match="seed must be an integer"):
        ClassBalancedSampler([1, 2], seed=0.5)
    for bad in ([1.0, -1.0], [1.0, np.nan], [[1.0, 1.0]]):
        with pytest.raises(ValueError, match="weights must be finite, non-negative"):
            WeightedDataset([0, 1], bad)
    with pytest.raises(ValueError, match="one entry for each of the 2 samples; got 3"):
        WeightedDataset([0, 1], [1, 1, 1])
