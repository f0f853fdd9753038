"""Taking turns: how often each sample comes, and when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_select._samplers.stride_scheduler import Rates, Turns, share_come

log_weights = st.lists(st.floats(-40, 40), min_size=2, max_size=60)
shares = st.floats(0.01, 1)


def turns(logs, share, seed=0):
    return Turns(logs, lambda number: max(1, int(share * len(logs))), seed)


def came(found, n, n_passes):
    """Return how often each of n samples came in the first passes, pass by pass."""
    passes = np.zeros((n_passes, n), int)
    for number in range(n_passes):
        taken = found.take(number, np.arange(n))
        passes[number, taken] = 1
    return passes.cumsum(axis=0)


@given(log_weights, shares)
def test_rates_have_the_mean_asked_for_and_are_proportional_below_1(logs, share):
    rates = Rates(logs)(share)
    assert rates.shape == (len(logs),)
    assert ((rates > 0) & (rates <= 1)).all()
    assert rates.mean() == pytest.approx(share, rel=1e-6)
    below = rates < 1
    # Logarithms are taken to six decimals.
    ratio = np.log(rates[below]) - np.asarray(logs)[below]
    if below.any():
        assert np.ptp(ratio) < 1e-5
        assert (ratio.min() + np.asarray(logs)[~below] > -1e-5).all()


def test_rates_of_a_share_of_1_are_1_and_nobody_is_ruled_out():
    assert (Rates([0.0, -3.0, 5.0])(1.0) == 1).all()
    extreme = Rates([0.0, -1e9, -1e9, 0.0])
    assert extreme(0.25) == pytest.approx([0.5, 0, 0, 0.5])
    assert extreme(0.75) == pytest.approx([1, 0.5, 0.5, 1])
    assert (extreme(0.25) > 0).all()


@settings(max_examples=50)
@given(log_weights, shares, st.integers(0, 99), st.integers(1, 30), st.data())
def test_the_turns_that_are_due_first_come_first_and_none_is_lost(logs, share, seed, n, data):
    n_samples = len(logs)
    k = max(1, int(share * n_samples))
    growing = data.draw(st.lists(st.floats(-9, 9), min_size=n_samples, max_size=n_samples))
    found = Turns(logs, lambda number: k, seed, growing=growing)
    at = np.random.default_rng(seed).random(n_samples)
    counts = np.zeros(n_samples)
    for number in range(n):
        grown = np.asarray(logs) + min(1, number * k / n_samples) * np.asarray(growing)
        rates = Rates(grown)(k / n_samples)
        taken = found.take(number, np.arange(n_samples))
        due = (counts + 1 - at) / rates  # in passes from now
        later = np.delete(due, taken).min(initial=np.inf)
        assert due[taken].max() <= later + 1e-6 * (1 + number + abs(later))
        counts[taken] += 1
        at += rates
    assert counts.sum() == n * k


def test_the_share_that_has_come_is_1_at_most():
    assert [share_come(before, 8) for before in (0, 2, 8, 9, 800)] == [0, 0.25, 1, 1, 1]


def test_what_grows_says_nothing_at_first_and_all_when_as_many_came_as_there_are():
    logs, growing = np.random.default_rng(0).normal(size=(2, 40))
    for n_taken in (lambda number: 10, lambda number: [0, 4, 16, 20][min(number, 3)]):
        found = Turns(logs, n_taken, 0, growing=growing)
        plain, whole = Turns(logs, n_taken, 0), Turns(logs + growing, n_taken, 0)
        order = np.arange(40)
        assert found.take(0, order).tolist() == plain.take(0, order).tolist()
        assert found.take(3, order).tolist() != plain.take(3, order).tolist()
        gained = np.subtract(*came(found, 40, 404)[[403, 3]])
        np.testing.assert_allclose(gained, np.subtract(*came(whole, 40, 404)[[403, 3]]), atol=2)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_in_the_long_run_each_comes_as_often_as_its_rate_says(share):
    logs = np.random.default_rng(0).normal(size=40)
    counts = came(turns(logs, share), 40, 500)[-1]
    np.testing.assert_allclose(counts, 500 * Rates(logs)(share), atol=3)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_those_of_equal_weight_all_come_before_any_comes_again(n, k, seed):
    found = Turns(np.zeros(n), lambda number: min(k, n), seed)
    counts = came(found, n, 50)
    assert (np.ptp(counts, axis=1) <= 1).all()


def test_the_same_holds_where_the_number_changes():
    n = 53
    found = Turns(np.zeros(n), lambda number: (7 * number) % 23, 0)
    assert (np.ptp(came(found, n, 60), axis=1) <= 1).all()
    weights = np.linspace(1, 3, n)
    counts = came(Turns(np.log(weights), lambda number: 5 + number % 11, 0), n, 200)[-1]
    assert np.abs(counts - counts.sum() * weights / weights.sum()).max() < 1.5


@given(log_weights, shares, st.integers(0, 20))
def test_a_pass_is_a_function_of_its_number_alone(logs, share, number):
    used, fresh = turns(logs, share), turns(logs, share)
    for other in (7, 0, 3):
        used.wait(other)
    assert used.wait(number).tobytes() == fresh.wait(number).tobytes()


def test_over_seeds_each_comes_as_often_as_its_rate_says():
    logs = np.log([1.0, 1, 2, 4, 8, 0.5, 3, 3, 1, 1])
    counts = np.mean([came(turns(logs, 0.4, seed), 10, 5)[-1] for seed in range(400)], axis=0)
    np.testing.assert_allclose(counts, 5 * Rates(logs)(0.4), rtol=0.1)


@settings(max_examples=50)
@given(log_weights, shares, st.integers(0, 9), st.data())
def test_so_many_are_taken_and_those_whose_turn_comes_first(logs, share, number, data):
    found, order = turns(logs, share), np.random.default_rng(0).permutation(len(logs))
    k = max(1, int(share * len(logs)))
    more = data.draw(st.integers(0, len(order) - k))
    places = found.take(number, order, more)
    assert len(places) == k + more == len(set(places.tolist()))
    wait = found.wait(number)[order]
    groups = [places[:k], places[k:], np.setdiff1d(np.arange(len(order)), places)]
    for part in groups:
        assert (np.diff(part) > 0).all()
    for first, later in [(0, 1), (0, 2), (1, 2)]:
        if len(groups[first]) and len(groups[later]):
            assert wait[groups[first]].max() <= wait[groups[later]].min()
    assert places[:k].tolist() == found.take(number, order).tolist()
