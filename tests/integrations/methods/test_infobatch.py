from itertools import product

import numpy as np
import pytest
from method_helpers import candidates

from spectral_select.integrations.methods import get_method


def choose(last_loss, *, mean=None, progress=0.1, seed=0, options="", rng=None):
    last_loss = np.asarray(last_loss, np.float32)
    mean = float(np.nanmean(last_loss)) if mean is None else mean
    made = candidates(
        len(last_loss), 1, last_loss=last_loss, mean_last_loss=mean, progress=progress, seed=seed
    )
    if rng is not None:
        object.__setattr__(made, "rng", rng)
    return get_method("infobatch" + options).choose(made)


class Scripted:
    """A generator that returns given uniform numbers."""

    def __init__(self, uniform):
        self.uniform = np.array(uniform)

    def random(self, n):
        assert n == len(self.uniform)
        return self.uniform


def step(choice, values):
    """Return the driver's weighted mean of the chosen samples' losses or gradients."""
    return (choice.weights * values[choice.positions]).mean()


@pytest.mark.parametrize("r", [0.0, 0.25, 0.5, 0.9])
def test_step_is_unbiased_for_the_candidates_mean(r):
    last_loss = [0.1, np.nan, 0.2, 5.0, 0.3]
    below = [True, False, True, False, True]
    gradients = np.array([3.0, -1.0, 0.5, 2.0, -7.0])
    expected, total = 0.0, 0.0
    for drop in product([False, True], repeat=5):
        probability = np.prod([r if d else 1 - r for d in drop])
        if not probability:
            continue
        uniform = [r / 2 if d else (1 + r) / 2 for d in drop]
        choice = choose(last_loss, mean=1.0, options=f":r={r}", rng=Scripted(uniform))
        kept = [i for i in range(5) if not (below[i] and drop[i])]
        assert choice.positions.tolist() == kept
        expected += probability * step(choice, gradients)
        total += probability
    assert total == pytest.approx(1)
    assert expected == pytest.approx(gradients.mean())


@pytest.mark.parametrize("r", [0.3, 0.5, 0.95])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_unbiased_if_all_candidates_could_be_dropped(n, r):
    draws = 4000
    gradients = np.array([3.0, -1.0, 0.5, 2.0, -7.0])[:n]
    means, kept = np.empty(draws), np.zeros(n)
    for seed in range(draws):
        choice = choose(np.full(n, 0.1), mean=1.0, options=f":r={r}", seed=seed)
        assert len(choice.positions)
        kept[choice.positions] += 1
        means[seed] = step(choice, gradients)
    share = (1 - r) / (1 - r**n)
    assert (abs(kept - draws * share) <= 5 * (draws * share * (1 - share)) ** 0.5 + 1e-9).all()
    assert abs(means.mean() - gradients.mean()) <= 5 * means.std() / draws**0.5 + 1e-9


def test_kept_samples_with_low_loss_count_twice():
    choice = choose(np.arange(40), seed=1)
    weights = dict(zip(choice.positions.tolist(), choice.weights, strict=True))
    assert set(range(20, 40)) <= set(weights)
    low = {i: w for i, w in weights.items() if i < 20}
    assert 3 < len(low) < 17
    assert set(low.values()) == {2 * weights[30]}
    assert weights[30] == pytest.approx(len(weights) / 40)


@pytest.mark.parametrize(
    ("last_loss", "mean", "progress"),
    [
        (np.full(6, np.nan), np.nan, 0.0),  # no sample has been trained on yet
        (np.full(6, np.nan), 1.0, 0.5),  # none of these samples has been trained on
        (np.full(6, np.inf), 1.0, 0.5),
        (np.full(6, 1e4), 1e4, 0.5),
        (np.zeros(6), 0.0, 0.5),
        (np.zeros(6), 1.0, 0.875),  # all samples are kept at the end of training
        (np.zeros(6), 1.0, 0.99),
    ],
)
def test_nothing_is_dropped_without_losses_or_at_the_end(last_loss, mean, progress):
    for seed in range(5):
        choice = choose(last_loss, mean=mean, progress=progress, seed=seed)
        assert choice.positions.tolist() == list(range(6))
        assert choice.weights.tolist() == [1.0] * 6


def test_end_of_dropping_is_an_option():
    kept = [
        len(choose(np.arange(100), progress=0.9, options=o).positions) for o in ("", ":delta=1")
    ]
    assert kept[0] == 100 > kept[1]


def test_selects_during_steps_with_weights_and_no_schedule():
    method = get_method("infobatch")
    assert method.weighted
    assert not method.selects_ahead
    assert [method.schedule(0.8, 4)(epoch) for epoch in range(4)] == [0.0] * 4
    with pytest.raises(ValueError, match="filter_ratio must be in"):
        method.schedule(1.5, 4)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("infobatch:r=1", r"r must be a number in \[0, 1\); got 1.0"),
        ("infobatch:r=nan", r"r must be a number in \[0, 1\); got nan"),
        ("infobatch:delta=2", r"delta must be a number in \[0, 1\]; got 2.0"),
        ("infobatch:q=1", "has no option 'q'; options of infobatch: r, delta"),
    ],
)
def test_rejects_invalid_options(spec, message):
    with pytest.raises(ValueError, match=message):
        get_method(spec)


def test_names_missing_parts():
    with pytest.raises(ValueError, match=r"requires candidates\.progress; got None"):
        get_method("infobatch").choose(candidates(4, 2))
    with pytest.raises(ValueError, match=r"requires candidates\.last_loss; got None"):
        get_method("infobatch").choose(candidates(4, 2, progress=0.0))
