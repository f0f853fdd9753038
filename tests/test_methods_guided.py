import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_select import label_trust
from spectral_select.integrations.methods import Candidates, Outputs, get_method


def candidates(loss, trust, n_keep, seed=0, fresh=False):
    loss = np.asarray(loss, float)
    outputs = Outputs(loss, np.zeros((len(loss), 2)), np.zeros((len(loss), 2)))
    return Candidates(
        np.arange(len(loss)),
        np.zeros(len(loss), np.int64),
        n_keep,
        np.random.default_rng(seed),
        precomputed=np.asarray(trust, float),
        last_loss=None if fresh else loss,
        fresh=(lambda: outputs) if fresh else None,
    )


def counts(name, loss, trust, draws=4000):
    """Return how often each candidate is the one drawn."""
    method, fresh = get_method(name), name.startswith("guided-fresh")
    chosen = [
        method.choose(candidates(loss, trust, 1, seed, fresh)).positions[0] for seed in range(draws)
    ]
    return np.bincount(chosen, minlength=len(loss)) / draws


@pytest.mark.parametrize("name", ["guided", "guided-fresh"])
@pytest.mark.parametrize(("power", "confidence"), [(0.5, 1.0), (1.0, 0.5), (0.0, 1.0), (1.0, 0.0)])
def test_the_law_is_loss_to_a_power_times_trust(name, power, confidence):
    loss, trust = np.array([4.0, 1.0, 0.25, 4.0]), np.array([1.0, 1.0, 0.5, 0.1])
    weights = loss**power * trust**confidence
    found = counts(f"{name}:power={power},confidence={confidence}", loss, trust)
    np.testing.assert_allclose(found, weights / weights.sum(), atol=0.04)


@settings(max_examples=40)
@given(
    losses=st.lists(
        st.one_of(st.floats(0, 1e30), st.just(np.nan), st.just(np.inf)), min_size=1, max_size=30
    ),
    fresh=st.booleans(),
    share=st.floats(0, 1),
)
def test_exactly_so_many_are_kept_whatever_the_losses(losses, fresh, share):
    n_keep = max(1, int(share * len(losses)))
    method = get_method("guided-fresh" if fresh else "guided")
    trust = np.linspace(0, 1, len(losses))
    chosen = method.choose(candidates(losses, trust, n_keep, fresh=fresh)).positions
    assert len(set(chosen)) == len(chosen) == n_keep


def test_a_sample_not_trained_on_yet_counts_as_the_hardest():
    found = counts("guided:power=1", [np.nan, 3.0, 1.0], [1, 1, 1])
    np.testing.assert_allclose(found, [3 / 7, 3 / 7, 1 / 7], atol=0.04)
    blind = counts("guided:power=1", [np.nan] * 4, [1, 1, 1, 1])
    np.testing.assert_allclose(blind, 0.25, atol=0.04)


def test_nobody_is_ruled_out():
    """Neither a loss of 0 nor a trust of 0 keeps a sample from ever being seen."""
    found = counts("guided", [0.0, 1.0], [1.0, 1.0])
    assert 0 < found[0] < 0.1
    found = counts("guided", [1.0, 1.0], [0.0, 1.0])
    assert 0 < found[0] < 0.05


def test_trust_comes_from_the_graph_of_the_features():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    X = rng.random((3, 8))[y] + 0.1 * rng.random((300, 8))
    expected = label_trust(X, y).trust
    assert np.array_equal(get_method("guided").precompute(y, X), expected)


def test_what_it_costs_is_what_it_needs():
    assert get_method("guided").needs == {"features", "last_loss"}
    assert get_method("guided-fresh").needs == {"features", "fresh"}


@pytest.mark.parametrize("option", ["power=-1", "confidence=nan", "power=inf"])
def test_options_out_of_range(option):
    with pytest.raises(ValueError, match=r"must be in \[0, 1e\+06\]"):
        get_method(f"guided:{option}")
