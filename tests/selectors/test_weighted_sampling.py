from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_select._selectors.weighted_sampling import gumbel_top_k, top_k

DRAWS = 6000


def law(weights, k):
    """Return the probability of each sequence of `k` positions drawn one after the other."""
    found = {}
    for sequence in permutations(range(len(weights)), k):
        probability, left = 1.0, sum(weights)
        for place in sequence:
            probability *= weights[place] / left if left else 0.0
            left -= weights[place]
        found[sequence] = probability
    return found


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], [0.0, 5.0, 1.0]])
@pytest.mark.parametrize("k", [1, 2])
def test_sequences_follow_sequential_draws(weights, k):
    rng = np.random.default_rng(7)
    seen = dict.fromkeys(law(weights, k), 0)
    with np.errstate(divide="ignore"):
        logs = np.log(weights)
    for _ in range(DRAWS):
        seen[tuple(gumbel_top_k(logs, k, rng).tolist())] += 1
    for sequence, probability in law(weights, k).items():
        spread = (DRAWS * probability * (1 - probability)) ** 0.5
        assert abs(seen[sequence] - DRAWS * probability) <= 4.5 * spread


def test_log_weights_may_be_shifted():
    logs = np.log([1.0, 2.0, 3.0, 4.0])
    expected = gumbel_top_k(logs, 4, np.random.default_rng(0))
    for shift in (1e4, -1e4):
        same = gumbel_top_k(logs + shift, 4, np.random.default_rng(0))
        assert np.array_equal(same, expected)


def test_overwhelming_weight_is_drawn_first():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert gumbel_top_k([0.0, 1e4, -1e4, 1e308], 4, rng).tolist() == [3, 1, 0, 2]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=12),
    st.data(),
)
def test_exactly_k_different_positions_for_any_weights(values, data):
    k = data.draw(st.integers(0, len(values)))
    rng = np.random.default_rng(0)
    for chosen in (gumbel_top_k(values, k, rng), top_k(values, k)):
        assert chosen.dtype == np.int64
        assert len(chosen) == len(set(chosen.tolist())) == k
        assert set(chosen.tolist()) <= set(range(len(values)))


@given(st.lists(st.sampled_from([-np.inf, np.nan, 0.0, 3.0]), min_size=1, max_size=12), st.data())
def test_excluded_positions_come_last(logs, data):
    k = data.draw(st.integers(0, len(logs)))
    chosen = gumbel_top_k(logs, k, np.random.default_rng(1))
    there = [place for place, value in enumerate(logs) if value > -np.inf]
    assert len(set(chosen.tolist()) & set(there)) == min(k, len(there))


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, 0.0, -1e300])
def test_equal_weights_are_drawn_uniformly(value):
    rng = np.random.default_rng(3)
    counts = np.zeros(5)
    for _ in range(DRAWS):
        counts[gumbel_top_k([2.0, *[value] * 4][-5:], 3, rng)] += 1
    alike = counts[1:]
    share = alike.sum() / 4 / DRAWS
    assert share == pytest.approx(0.75 if value == np.inf else 0.5, abs=0.26)
    assert (abs(alike - alike.mean()) < 5 * (DRAWS * share * (1 - share)) ** 0.5).all()


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=12), st.data())
def test_largest_are_those_of_a_sort(scores, data):
    k = data.draw(st.integers(0, len(scores)))
    chosen = [scores[place] for place in top_k(scores, k)]
    assert chosen == sorted(scores, reverse=True)[:k]


def test_nonfinite_scores_come_last():
    assert top_k([np.nan, -5.0, np.inf, 7.0, -np.inf], 2).tolist() == [3, 1]


@pytest.mark.parametrize("function", [top_k, lambda v, k: gumbel_top_k(v, k, None)])
def test_rejects_impossible_draws(function):
    with pytest.raises(ValueError, match=r"must have shape \(n,\); got shape \(1, 2\)"):
        function([[1.0, 2.0]], 1)
    for k in (-1, 3):
        with pytest.raises(ValueError, match=r"k must be in \[0, 2\], .*; got " + str(k)):
            function([1.0, 2.0], k)
