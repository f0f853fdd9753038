"""Every option works on ten signed inputs, with a known status."""

import warnings
from functools import cache

import numpy as np
import pytest
from oracle import similarities
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from spectral_select import (
    FiedlerBatchSelector,
    GuidedBatchSelector,
    GuidedSampler,
    SpectralBatchSampler,
    Status,
    n_kept,
)
from spectral_select._selectors.rules import RULES

LAPLACIANS = ["unnormalized", "symmetric", "random_walk"]
AFFINITIES = ["cosine", "nearest_neighbors", "precomputed"]


def toy(load, n=None):
    X, y = load(return_X_y=True)
    return scale(X[:n]), y[:n]


def random(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def opposite():
    """One odd row, whose similarity to every other row is negative."""
    X = np.abs(random(300, 8)) + 1
    X[137] *= -1
    return X


def clip_like():
    """Unit rows in a narrow cone around a common mean that has entries of both signs."""
    X = random(400, 128) + 2 * random(1, 128, seed=1)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def alternate(X):
    return X, np.arange(len(X)) % 2


INPUTS = {
    "wine": lambda: toy(load_wine),
    "breast cancer": lambda: toy(load_breast_cancer),
    "digits": lambda: toy(load_digits, 600),
    "Gaussian": lambda: alternate(random(500, 64)),
    "blobs": lambda: make_blobs(400, 6, centers=4, random_state=0),
    "opposite row": lambda: alternate(opposite()),
    "CLIP-like": lambda: alternate(clip_like()),
    "tiny": lambda: alternate(random(3, 4)),
    "duplicates": lambda: alternate(np.repeat(random(30, 5), 4, axis=0)),
    "equal up to sign": lambda: alternate(np.outer([1, 2, -1, -3, 5] * 8, random(1, 6)[0])),
}


@cache
def load(name):
    X, y = INPUTS[name]()
    assert (X < 0).any()
    assert (similarities(X) < 0).any() or name == "CLIP-like"
    return X, y


def fitted(selector, *data):
    """Fit; return the selector and whether it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selector.fit(*data)
    assert {w.category for w in caught} <= {ConvergenceWarning}
    return selector, bool(caught)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [None, 64])
@pytest.mark.parametrize("affinity", AFFINITIES)
@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("name", INPUTS)
def test_fiedler_selector(name, rule, laplacian, affinity, size, dtype):
    X, _ = load(name)
    data = (1 + similarities(X)) / 2 if affinity == "precomputed" else X
    selector = FiedlerBatchSelector(
        0.7, rule=rule, laplacian=laplacian, affinity=affinity, candidate_size=size
    )
    selector, warned = fitted(selector, data.astype(dtype))
    n = len(X)
    for start in range(0, n, size or n):
        batch = selector.support_[start : start + (size or n)]
        assert batch.sum() == n_kept(len(batch), 0.7)
    assert np.isfinite(selector.fiedler_vector_).all()
    statuses = set(np.atleast_1d(selector.status_).tolist())
    assert warned == (statuses != {Status.CONVERGED})
    possible = {Status.CONVERGED, Status.NEAR_DEGENERATE}
    if affinity == "nearest_neighbors":
        possible.add(Status.DISCONNECTED)
    assert statuses <= possible
    assert (np.atleast_1d(selector.algebraic_connectivity_) >= -1e-4).all()


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("name", [name for name in INPUTS if name != "duplicates"])
def test_status_in_float64(name, laplacian):
    X, _ = load(name)
    selector, _ = fitted(FiedlerBatchSelector(laplacian=laplacian), X)
    assert selector.status_ == Status.CONVERGED


@pytest.mark.parametrize("laplacian", LAPLACIANS)
def test_rows_equal_up_to_sign_are_divided_by_sign(laplacian):
    X, _ = load("equal up to sign")
    selector, _ = fitted(FiedlerBatchSelector(laplacian=laplacian), X)
    above = X[:, 0] > 0
    v = selector.fiedler_vector_
    np.testing.assert_allclose(v[above], v[above][0], atol=1e-9)
    np.testing.assert_allclose(v[~above], v[~above][0], atol=1e-9)
    assert v[above][0] * v[~above][0] < 0
    assert selector.algebraic_connectivity_ == pytest.approx(0, abs=1e-9)  # no weight between them


@pytest.mark.parametrize("size", [None, 64])
@pytest.mark.parametrize("name", INPUTS)
def test_guided_selector(name, size):
    X, y = load(name)
    selector, warned = fitted(GuidedBatchSelector(0.7, candidate_size=size, random_state=0), X, y)
    assert not warned
    n = len(X)
    expected = sum(n_kept(min(size or n, n - start), 0.7) for start in range(0, n, size or n))
    assert selector.support_.sum() == expected
    assert ((selector.weights_ > 0) & np.isfinite(selector.weights_)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("name", [name for name in INPUTS if name != "tiny"])
def test_samplers_finish_an_epoch(name, rule, laplacian):
    X, y = load(name)
    selector = FiedlerBatchSelector(0.7, rule=rule, laplacian=laplacian)
    batches = SpectralBatchSampler(None, 8, features=X, selector=selector)
    assert len(list(batches)) == len(batches) > 0
    guided = GuidedSampler(y, features=X)
    assert len(list(guided)) == len(guided) == n_kept(len(X), 0.8)
