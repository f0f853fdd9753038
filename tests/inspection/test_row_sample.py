"""The sample of a dataset: the same rows however the dataset is divided and ordered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_select._inspection.row_sample import (
    RowBlock,
    accumulate_sample,
    combine_samples,
    hash_keys,
)

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(INT64, unique=True, max_size=200), st.integers(0, 2**32 - 1))
def test_distinct_keys_have_distinct_hashes(keys, seed):
    assert len(np.unique(hash_keys(np.array(keys, np.int64), seed))) == len(keys)


def test_hashes_are_uniform_and_differ_by_seed():
    keys = np.arange(100_000)
    hashes = [hash_keys(keys, seed) / 2.0**64 for seed in (0, 1)]
    for values in hashes:
        counts = np.histogram(values, 100, (0, 1))[0]
        assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert abs(np.corrcoef(*hashes)[0, 1]) < 0.02


@given(
    n=st.integers(1, 60),
    size=st.integers(1, 80),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    seed=st.integers(0, 100),
)
def test_sample_does_not_depend_on_the_blocks(n, size, cuts, seed):
    rng = np.random.default_rng(seed)
    X, keys, labels = rng.normal(size=(n, 3)), rng.permutation(10**6)[:n], rng.integers(0, 5, n)
    whole = accumulate_sample(RowBlock(keys, X, labels), size, seed)
    assert len(whole.hashes) == min(n, size)
    order = rng.permutation(n)
    parts = [part for part in np.split(order, np.sort(np.minimum(cuts, n))) if len(part)]
    states = [accumulate_sample(RowBlock(keys[p], X[p], labels[p]), size, seed) for p in parts]
    found = combine_samples(states, size)
    for name in ("hashes", "features", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert found.moments.n == n
    np.testing.assert_allclose(found.moments.total, X.sum(0), atol=1e-12)


@pytest.mark.parametrize("size", [1, 10, 100])
def test_sample_is_random(size):
    """Every row is drawn with the same probability, even if the keys are in order."""
    drawn = np.zeros(100)
    for seed in range(400):
        block = RowBlock(np.arange(100), np.arange(100.0)[:, None])
        drawn[accumulate_sample(block, size, seed).features[:, 0].astype(int)] += 1
    share = size / 100
    assert np.abs(drawn / 400 - share).max() <= 5 * np.sqrt(share * (1 - share) / 400)
