import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import ODD_LOSSES, candidates
from sklearn.cluster import KMeans

from spectral_select.integrations.methods import History, get_method
from spectral_select.integrations.methods.seta import _clusters


def clusters_of(loss, options=""):
    """Return the clusters after an epoch that ended with the given losses."""
    loss = np.asarray(loss, float)
    nothing = np.full(len(loss), np.nan)
    history = History(1, loss[:, None], nothing, np.isfinite(loss).astype(int), nothing[:1])
    return get_method("seta" + options).score(history)


def kept(clusters, *, progress, options="", seed=0):
    made = candidates(len(clusters), 1, scores=np.asarray(clusters), progress=progress, seed=seed)
    return get_method("seta" + options).choose(made).positions


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_clusters_are_those_of_k_means(k):
    loss = np.random.default_rng(0).exponential(size=300)
    centers = np.quantile(loss, (np.arange(k) + 0.5) / k)[:, None]
    expected = KMeans(k, init=centers, n_init=1, tol=0, max_iter=100).fit(loss[:, None])
    rank = np.argsort(np.argsort(expected.cluster_centers_[:, 0]))
    assert _clusters(loss, k).tolist() == rank[expected.labels_].tolist()


@given(st.lists(st.floats(0, 1e4), max_size=30), st.integers(1, 12))
def test_clusters_are_intervals_in_ascending_order(loss, k):
    loss = np.array(loss)
    found = _clusters(loss, k)
    assert found.shape == loss.shape
    assert ((found >= 0) & (found < k)).all()
    assert (np.diff(found[np.argsort(loss, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("loss", [[0.0] * 5, [0.0] * 50 + [1.0, 2.0, 3.0]])
def test_many_equal_losses_form_the_easiest_cluster(loss):
    found = _clusters(np.array(loss), 4)
    assert (found[np.array(loss) == 0] == 0).all()
    assert found.max() == (3 if max(loss) else 0)


def test_samples_without_a_finite_loss_have_no_cluster_and_are_kept():
    assert clusters_of([0.1, np.nan, 2.0, np.inf], ":n_clusters=2").tolist() == [0, -1, 1, -1]
    positions = kept([0, -1, 9, -1], progress=0.0, options=":cut=0,window=0.1")
    assert sorted(positions) == [0, 1, 3]


def test_no_clusters_before_the_end_of_the_first_epoch():
    nothing = np.empty((4, 0))
    history = History(0, nothing, np.full(4, np.nan), np.zeros(4, int), nothing[0])
    assert get_method("seta").score(history).tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("progress", "first"), [(0.0, 0), (0.124, 0), (0.126, 1), (0.3, 2), (0.45, 3), (0.499, 3)]
)
def test_window_slides_from_easy_to_hard(progress, first):
    positions = kept(np.arange(10), progress=progress, options=":cut=0,window=0.7,delta=0.5")
    assert sorted(positions) == list(range(first, first + 7))


def test_only_the_cut_remains_at_the_end():
    for progress in (0.875, 0.99):
        assert len(kept(np.arange(10), progress=progress)) == 8


def test_cut_drops_its_share_uniformly():
    counts = np.zeros(10)
    for seed in range(3000):
        positions = kept([0] * 10, progress=0.0, options=":cut=0.3", seed=seed)
        assert len(set(positions.tolist())) == len(positions) == 7
        counts[positions] += 1
    assert (abs(counts - 2100) < 5 * (3000 * 0.7 * 0.3) ** 0.5).all()


def test_nearest_candidate_is_kept_if_none_is_in_the_window():
    assert kept([9, 8, 7, 9], progress=0.0, options=":cut=0,window=0.2").tolist() == [2]
    assert kept([0, 1, 0], progress=0.87, options=":cut=0,window=0.2").tolist() == [1]
    assert len(kept([9], progress=0.0, options=":cut=0.9")) == 1


@pytest.mark.parametrize("loss", ODD_LOSSES)
def test_accepts_the_losses_of_a_diverged_network(loss):
    assert 1 <= len(kept(clusters_of(loss), progress=0.4)) <= 6


def test_needs_no_forward_pass_and_has_no_schedule():
    method = get_method("seta")
    assert method.needs == {"history", "progress"}
    assert not method.weighted
    assert not method.selects_ahead
    assert [method.schedule(0.8, 3)(epoch) for epoch in range(3)] == [0.0] * 3
    with pytest.raises(ValueError, match=r"requires candidates\.scores; got None"):
        method.choose(candidates(4, 2, progress=0.0))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("cut=1", r"cut must be a number in \[0, 1\)"),
        ("n_clusters=0", "n_clusters must be"),
        ("window=0", r"window must be a number in \(0, 1\]"),
        ("delta=2", r"delta must be a number in \[0, 1\]"),
    ],
)
def test_rejects_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        get_method(f"seta:{option}")
