import numpy as np
import pytest
from scipy import stats

from spectral_select.integrations.report.intervals import (
    Interval,
    mean_interval,
    paired_difference,
)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_equals_scipys_t_interval(n):
    values = np.random.default_rng(n).normal(0.8, 0.1, n)
    interval = mean_interval(values.tolist())
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval.mean - interval.half_width == pytest.approx(low)
    assert interval.mean + interval.half_width == pytest.approx(high)
    assert interval.n == n


def test_covers_the_mean_in_95_of_100_cases():
    draws = np.random.default_rng(0).normal(1.0, 2.0, (2000, 4))
    hits = [abs(i.mean - 1) <= i.half_width for i in map(mean_interval, draws.tolist())]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_missing_values_are_ignored():
    assert mean_interval([3.0]) == Interval(3.0, None, 1)
    assert mean_interval([]) is None
    assert mean_interval([None, float("nan"), float("inf")]) is None
    assert mean_interval([None, 2.0, float("nan"), 2.0]) == Interval(2.0, 0.0, 2)


def test_paired_difference_uses_shared_seeds_only():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 5, 6)  # shared by both methods for a seed, so pairing removes it
    ours = {seed: 1.0 + noise[seed] + rng.normal(0, 0.01) for seed in range(6)}
    theirs = {seed: noise[seed] for seed in range(2, 6)} | {9: 1e6, 3: None}
    difference = paired_difference(ours, theirs)
    shared = [2, 4, 5]
    oracle = stats.ttest_rel([ours[s] for s in shared], [theirs[s] for s in shared])
    interval = oracle.confidence_interval(0.95)
    assert difference.n == 3
    assert difference.mean == pytest.approx(1, abs=0.05)
    assert difference.half_width == pytest.approx((interval.high - interval.low) / 2)
    assert paired_difference(ours, {7: 1.0}) is None


def test_side_of_zero():
    assert Interval(0.5, 0.4, 3).side == 1
    assert Interval(-0.5, 0.4, 3).side == -1
    assert Interval(0.5, 0.6, 3).side == Interval(0.5, None, 1).side == 0


def test_differences_are_written_with_sign():
    assert Interval(-0.05, 0.01, 3).format(1, scale=100, signed=True) == "−5.0 ± 1.0"
    assert Interval(0.05, None, 1).format(1, scale=100, signed=True) == "+5.0"


def test_two_seeds_are_never_significant():
    assert paired_difference({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5}).side == 0
    assert paired_difference({0: 1.0, 1: 2.0, 2: 3.0}, {0: 0.5, 1: 1.5, 2: 2.5}).side == 1
