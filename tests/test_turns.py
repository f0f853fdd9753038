"""Taking turns: how often each sample comes, and when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_select._turns import Rates, Turns

log_weights = st.lists(st.floats(-40, 40), min_size=1, max_size=60)
shares = st.floats(0.01, 1)


def turns(logs, share, seed=0, n_groups=3):
    groups = np.random.default_rng(1).integers(0, n_groups, len(logs))
    schedule = share if callable(share) else lambda number: share
    return Turns(logs, groups, schedule, seed)


@given(log_weights, shares)
def test_rates_have_the_mean_asked_for_and_are_proportional_below_1(logs, share):
    rates = Rates(logs)(share)
    assert rates.shape == (len(logs),)
    assert ((rates >= 0) & (rates <= 1)).all()
    assert rates.mean() == pytest.approx(share, rel=1e-6)
    below = rates < 1
    # Logarithms are taken to six decimals.
    ratio = np.log(rates[below]) - np.asarray(logs)[below]
    if below.any():
        assert np.ptp(ratio) < 1e-5
        assert (ratio.min() + np.asarray(logs)[~below] > -1e-5).all()


def test_rates_of_a_share_of_1_are_1_and_weights_of_0_are_not_taken_for_more():
    assert (Rates([0.0, -3.0, 5.0])(1.0) == 1).all()
    nothing = Rates([0.0, -1e9, -1e9, 0.0])
    assert nothing(0.25).tolist() == [0.5, 0, 0, 0.5]
    assert nothing(0.75).tolist() == [1, 0, 0, 1]


@settings(max_examples=50)
@given(log_weights, shares, st.integers(0, 99), st.integers(1, 30))
def test_in_any_number_of_passes_each_comes_as_often_as_its_rate_says(logs, share, seed, n):
    found = turns(logs, share, seed)
    rates = Rates(logs)(share)
    counts = sum((found.progress(number) >= 1).astype(int) for number in range(n))
    assert (counts >= np.floor(n * rates - 1e-6)).all()
    assert (counts <= np.ceil(n * rates + 1e-6)).all()


def test_the_same_holds_where_the_share_changes():
    logs, share = np.linspace(-2, 2, 50), lambda number: 0.1 + 0.05 * (number % 7)
    found, rates = turns(logs, share), Rates(logs)
    counts = sum((found.progress(number) >= 1).astype(int) for number in range(40))
    expected = sum(rates(share(number)) for number in range(40))
    assert (np.abs(counts - expected) < 1 + 1e-6).all()


@given(log_weights, shares, st.integers(0, 20))
def test_a_pass_is_a_function_of_its_number_alone(logs, share, number):
    used, fresh = turns(logs, share), turns(logs, share)
    for other in (7, 0, 3):
        used.progress(other)
    assert used.progress(number).tobytes() == fresh.progress(number).tobytes()


def test_over_seeds_each_comes_with_the_probability_that_is_its_rate():
    logs = np.log([1.0, 1, 2, 4, 8, 0.5])
    came = np.mean([turns(logs, 0.4, seed).progress(2) >= 1 for seed in range(3000)], axis=0)
    np.testing.assert_allclose(came, Rates(logs)(0.4), atol=0.03)


def test_each_group_comes_as_often_as_its_rates_add_up_to_in_every_pass_of_equal_weights():
    groups = np.repeat([0, 1, 2], [30, 7, 63])
    found = Turns(np.zeros(100), groups, lambda number: 0.3, 0)
    for number in range(20):
        came = np.bincount(groups[found.progress(number) >= 1], minlength=3)
        assert (np.abs(came - 0.3 * np.bincount(groups)) < 1).all()


@settings(max_examples=50)
@given(log_weights, shares, st.integers(0, 9), st.data())
def test_so_many_are_taken_and_those_whose_turn_it_is_first(logs, share, number, data):
    order = np.random.default_rng(0).permutation(len(logs))
    order = order[: data.draw(st.integers(1, len(logs)))]
    k = data.draw(st.integers(0, len(order)))
    more = data.draw(st.integers(0, len(order) - k))
    found = turns(logs, share)
    places = found.take(number, order, k, more)
    assert len(places) == k + more == len(set(places.tolist()))
    progress = found.progress(number)[order]
    groups = [places[:k], places[k:], np.setdiff1d(np.arange(len(order)), places)]
    for part in groups:
        assert (np.diff(part) > 0).all()
    for first, later in [(0, 1), (0, 2), (1, 2)]:
        if len(groups[first]) and len(groups[later]):
            assert progress[groups[first]].min() >= progress[groups[later]].max()
    assert places[:k].tolist() == found.take(number, order, k).tolist()
