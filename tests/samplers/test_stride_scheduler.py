"""Stride scheduling: how often, and when, each sample is visited."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spectral_select._samplers.stride_scheduler import (
    StrideScheduler,
    fraction_seen,
    inclusion_probabilities,
)

log_weights = st.lists(st.floats(-40, 40), min_size=2, max_size=60)
shares = st.floats(0.01, 1)


def scheduler_of(logs, share, seed=0):
    return StrideScheduler(logs, lambda epoch: max(1, int(share * len(logs))), seed)


def visit_counts(scheduler, n, n_epochs):
    """Return how often each of n samples was visited after each of the first epochs."""
    visits = np.zeros((n_epochs, n), int)
    for epoch in range(n_epochs):
        visits[epoch, scheduler.select(epoch, np.arange(n))] = 1
    return visits.cumsum(axis=0)


@given(log_weights, shares)
def test_probabilities_have_the_given_mean_and_are_proportional_below_1(logs, share):
    rates = inclusion_probabilities(logs, share)
    assert rates.shape == (len(logs),)
    assert ((rates > 0) & (rates <= 1)).all()
    assert rates.mean() == pytest.approx(share, rel=1e-6)
    below = rates < 1
    assume(below.any())
    # The log weights are rounded to six decimals.
    ratio = np.log(rates[below]) - np.asarray(logs)[below]
    assert np.ptp(ratio) < 1e-5
    assert (ratio.min() + np.asarray(logs)[~below] > -1e-5).all()


def test_probabilities_are_1_for_a_share_of_1_and_never_0():
    assert (inclusion_probabilities([0.0, -3.0, 5.0], 1.0) == 1).all()
    extreme = [0.0, -1e9, -1e9, 0.0]
    assert inclusion_probabilities(extreme, 0.25) == pytest.approx([0.5, 0, 0, 0.5])
    assert inclusion_probabilities(extreme, 0.75) == pytest.approx([1, 0.5, 0.5, 1])
    assert (inclusion_probabilities(extreme, 0.25) > 0).all()


@settings(max_examples=50)
@given(log_weights, shares, st.integers(0, 99), st.integers(1, 30), st.data())
def test_earliest_deadlines_are_visited_first_and_no_visit_is_lost(logs, share, seed, n, data):
    n_samples = len(logs)
    k = max(1, int(share * n_samples))
    growing = data.draw(st.lists(st.floats(-9, 9), min_size=n_samples, max_size=n_samples))
    scheduler = StrideScheduler(logs, lambda epoch: k, seed, growing=growing)
    accumulated = np.random.default_rng(seed).random(n_samples)
    counts = np.zeros(n_samples)
    for epoch in range(n):
        grown = np.asarray(logs) + min(1, epoch * k / n_samples) * np.asarray(growing)
        rates = inclusion_probabilities(grown, k / n_samples)
        selected = scheduler.select(epoch, np.arange(n_samples))
        deadline = (counts + 1 - accumulated) / rates
        next_deadline = np.delete(deadline, selected).min(initial=np.inf)
        assert deadline[selected].max() <= next_deadline + 1e-6 * (1 + epoch + abs(next_deadline))
        counts[selected] += 1
        accumulated += rates
    assert counts.sum() == n * k


def test_fraction_seen_is_at_most_1():
    assert [fraction_seen(visits, 8) for visits in (0, 2, 8, 9, 800)] == [0, 0.25, 1, 1, 1]


def test_growing_part_counts_in_full_once_the_data_have_been_seen():
    logs, growing = np.random.default_rng(0).normal(size=(2, 40))
    for n_selected in (lambda epoch: 10, lambda epoch: [0, 4, 16, 20][min(epoch, 3)]):
        scheduler = StrideScheduler(logs, n_selected, 0, growing=growing)
        plain = StrideScheduler(logs, n_selected, 0)
        whole = StrideScheduler(logs + growing, n_selected, 0)
        order = np.arange(40)
        assert scheduler.select(0, order).tolist() == plain.select(0, order).tolist()
        assert scheduler.select(3, order).tolist() != plain.select(3, order).tolist()
        gained = np.subtract(*visit_counts(scheduler, 40, 404)[[403, 3]])
        expected = np.subtract(*visit_counts(whole, 40, 404)[[403, 3]])
        np.testing.assert_allclose(gained, expected, atol=2)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_each_sample_is_visited_at_its_rate(share):
    logs = np.random.default_rng(0).normal(size=40)
    counts = visit_counts(scheduler_of(logs, share), 40, 500)[-1]
    np.testing.assert_allclose(counts, 500 * inclusion_probabilities(logs, share), atol=3)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_equal_weights_visit_all_samples_before_any_again(n, k, seed):
    scheduler = StrideScheduler(np.zeros(n), lambda epoch: min(k, n), seed)
    assert (np.ptp(visit_counts(scheduler, n, 50), axis=1) <= 1).all()


def test_rates_hold_if_the_number_of_samples_changes():
    n = 53
    scheduler = StrideScheduler(np.zeros(n), lambda epoch: (7 * epoch) % 23, 0)
    assert (np.ptp(visit_counts(scheduler, n, 60), axis=1) <= 1).all()
    weights = np.linspace(1, 3, n)
    scheduler = StrideScheduler(np.log(weights), lambda epoch: 5 + epoch % 11, 0)
    counts = visit_counts(scheduler, n, 200)[-1]
    assert np.abs(counts - counts.sum() * weights / weights.sum()).max() < 1.5


@given(log_weights, shares, st.integers(0, 20))
def test_epoch_does_not_depend_on_earlier_requests(logs, share, epoch):
    used, fresh = scheduler_of(logs, share), scheduler_of(logs, share)
    for other in (7, 0, 3):
        used.visited(other)
    assert used.visited(epoch).tolist() == fresh.visited(epoch).tolist()


def test_rates_hold_over_seeds():
    logs = np.log([1.0, 1, 2, 4, 8, 0.5, 3, 3, 1, 1])
    counts = [visit_counts(scheduler_of(logs, 0.4, seed), 10, 5)[-1] for seed in range(400)]
    np.testing.assert_allclose(
        np.mean(counts, axis=0), 5 * inclusion_probabilities(logs, 0.4), rtol=0.1
    )


@settings(max_examples=50)
@given(log_weights, shares, st.integers(0, 9))
def test_selects_the_right_number_in_the_given_order(logs, share, epoch):
    scheduler, order = scheduler_of(logs, share), np.random.default_rng(0).permutation(len(logs))
    selected = scheduler.select(epoch, order)
    assert len(selected) == max(1, int(share * len(logs)))
    assert (np.diff(selected) > 0).all()
    assert np.sort(order[selected]).tolist() == np.flatnonzero(scheduler.visited(epoch)).tolist()
