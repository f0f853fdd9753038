import numpy as np
import pytest
from method_helpers import candidates

from spectral_select.integrations.methods import History, get_method


def history(excess, n_trained, epoch):
    n = len(excess)
    return History(
        epoch=epoch,
        losses=np.full((n, min(epoch, 10)), np.nan),
        excess_loss=np.asarray(excess, float),
        n_trained=np.asarray(n_trained),
        clean_losses=np.full(min(epoch, 10), np.nan),
    )


def choose(excess, n_trained, epoch, *, options="", seed=0):
    method = get_method("repb" + options)
    scores = method.score(history(excess, n_trained, epoch))
    return method.choose(candidates(len(excess), 1, scores=scores, seed=seed))


@pytest.mark.parametrize("rho", [0.25, 0.5, 1.0])
def test_samples_below_the_mean_of_their_batch_are_kept_with_probability_rho(rho):
    excess, draws = [-0.1, 0.2, -3.0, 0.0, np.nan], 4000
    counts = np.zeros(5)
    for seed in range(draws):
        counts[choose(excess, [1, 1, 1, 1, 0], 1, options=f":rho={rho}", seed=seed).positions] += 1
    share = np.array([rho, 1, rho, 1, 1])
    assert (abs(counts - draws * share) <= 5 * (draws * share * (1 - share)) ** 0.5).all()


def test_weights_are_epochs_divided_by_times_trained_on():
    choice = choose([0.5, 0.5, -0.5, 0.5], [3, 1, 0, 0], 3, seed=1)
    expected = 4 / (np.array([3, 1, 0, 0])[choice.positions] + 1)
    np.testing.assert_allclose(choice.weights, expected * len(choice.positions) / 4)


def test_first_epoch_is_plain_training():
    choice = choose([np.nan] * 6, [0] * 6, 0)
    assert choice.positions.tolist() == list(range(6))
    assert choice.weights.tolist() == [1.0] * 6


def test_every_sample_counts_equally_in_the_long_run():
    """In total, samples that may be dropped get as much weight as samples never dropped."""
    n, n_epochs = 400, 60
    excess = np.where(np.arange(n) < 200, -1.0, 1.0)
    n_trained, total = np.zeros(n, int), np.zeros(n)
    for epoch in range(n_epochs):
        choice = choose(excess, n_trained, epoch, seed=epoch)
        total[choice.positions] += choice.weights * n / len(choice.positions)
        n_trained[choice.positions] += 1
    assert total[200:] == pytest.approx(n_epochs)
    assert total[:200].mean() == pytest.approx(n_epochs, rel=0.06)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_at_least_one_sample_is_kept(n):
    for seed in range(50):
        choice = choose([-1.0] * n, [1] * n, 1, options=":rho=0.01", seed=seed)
        assert len(choice.positions) >= 1


def test_needs_no_forward_pass_and_has_no_schedule():
    method = get_method("repb")
    assert method.needs == {"history"}
    assert method.weighted
    assert not method.selects_ahead
    assert [method.schedule(0.8, 3)(epoch) for epoch in range(3)] == [0.0] * 3
    with pytest.raises(ValueError, match="filter_ratio must be in"):
        method.schedule(1.5, 3)
    with pytest.raises(ValueError, match=r"requires candidates\.scores; got None"):
        method.choose(candidates(4, 2))


@pytest.mark.parametrize("rho", ["0", "1.5", "nan"])
def test_rejects_options_out_of_range(rho):
    with pytest.raises(ValueError, match=r"rho must be a number in \[1e-06, 1\]"):
        get_method(f"repb:rho={rho}")
