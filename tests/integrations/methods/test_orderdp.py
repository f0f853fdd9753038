from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import ODD_LOSSES, candidates

from spectral_select.integrations.methods import get_method


def kept(loss, n_keep, *, options="", seed=0):
    made = candidates(len(loss), n_keep, last_loss=np.asarray(loss, np.float32), seed=seed)
    return get_method("orderdp" + options).choose(made).positions


@pytest.mark.parametrize(("pool", "size"), [(0.0, 2), (0.5, 4), (0.75, 5), (1.0, 6)])
def test_samples_are_kept_as_often_as_among_the_largest_of_all_pools(pool, size):
    loss = np.array([0.3, 2.0, 0.1, 1.0, 4.0, 0.2])
    pools = list(combinations(range(6), size))
    expected = np.zeros(6)
    for members in pools:
        expected[sorted(members, key=lambda i: -loss[i])[:2]] += 1 / len(pools)
    draws, counts = 4000, np.zeros(6)
    for seed in range(draws):
        counts[kept(loss, 2, options=f":pool={pool}", seed=seed)] += 1
    deviations = (draws * expected * (1 - expected)) ** 0.5
    assert (abs(counts - draws * expected) <= 5 * deviations + 1e-9).all()


@given(
    st.lists(st.one_of(st.floats(0, 9), st.just(np.nan)), min_size=1, max_size=30),
    st.floats(0, 1),
    st.data(),
)
def test_exact_number_is_kept(loss, pool, data):
    n_keep = data.draw(st.integers(1, len(loss)))
    positions = kept(loss, n_keep, options=f":pool={pool}")
    assert len(set(positions.tolist())) == len(positions) == n_keep


@pytest.mark.parametrize("loss", ODD_LOSSES)
def test_accepts_the_losses_of_a_diverged_network(loss):
    assert len(set(kept(loss, 3).tolist())) == 3


def test_samples_without_a_loss_come_first():
    loss = [9.0, np.nan, 8.0, np.nan, 7.0]
    assert sorted(kept(loss, 3, options=":pool=1")) == [0, 1, 3]
    assert sorted(kept(loss, 2, options=":pool=1")) == [1, 3]


def test_equal_losses_are_ordered_at_random():
    counts = np.zeros(5)
    for seed in range(2000):
        counts[kept([1.0] * 5, 1, options=":pool=1", seed=seed)] += 1
    assert counts == pytest.approx(400, abs=5 * (2000 * 0.2 * 0.8) ** 0.5)


def test_needs_only_stored_losses_and_keeps_the_given_ratio():
    method = get_method("orderdp")
    assert method.needs == {"last_loss"}
    assert not method.weighted
    assert method.schedule(0.7, 5)(3) == 0.7
    with pytest.raises(ValueError, match=r"requires candidates\.last_loss; got None"):
        method.choose(candidates(4, 2))


@pytest.mark.parametrize("pool", ["-0.1", "1.5", "nan"])
def test_rejects_options_out_of_range(pool):
    with pytest.raises(ValueError, match=r"pool must be a number in \[0, 1\]"):
        get_method(f"orderdp:pool={pool}")
