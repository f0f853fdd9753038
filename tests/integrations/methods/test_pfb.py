import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_helpers import candidates
from scipy import sparse

from spectral_select.integrations.methods import get_method
from spectral_select.integrations.methods.pfb import _systematic


def rows(n=200, d=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def definition(X, gamma, r):
    """Return the weights 1 / (f + r), computed one pair of rows at a time."""
    centered = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    unit = [row / np.linalg.norm(row) for row in centered]
    f = [
        np.mean([np.exp(gamma * (a @ b - 1)) for j, b in enumerate(unit) if j != i])
        for i, a in enumerate(unit)
    ]
    return 1 / (np.array(f) + r * np.median(f))


@pytest.mark.parametrize(("gamma", "r"), [(16.0, 1.0), (4.0, 0.1)])
def test_weights_are_those_of_the_definition(gamma, r):
    X = rows(40)
    found = np.exp(get_method(f"pfb:gamma={gamma},r={r}").precompute(np.zeros(40, int), X))
    np.testing.assert_allclose(found, definition(X, gamma, r), rtol=1e-5)


def test_density_of_many_rows_is_estimated_from_landmarks():
    sizes = np.repeat(np.arange(6), [3000, 1500, 800, 400, 200, 100])
    X = 2 * rows(6, seed=1)[sizes] + rows(6000)
    found = get_method("pfb:gamma=4").precompute(np.zeros(6000, int), X)
    some = np.arange(0, 6000, 60)
    centered = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    f = (np.exp(4 * (unit @ unit.T - 1)).sum(axis=1) - 1) / 5999
    expected = -np.log(f + np.median(f))
    assert np.abs(found - expected)[some].mean() < 0.1
    assert np.corrcoef(found, expected)[0, 1] > 0.95


def test_position_and_scale_of_the_features_do_not_matter():
    X, method = rows(), get_method("pfb")
    expected = method.precompute(np.zeros(200, int), X)
    for same in (3 * X + 0.5, X.astype(np.float64), sparse.csr_array(X)):
        np.testing.assert_allclose(method.precompute(np.zeros(200, int), same), expected, rtol=1e-3)


@pytest.mark.parametrize("X", [np.ones((5, 3)), np.zeros((1, 3)), np.eye(6) * [[1e6]]])
def test_weights_are_finite_and_equal_if_all_samples_are_equal(X):
    found = get_method("pfb:gamma=1e5").precompute(np.zeros(len(X), int), X)
    assert np.isfinite(found).all()
    assert np.ptp(found) <= 1e-9


def test_rejects_features_that_are_not_finite():
    X = rows(10)
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="features"):
        get_method("pfb").precompute(np.zeros(10, int), X)


def test_copies_are_kept_less_often():
    copies = np.repeat(rows(1), 60, axis=0) + 0.01 * rows(60, seed=1)
    X = np.concatenate([copies, rows(140, seed=2)])
    weights = get_method("pfb").precompute(np.zeros(200, int), X)
    made = candidates(200, 60, precomputed=weights)
    kept = get_method("pfb").choose(made).positions
    assert (kept < 60).sum() < 6  # a uniform draw keeps 18 on average


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.data())
def test_exact_number_is_kept(logs, data):
    n_keep = data.draw(st.integers(1, len(logs)))
    made = candidates(len(logs), n_keep, precomputed=np.array(logs), seed=len(logs))
    positions = get_method("pfb").choose(made).positions
    assert len(set(positions.tolist())) == len(positions) == n_keep


@pytest.mark.parametrize("probabilities", [[0.5, 0.25, 0.25], [1, 0.7, 0.2, 0.1], [1, 1, 0]])
def test_inclusion_probabilities_are_exact(probabilities):
    probabilities = np.array(probabilities)
    k, draws = round(probabilities.sum()), 4000
    counts = np.zeros(len(probabilities))
    for seed in range(draws):
        counts[_systematic(probabilities, k, np.random.default_rng(seed))] += 1
    deviations = (draws * probabilities * (1 - probabilities)) ** 0.5
    assert (abs(counts - draws * probabilities) <= 5 * deviations).all()


def test_batch_alone_uses_the_density_among_its_candidates():
    X, method = rows(30), get_method("pfb")
    alone = method.choose(candidates(30, 7, features=X))
    weights = method.precompute(np.zeros(30, int), X)
    expected = method.choose(candidates(30, 7, precomputed=weights))
    assert alone.positions.tolist() == expected.positions.tolist()


def test_costs_no_forward_pass():
    assert get_method("pfb").needs == {"features"}
    assert get_method("pfb").selects_ahead


@pytest.mark.parametrize("option", ["gamma=-1", "r=0", "r=nan", "gamma=inf"])
def test_rejects_options_out_of_range(option):
    with pytest.raises(ValueError, match="must be a number in"):
        get_method(f"pfb:{option}")
