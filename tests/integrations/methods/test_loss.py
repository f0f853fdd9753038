from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import ODD_LOSSES, candidates

from spectral_select.integrations.methods import get_method

DRAWS = 5000
SCORED = ("top-loss", "loss-sampling", "selective-backprop", "rho-loss")


def choose(spec, loss, k, *, seed=0, **more):
    more = {"progress": 0.6, "step": 0, "reference": np.zeros(len(loss))} | more
    made = candidates(len(loss), k, loss=loss, seed=seed, **more)
    return get_method(spec).choose(made).positions.tolist()


def inclusion(weights, k):
    """Return each position's probability of being among k positions drawn one by one."""
    found = np.zeros(len(weights))
    for sequence in permutations(range(len(weights)), k):
        probability, left = 1.0, sum(weights)
        for place in sequence:
            probability *= weights[place] / left
            left -= weights[place]
        found[list(sequence)] += probability
    return found


def assert_drawn_by(weights, k, spec, loss, **more):
    counts = np.zeros(len(loss))
    for seed in range(DRAWS):
        counts[choose(spec, loss, k, seed=seed, **more)] += 1
    expected = inclusion(weights, k)
    assert (abs(counts - DRAWS * expected) < 5 * (DRAWS * expected * (1 - expected)) ** 0.5).all()


finite = st.lists(st.floats(0, 1e4, width=32), min_size=1, max_size=12)


@given(finite, st.data())
def test_top_loss_keeps_the_largest(loss, data):
    k = data.draw(st.integers(1, len(loss)))
    kept = choose("top-loss", loss, k)
    assert sorted((loss[i] for i in kept), reverse=True) == sorted(loss, reverse=True)[:k]


@given(st.lists(st.tuples(*[st.integers(0, 10**4)] * 2), min_size=1, max_size=12), st.data())
def test_rho_loss_keeps_the_largest_differences(pairs, data):
    k = data.draw(st.integers(1, len(pairs)))
    loss, reference = np.array(pairs).T
    kept = choose("rho-loss", loss, k, reference=reference)
    differences = loss - reference
    assert sorted(differences[kept])[::-1] == sorted(differences)[::-1][:k]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_loss_sampling_draws_by_the_power(power):
    loss = np.array([0.1, 0.4, 1.0, 2.5])
    assert_drawn_by(loss**power, 2, f"loss-sampling:power={power}", loss)


def test_loss_sampling_excludes_samples_with_zero_loss():
    for seed in range(50):
        assert set(choose("loss-sampling", [0.0, 1.0, 0.0, 1e4], 2, seed=seed)) == {1, 3}
    firsts = {choose("loss-sampling:power=0", [0.0, 1.0, 1e4], 1, seed=s)[0] for s in range(50)}
    assert firsts == {0, 1, 2}


def test_large_power_equals_top_loss():
    loss = [1e4, 3.0, 1e-3, 7.0, 9e3]
    for seed in range(20):
        assert set(choose("loss-sampling:power=1e5", loss, 2, seed=seed)) == {0, 4}


@pytest.mark.parametrize("k", [1, 2, 3])
def test_selective_backprop_draws_by_percentile(k):
    loss = [5.0, 1e4, 0.2, 0.0]  # ranks 3, 4, 2, 1
    percentiles = (np.array([3, 4, 2, 1]) - 0.5) / 4
    assert_drawn_by(percentiles ** (4 / k - 1), k, "selective-backprop", loss)


@pytest.mark.parametrize(
    ("options", "progress", "step", "chooses"),
    [
        ("", 0.0, 0, False),
        ("", 0.49, 48, False),
        ("", 0.5, 50, True),
        ("", 0.51, 51, False),
        ("", 0.52, 52, True),
        ("", 0.89, 88, True),
        ("", 0.9, 90, False),
        (":interrupt=0", 0.51, 51, True),
        (":interrupt=1", 0.52, 52, False),
        (":interrupt=3", 0.51, 51, True),
        (":interrupt=3", 0.52, 52, True),
        (":interrupt=3", 0.53, 53, False),
        (":start=0,end=1", 0.0, 0, True),
        (":start=0,end=1", 0.98, 98, True),
    ],
)
def test_selective_backprop_selects_and_pays_only_at_its_steps(options, progress, step, chooses):
    made = candidates(6, 2, loss=np.arange(6), progress=progress, step=step)
    if not chooses:  # no forward pass is needed
        made = candidates(6, 2, progress=progress, step=step)
    choice = get_method("selective-backprop" + options).choose(made)
    assert len(choice.positions) == (2 if chooses else 6)
    assert choice.weights is None


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("loss", ODD_LOSSES)
@pytest.mark.parametrize("k", [1, 4, 6])
@pytest.mark.parametrize("reference", [[0.0] * 6, [np.nan] * 6, [np.inf] * 6])
def test_accepts_a_diverged_network(name, loss, k, reference):
    kept = choose(name, loss, k, reference=reference)
    assert len(set(kept)) == len(kept) == k
    if name != "rho-loss" or reference[0] == 0:
        fine = set(np.flatnonzero(np.isfinite(loss)))
        assert len(fine & set(kept)) == min(k, len(fine))


@pytest.mark.parametrize("name", SCORED)
def test_names_missing_parts(name):
    left_out = "reference" if name == "rho-loss" else "fresh"
    with pytest.raises(ValueError, match=f"requires candidates.{left_out}; got None"):
        get_method(name).choose(candidates(4, 2, progress=0.6, step=0))
    with pytest.raises(ValueError, match=r"requires candidates\.progress; got None"):
        get_method("selective-backprop").choose(candidates(4, 2, loss=np.ones(4)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("loss-sampling:power=-1", r"power must be a number in \[0, 1e\+06\]; got -1.0"),
        ("loss-sampling:power=nan", r"power must be a number in \[0, 1e\+06\]; got nan"),
        ("selective-backprop:start=0.9", "start must be less than end; got 0.9 and 0.9"),
        ("selective-backprop:end=1.5", r"end must be a number in \[0, 1\]; got 1.5"),
        ("selective-backprop:interrupt=-1", "interrupt must be an integer of at least 0; got -1"),
        ("selective-backprop:interrupt=0.5", "must be an integer; got '0.5'"),
        ("top-loss:power=1", "has no option 'power'; options of top-loss: none"),
    ],
)
def test_rejects_invalid_options(spec, message):
    with pytest.raises(ValueError, match=message):
        get_method(spec)


def test_rejects_options_of_another_type():
    with pytest.raises(TypeError, match=r"power must be a number.*; got '1' of type str"):
        type(get_method("loss-sampling"))(power="1")
