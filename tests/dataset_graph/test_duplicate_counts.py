"""Numbers of near-duplicates: copies are counted, chance similarities are not."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from spectral_select._dataset_graph.duplicate_counts import count_near_duplicates
from spectral_select._dataset_graph.similarity_graph import Rows


def counts(X):
    return count_near_duplicates(Rows(np.asarray(X, np.float64)), 0)


@pytest.mark.parametrize(("d", "noise"), [(4, 0.0), (4, 1e-4), (64, 0.0), (64, 0.01)])
def test_copies_are_counted(d, noise):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, d))
    X[:30] = X[:6].repeat(5, axis=0) + noise * rng.standard_normal((30, d))
    found = counts(X)
    assert (found[:30] == 4).all()
    assert (found[30:] > 0).mean() < 0.01


@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer, load_iris])
def test_ordinary_data_have_few_near_duplicates(load):
    assert (counts(load().data) > 0).mean() < 0.03


def test_number_is_bounded():
    X = np.random.default_rng(0).standard_normal((500, 30))
    X[:100] = X[0]
    found = counts(X)
    assert (found[:100] == 32).all()
    assert (found[100:] == 0).all()


def test_chain_of_similar_samples_does_not_add_up():
    """Each frame of a slow pan resembles its neighbors in time, not all frames."""
    angles = np.linspace(0, np.pi, 200)[:, None]
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 1, 40))
    pan = np.cos(angles) * a + np.sin(angles) * b
    X = np.vstack([pan, rng.standard_normal((1000, 40))])
    found = counts(X)[:200]
    assert found.max() < 40
    assert found.min() > 0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_samples(n):
    found = counts(np.random.default_rng(0).standard_normal((n, 3)))
    assert found.tolist() == [0] * n


def test_all_samples_alike():
    assert counts(np.ones((50, 3))).tolist() == [32] * 50


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("n_originals", [30, 200])
def test_copies_are_counted_if_they_are_the_majority(share, n_originals):
    digits = load_digits().data
    n_copies = round(1500 * share)
    rng = np.random.default_rng(0)
    copies = np.resize(digits[:n_originals], (n_copies, 64)) * rng.uniform(
        0.98, 1.02, (n_copies, 1)
    )
    X = np.vstack([digits[n_originals : n_originals + 1500 - n_copies], copies])
    found = counts(X)
    expected = min(n_copies // n_originals - 1, 32)
    assert (found[-n_copies:] >= expected).mean() > 0.9
    assert (found[:-n_copies] > 0).mean() < 0.05
