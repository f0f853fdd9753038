import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_select import GuidedSampler, find_wrong_labels, n_kept
from spectral_select.integrations.methods import Candidates, Outputs, get_method


def candidates(loss, graph, n_keep, seed=0, fresh=False, loss_power=0.5):
    """Return candidates whose weights have the given factors from the graph."""
    loss = np.asarray(loss, float)
    graph = np.log(np.asarray(graph, float))
    outputs = Outputs(loss, np.zeros((len(loss), 2)), np.zeros((len(loss), 2)))
    return Candidates(
        np.arange(len(loss)),
        np.zeros(len(loss), np.int64),
        n_keep,
        np.random.default_rng(seed),
        precomputed=np.stack([0.3 * graph, 0.7 * graph, graph * 0 + loss_power], axis=1),
        last_loss=None if fresh else loss,
        fresh=(lambda: outputs) if fresh else None,
    )


def counts(name, loss, graph, loss_power=0.5, draws=4000):
    """Return how often each candidate is drawn when one is kept."""
    method, fresh = get_method(name), name == "guided-fresh"
    chosen = [
        method.choose(candidates(loss, graph, 1, seed, fresh, loss_power)).positions[0]
        for seed in range(draws)
    ]
    return np.bincount(chosen, minlength=len(loss)) / draws


@pytest.mark.parametrize("name", ["guided-loss", "guided-fresh"])
@pytest.mark.parametrize("loss_power", [0.5, 1.0, 0.0, np.array([0.5, 0.5, 0.0, 1.0])])
def test_probabilities_follow_the_formula(name, loss_power):
    loss, graph = np.array([4.0, 1.0, 0.25, 4.0]), np.array([1.0, 1.0, 0.5, 0.1])
    weights = loss**loss_power * graph
    found = counts(name, loss, graph, loss_power)
    np.testing.assert_allclose(found, weights / weights.sum(), atol=0.04)


@settings(max_examples=40)
@given(
    losses=st.lists(
        st.one_of(st.floats(0, 1e30), st.just(np.nan), st.just(np.inf)), min_size=1, max_size=30
    ),
    fresh=st.booleans(),
    share=st.floats(0, 1),
)
def test_exact_number_is_kept_for_any_losses(losses, fresh, share):
    n_keep = max(1, int(share * len(losses)))
    method = get_method("guided-fresh" if fresh else "guided-loss")
    graph = np.linspace(0.01, 1, len(losses))
    chosen = method.choose(candidates(losses, graph, n_keep, fresh=fresh)).positions
    assert len(set(chosen)) == len(chosen) == n_keep


def test_sample_without_a_loss_counts_as_the_hardest():
    found = counts("guided-loss", [np.nan, 3.0, 1.0], [1, 1, 1], loss_power=1)
    np.testing.assert_allclose(found, [3 / 7, 3 / 7, 1 / 7], atol=0.04)
    blind = counts("guided-loss", [np.nan] * 4, [1, 1, 1, 1])
    np.testing.assert_allclose(blind, 0.25, atol=0.04)


def test_loss_of_0_does_not_exclude_a_sample():
    found = counts("guided-loss", [0.0, 1.0], [1.0, 1.0])
    assert 0 < found[0] < 0.1


def test_diverged_network_gives_uniform_choice():
    method = get_method("guided-fresh")
    chosen = method.choose(candidates([np.inf, np.nan, 1e-9, 5.0], [1] * 4, 2, fresh=True))
    assert set(chosen.positions) == {2, 3}


def clusters(n=600, n_classes=3):
    rng = np.random.default_rng(0)
    y = np.sort(rng.integers(0, n_classes, n))
    return rng.random((n_classes, 8))[y] + 0.1 * rng.random((n, 8)), y


def test_trust_and_hardness_come_from_the_graph_of_the_features():
    X, y = clusters()
    found = find_wrong_labels(X, y)
    trust = np.maximum(found.trust, 0.01) ** 2
    trust /= np.sqrt(np.bincount(y, trust) / np.bincount(y))[y]
    hardness = np.maximum(1 - found.label_probability, 0.05)
    for spec, expected in {
        "guided-loss:hardness_power=0": (trust, 1),
        "guided-loss:trust_power=0,hardness_power=2": (1, hardness**2),
        "guided-loss": (trust, hardness**0.25),
    }.items():
        factors = np.exp(get_method(spec).precompute(y, X)[:, :2]).T
        for factor, part in zip(factors, expected, strict=True):
            np.testing.assert_allclose(factor, part, rtol=1e-12)


def test_loss_counts_less_where_labels_are_wrong():
    """The power falls with the share of wrong labels in a class; clean classes keep full power."""
    X, y = clusters()
    rng = np.random.default_rng(1)
    noisy = np.where((y == 0) & (rng.random(len(y)) < 0.4), 1, y)
    power = get_method("guided-loss").precompute(noisy, X)[:, 2]
    assert power[noisy == 1].max() < 0.3 < 0.45 < power[noisy == 2].min()
    blind = get_method("guided-loss:trust_power=0").precompute(noisy, X)[:, 2]
    assert (blind == 0.5).all()


def test_costs_match_needs():
    assert get_method("guided").needs == {"features"}
    assert get_method("guided").selects_ahead
    assert get_method("guided-loss").needs == {"features", "last_loss"}
    assert get_method("guided-fresh").needs == {"features", "fresh"}


@pytest.mark.parametrize(
    "option", ["loss_power=-1", "trust_power=nan", "loss_power=inf", "hardness_power=-0.5"]
)
def test_rejects_options_out_of_range(option):
    with pytest.raises(ValueError, match=r"must be a number in \[0, 1e\+06\]"):
        get_method(f"guided-loss:{option}")
    if "loss_power" not in option:
        with pytest.raises(ValueError, match=r"must be a number in \[0, 1e\+06\]"):
            get_method(f"guided:{option}")


def test_epochs_are_those_of_the_guided_sampler():
    X, y = clusters()
    method = get_method("guided:trust_power=2,hardness_power=0")
    assert method.schedules_epoch
    sampler = GuidedSampler(
        y, features=X, filter_ratio=0.75, trust_power=2, hardness_power=0, seed=5
    )
    visits = method.visits(y, X, lambda epoch: n_kept(len(y), 0.75), seed=5)
    for epoch in range(3):
        order = np.random.default_rng(epoch).permutation(len(y))
        sampler.set_epoch(epoch)
        assert sorted(visits.select(epoch, order)) == sorted(sampler)


def test_single_candidate_batch_is_a_draw_of_the_given_number():
    X, y = clusters()
    batch = Candidates(np.arange(len(y)), y, 200, np.random.default_rng(0), features=X)
    chosen = get_method("guided").choose(batch).positions
    assert len(set(chosen.tolist())) == 200
