import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import candidates
from scipy.stats import beta

from spectral_select.integrations.methods import get_method


def probabilities(n=200, n_epochs=30, seed=0):
    """Return probabilities that rise to a level, with different amounts of variation."""
    rng = np.random.default_rng(seed)
    level, spread = rng.random((n, 1)), 0.2 * rng.random((n, 1))
    rise = 1 - np.exp(-np.arange(1, n_epochs + 1) / 8)
    return np.clip(level * rise + spread * rng.standard_normal((n, n_epochs)), 0, 1)


def subset(p, n_kept, *, options="", seed=0, n_epochs=3):
    """Return the samples of the first epoch, after checking that all epochs have the same."""
    n = len(p)
    visits = get_method("dual" + options).visits(
        np.zeros(n, int), None, lambda epoch: n_kept, seed=seed, dynamics=p
    )
    visits.prepare()
    epochs = [set(visits.select(epoch, np.arange(n)).tolist()) for epoch in range(n_epochs)]
    assert all(epoch == epochs[0] for epoch in epochs)
    return epochs[0]


def test_weights_are_those_of_the_definition():
    p, discarded, C, c = probabilities(20), 0.7, 12.0, 4.0
    scores = []
    for row in p:
        windows = [row[start : start + 10] for start in range(21)]
        scores.append(np.mean([np.std(w) * (1 - np.mean(w)) for w in windows]))
    m = p.mean(axis=1)
    b = C * (1 - m[np.argsort(scores)[-10:]].mean()) * (1 - discarded**c)
    expected = np.log(scores) + beta(C + 1 - b, b).logpdf(m)
    found = get_method(f"dual:concentration={C},exponent={c}")._log_weights(p, discarded)
    np.testing.assert_allclose(np.ptp(found - expected), 0, atol=1e-8)


def test_draws_follow_the_weights():
    p, draws = probabilities(8), 4000
    weights = np.exp(get_method("dual")._log_weights(p, 1 - 1 / 8))
    counts = np.zeros(8)
    for seed in range(draws):
        counts[list(subset(p, 1, seed=seed, n_epochs=1))] += 1
    share = weights / weights.sum()
    assert (abs(counts - draws * share) <= 5 * (draws * share * (1 - share)) ** 0.5).all()


def test_samples_are_easier_if_more_are_discarded():
    p = probabilities(2000)
    ease = [
        np.mean([p[list(subset(p, k, seed=seed))].mean() for seed in range(3)])
        for k in (1400, 600, 200, 60)
    ]
    assert ease == sorted(ease)
    assert ease[-1] > ease[0] + 0.1


def test_windows_favor_samples_that_vary():
    p = np.stack([np.full(30, 0.5), np.tile([0.3, 0.7], 15)])
    assert subset(p, 1) == {1}


@given(st.integers(1, 30), st.data())
def test_exact_number_of_different_samples_in_the_given_order(n, data):
    k, seed = data.draw(st.integers(1, n)), data.draw(st.integers(0, 1000))
    p = np.random.default_rng(seed).choice([0.0, 0.5, 1.0], (n, 3))
    order = np.random.default_rng(seed).permutation(n)
    visits = get_method("dual:epochs=3,window=2").visits(
        np.zeros(n, int), None, lambda epoch: k, seed=seed, dynamics=p
    )
    found = visits.select(1, order)
    assert len(set(found.tolist())) == len(found) == k
    places = np.argsort(order)[found]
    assert (np.diff(places) > 0).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_accepts_probabilities_without_variation(value):
    assert len(subset(np.full((10, 30), value), 4)) == 4


def test_needs_preliminary_training_and_selects_from_all_samples():
    method = get_method("dual")
    assert method.needs == {"dynamics"}
    assert method.n_dynamics == 30
    assert method.selects_ahead
    assert method.schedules_epoch
    with pytest.raises(ValueError, match="probabilities from a preliminary training run; got None"):
        method.visits(np.zeros(4, int), None, lambda epoch: 2, seed=0)
    with pytest.raises(ValueError, match="cannot choose from a batch"):
        method.choose(candidates(4, 2))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("window=1", "window must be"),
        ("epochs=5", "epochs must be"),
        ("concentration=0", r"concentration must be a number in \(0"),
        ("exponent=nan", r"exponent must be a number in \(0"),
    ],
)
def test_rejects_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        get_method(f"dual:{option}")
