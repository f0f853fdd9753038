from collections import Counter
from math import ceil, comb, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import candidates

from spectral_select.integrations.methods import get_method

METHOD = get_method("random-stratified")
DRAWS = 6000


def chosen(labels, k, seed):
    return METHOD.choose(candidates(len(labels), k, labels=labels, seed=seed)).positions


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_every_class_gets_its_share_rounded_down_or_up(labels, data):
    n, seed = len(labels), data.draw(st.integers(0, 10**6))
    k = data.draw(st.integers(1, n))
    positions = chosen(labels, k, seed)
    assert len(set(positions.tolist())) == len(positions) == k
    kept = Counter(np.array(labels)[positions].tolist())
    for label, count in Counter(labels).items():
        assert floor(k * count / n) <= kept[label] <= ceil(k * count / n)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_every_sample_is_equally_likely(k):
    labels = [7] * 5 + [3] * 3 + [9] + [1]
    counts = np.zeros(len(labels))
    for seed in range(DRAWS):
        counts[chosen(labels, k, seed)] += 1
    share = k / len(labels)
    assert (abs(counts - DRAWS * share) < 5 * (DRAWS * share * (1 - share)) ** 0.5).all()


def test_subsets_of_a_class_are_equally_likely():
    labels = [0] * 4 + [1] * 4  # two of each: 6 pairs
    pairs = Counter()
    for seed in range(DRAWS):
        pairs[tuple(sorted(p for p in chosen(labels, 4, seed).tolist() if p < 4))] += 1
    assert len(pairs) == comb(4, 2)
    expected = DRAWS / 6
    assert all(abs(count - expected) < 5 * (expected * 5 / 6) ** 0.5 for count in pairs.values())


def test_selects_ahead_of_training():
    assert METHOD.selects_ahead
