import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import candidates
from scipy.stats import pearsonr

from spectral_select.integrations.methods import History, get_method

FALLING = np.array([2.0, 1.5, 1.0, 0.8, 0.7, 0.6, 0.55, 0.5, 0.48, 0.46])


def history(losses, clean, epoch=None):
    losses = np.asarray(losses, float)
    n, n_epochs = losses.shape
    excess = np.full(n, np.nan)
    return History(epoch or n_epochs, losses, excess, np.ones(n, int), np.asarray(clean, float))


def score(losses, clean, options=""):
    return get_method("alignprune" + options).score(history(losses, clean))


def choose(scores, *, progress=0.1, options="", seed=0):
    scores = np.asarray(scores, float)
    made = candidates(len(scores), 1, scores=scores, progress=progress, seed=seed)
    return get_method("alignprune" + options).choose(made)


@pytest.mark.parametrize(("options", "window"), [("", 10), (":window=4", 4)])
def test_score_is_the_correlation_with_the_clean_losses_less_its_mean(options, window):
    losses = np.random.default_rng(0).exponential(size=(8, 10))
    expected = [pearsonr(row[-window:], FALLING[-window:]).statistic for row in losses]
    found = score(losses, FALLING, options)
    np.testing.assert_allclose(found, np.array(expected) - np.mean(expected), atol=1e-12)


def test_losses_of_wrong_labels_are_below_the_mean():
    right = FALLING + np.linspace(0, 2, 9)[:, None]
    wrong = np.linspace(2, 5, 10)[None]  # the network learns the right label
    found = score(np.concatenate([right, wrong]), FALLING)
    assert (found[:9] > 0).all()
    assert found[9] < -1


@pytest.mark.parametrize("n_epochs", [0, 1, 2])
def test_nothing_is_dropped_before_three_epochs_are_complete(n_epochs):
    found = score(np.ones((5, n_epochs)), FALLING[:n_epochs])
    assert np.isnan(found).all()
    assert found.shape == (5,)
    assert len(choose(found).positions) == 5


def test_samples_with_undefined_alignment_are_kept():
    rows = [FALLING, -FALLING, np.full(10, 0.1), FALLING * np.nan, [np.inf, *FALLING[1:]]]
    found = score(rows, FALLING)
    assert np.isnan(found[2:]).all()
    np.testing.assert_allclose(found[:2], [1, -1])
    assert np.isnan(score(rows, np.full(10, 0.3))).all()
    assert np.isnan(score(rows, np.full(10, np.nan))).all()


def test_epochs_without_a_clean_loss_are_left_out():
    clean = FALLING.copy()
    clean[4] = np.nan
    losses = np.random.default_rng(0).exponential(size=(5, 10))
    expected = score(np.delete(losses, 4, axis=1), np.delete(FALLING, 4))
    np.testing.assert_allclose(score(losses, clean), expected)


@given(st.lists(st.lists(st.floats(0, 1e4), min_size=4, max_size=4), min_size=1, max_size=9))
def test_scores_are_differences_of_correlations(losses):
    found = score(losses, FALLING[:4])
    defined = found[np.isfinite(found)]
    assert (abs(defined) <= 2 + 1e-9).all()
    assert not len(defined) or defined.mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("r", [0.25, 0.5])
def test_drops_and_weights_like_infobatch(r):
    scores = [-0.1, 0.2, -1.0, 0.0, np.nan]
    loss = np.array([0.1, 2.0, 0.2, 2.0, np.nan], np.float32)
    for seed in range(20):
        found = choose(scores, options=f":r={r}", seed=seed)
        made = candidates(5, 1, last_loss=loss, mean_last_loss=1.0, progress=0.1, seed=seed)
        expected = get_method(f"infobatch:r={r}").choose(made)
        assert found.positions.tolist() == expected.positions.tolist()
        assert found.weights.tolist() == expected.weights.tolist()


def test_weights_are_equal_without_rescaling():
    for seed in range(10):
        found = choose([-1.0, 1.0, -1.0, 1.0], options=":rescale=false", seed=seed)
        assert found.weights.tolist() == [1.0] * len(found.positions)


def test_nothing_is_dropped_at_the_end():
    assert len(choose([-1.0] * 6, progress=0.9).positions) == 6


def test_needs_a_clean_set_and_no_forward_pass_of_the_candidates():
    method = get_method("alignprune")
    assert method.needs == {"clean", "history", "progress"}
    assert method.weighted
    assert [method.schedule(0.8, 3)(epoch) for epoch in range(3)] == [0.0] * 3
    with pytest.raises(ValueError, match=r"requires candidates\.scores; got None"):
        method.choose(candidates(4, 2, progress=0.0))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("window=2", "window must be between 3 and 10 epochs; got 2"),
        ("window=11", "window must be between 3 and 10 epochs; got 11"),
        ("r=1", r"r must be a number in \[0, 1\)"),
    ],
)
def test_rejects_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        get_method(f"alignprune:{option}")
