"""The closed form of stride scheduling, compared with definitions and with replayed epochs."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spectral_select._samplers import constant_rates, stride_scheduler
from spectral_select._samplers.constant_rates import ConstantRates, smallest
from spectral_select._samplers.stride_scheduler import StrideScheduler, inclusion_probabilities


def by_sorting(credit, rates, k, m):
    """Return v(m) of equation (1), by sorting the offsets at which visits occur."""
    gain = np.minimum(rates, 1 - rates)
    accumulated = credit + m * rates
    moves = gain > 0
    counts = np.floor(accumulated)
    counts[moves] -= 4
    numbers = counts[moves, None] + np.arange(1, 9)
    offsets = (numbers - accumulated[moves, None]) / gain[moves, None]
    missing = m * k - int(counts.sum())
    first = np.argsort(offsets, axis=None)[:missing]
    counts[moves] += np.bincount(first // 8, minlength=moves.sum())
    return counts


@st.composite
def constant(draw, smallest_n=1500, largest_n=3000):
    """Return the arguments of `ConstantRates`."""
    n, seed = draw(st.integers(smallest_n, largest_n)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    k = max(1, int(draw(st.floats(0.01, 0.95)) * n))
    rates = inclusion_probabilities(draw(st.floats(0, 4)) * rng.standard_normal(n), k / n)
    return rng.random(n), rates, k


@settings(max_examples=60)
@given(constant(), st.integers(0, 2000))
def test_counts_are_those_of_the_definition(arguments, m):
    run = ConstantRates(*arguments)
    assume(run.movable > 200)
    credit, rates, k = arguments
    for epoch in (m, m + 1):
        counts = credit + epoch * rates - run.credit(epoch)
        np.testing.assert_allclose(counts, by_sorting(credit, rates, k, epoch), atol=1e-8)
        assert round(counts.sum()) == epoch * k
    gained = np.round(run.credit(m) - run.credit(m + 1) + rates)
    assert run.visited(m).tolist() == (gained == 1).tolist()
    assert set(gained.tolist()) <= {0, 1}


@settings(max_examples=60)
@given(constant(), st.integers(0, 1000))
def test_visits_keep_within_one_of_the_rate(arguments, m):
    run = ConstantRates(*arguments)
    assume(run.movable > 200)
    # The number of visits is c + m·π − credit, with c in [0, 1).
    credit = run.credit(m)
    assert credit.min() > -1
    assert credit.max() < 2
    assert abs(np.median(credit) - 0.5) < 0.1


@given(constant(2, 50), st.integers(0, 300))
def test_every_epoch_has_exactly_k_visits_even_if_few_samples_can_move(arguments, m):
    run, (_, rates, k) = ConstantRates(*arguments), arguments
    assume(run.movable > 0)
    visited = run.visited(m)
    assert visited.sum() == k
    assert visited[rates == 1].all()


@given(
    st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 0.5000001, 3.0, np.inf]), min_size=1)
    | st.lists(st.floats(allow_nan=False), min_size=1, max_size=400),
    st.data(),
)
def test_smallest_is_a_stable_sort(values, data):
    values = np.array(values)
    k = data.draw(st.integers(0, len(values)))
    expected = np.sort(np.argsort(values, kind="stable")[:k])
    for sample in (2**13, 8):  # everything is sorted, or only what a sample brackets
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(constant_rates, "_SAMPLE", sample)
            assert np.flatnonzero(smallest(values, k)).tolist() == expected.tolist()


def test_smallest_of_many_values():
    rng = np.random.default_rng(0)
    for values in (rng.random(200_001), np.sort(rng.random(200_001)), np.zeros(200_001)):
        for k in (0, 1, 300, 40_000, 200_000, 200_001):
            expected = np.sort(np.argsort(values, kind="stable")[:k])
            assert np.array_equal(np.flatnonzero(smallest(values, k)), expected)


N = 6000


def visits(n_epochs, replay_max, n_selected=lambda epoch: N // 3, seed=0, spread=0.5):
    """Return which samples each epoch visits, and the scheduler."""
    logs, growing = spread * np.random.default_rng(seed).standard_normal((2, N))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stride_scheduler, "REPLAY_MAX", replay_max)
        scheduler = StrideScheduler(logs, n_selected, seed, growing=growing)
        return np.array([scheduler.visited(epoch) for epoch in range(n_epochs)]), scheduler


@pytest.fixture
def closed_form(monkeypatch):
    monkeypatch.setattr(stride_scheduler, "REPLAY_MAX", 0)


SCHEDULES = {
    "constant": lambda epoch: N // 3,
    "steps": lambda epoch: [N // 2, N // 3, 0, N, N // 4][min(epoch // 7, 4)],
    "linear": lambda epoch: N // 2 - 20 * epoch,
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("spread", [0.0, 0.2, 0.5])
def test_large_datasets_are_visited_as_if_replayed(name, spread):
    replayed, _ = visits(60, 10**9, SCHEDULES[name], spread=spread)
    direct, scheduler = visits(60, 0, SCHEDULES[name], spread=spread)
    assert direct.sum(1).tolist() == [SCHEDULES[name](epoch) for epoch in range(60)]
    if name == "constant":
        assert scheduler._run is not None  # the closed form was used
    counts = direct.cumsum(0), replayed.cumsum(0)
    assert np.abs(counts[0] - counts[1].astype(int)).max() <= 1
    assert (direct != replayed).mean() < 0.01


@pytest.mark.usefixtures("closed_form")
@pytest.mark.parametrize("name", SCHEDULES)
def test_epoch_does_not_depend_on_the_epochs_before(name):
    expected, used = visits(40, 0, SCHEDULES[name])
    for epoch in (39, 0, 25, 26, 13, 14, 38, 6):
        _, fresh = visits(0, 0, SCHEDULES[name])
        assert np.array_equal(fresh.visited(epoch), expected[epoch])
        assert np.array_equal(used.visited(epoch), expected[epoch])


def test_every_sample_keeps_within_one_visit_of_its_rate():
    logs, growing = 0.5 * np.random.default_rng(0).standard_normal((2, N))
    direct, scheduler = visits(203, 0)
    assert scheduler._run is not None
    rates = inclusion_probabilities(logs + growing, 1 / 3)
    gained = direct[3:].cumsum(0)  # after three epochs, all samples could have been seen once
    expected = rates * np.arange(1, 201)[:, None]
    assert np.abs(gained - expected).max() < 1.2


def test_few_movable_samples_are_replayed():
    """Most rates are 1 or nearly 0, so that a common offset has little to move."""
    logs = np.where(np.arange(N) < N // 3 - 5, 50.0, -50.0)
    logs[-20:] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stride_scheduler, "REPLAY_MAX", 0)
        scheduler = StrideScheduler(logs, lambda epoch: N // 3, 0)
        direct = np.array([scheduler.visited(epoch) for epoch in range(41)])
        assert scheduler._run is None
    assert (direct.sum(1) == N // 3).all()
    assert direct[:, : N // 3 - 5].sum(0).min() >= 40
    np.testing.assert_allclose(direct[:, -20:].sum(0), 41 * 5 / 20, atol=1)
