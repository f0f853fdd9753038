import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import candidates

from spectral_select.integrations.methods import get_method

METHOD = get_method("turns")


def visited(n, counts, seed=0):
    """Return the samples visited in each epoch: `counts[epoch]` of `n` samples."""
    visits = METHOD.visits(np.zeros(n, int), None, counts.__getitem__, seed=seed)
    orders = [np.random.default_rng(epoch).permutation(n) for epoch in range(len(counts))]
    return [visits.select(epoch, order) for epoch, order in enumerate(orders)]


@given(st.data())
def test_all_samples_are_visited_before_any_is_revisited(data):
    n = data.draw(st.integers(1, 40))
    counts = data.draw(st.lists(st.integers(1, n), min_size=1, max_size=12))
    times = np.zeros(n, int)
    for samples, count in zip(visited(n, counts), counts, strict=True):
        assert len(set(samples.tolist())) == len(samples) == count
        times[samples] += 1
        assert np.ptp(times) <= 1


def test_epochs_depend_only_on_the_seed():
    first, other = visited(100, [20] * 6), visited(100, [20] * 6, seed=1)
    assert set(first[0]) != set(other[0])
    visits = METHOD.visits(np.zeros(100, int), None, lambda epoch: 20, seed=0)
    for epoch in (4, 1, 5):  # the order in which resumed training requests epochs
        order = np.random.default_rng(epoch).permutation(100)
        assert visits.select(epoch, order).tolist() == first[epoch].tolist()


def test_is_guided_selection_without_trust_and_hardness():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 150)
    features = rng.random((3, 8))[labels] + 0.1 * rng.random((150, 8))
    guided = get_method("guided:trust_power=0,hardness_power=0")
    both = [
        method.visits(labels, features, lambda epoch: 40, seed=3) for method in (METHOD, guided)
    ]
    for epoch in range(8):
        order = rng.permutation(150)
        first, second = (visits.select(epoch, order).tolist() for visits in both)
        assert first == second


def test_needs_no_inputs_and_selects_ahead_of_training():
    assert not METHOD.needs
    assert METHOD.selects_ahead
    assert METHOD.schedules_epoch
    assert METHOD.visits(np.zeros(5, int), None, lambda epoch: 2, seed=0).prepare() is not None


def test_single_candidate_batch_is_a_uniform_draw():
    counts = np.zeros(10)
    for seed in range(2000):
        positions = METHOD.choose(candidates(10, 3, seed=seed)).positions
        assert len(set(positions.tolist())) == 3
        counts[positions] += 1
    assert counts == pytest.approx(600, abs=5 * (2000 * 0.3 * 0.7) ** 0.5)
