"""The noise matrix: its sparse form, its inversion, and its estimate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from spectral_select._labels.noise_matrix import NoiseMatrix, estimate_noise_matrix


@st.composite
def matrices(draw):
    n_classes = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    floor = rng.random(n_classes) * 0.1 / n_classes
    extra = rng.random((n_classes, n_classes)) * (rng.random((n_classes, n_classes)) < 0.2) * 0.2
    np.fill_diagonal(extra, 0)
    diagonal = 1 - floor * (n_classes - 1) - extra.sum(1)
    return NoiseMatrix(diagonal, floor, sparse.csr_array(extra)), rng


@given(matrices())
def test_products_are_those_of_the_dense_matrix(case):
    noise, rng = case
    q = rng.dirichlet(np.ones(len(noise.floor)), 5)
    T = noise.dense()
    np.testing.assert_allclose(T.sum(1), 1)
    np.testing.assert_allclose(noise.times(q), q @ T)
    np.testing.assert_allclose(noise.transposed(q), q @ T.T)


@given(matrices())
def test_true_classes_explain_the_probabilities_of_labels_better(case):
    noise, rng = case
    q = rng.dirichlet(np.full(len(noise.floor), 0.3), 20)
    P = noise.times(q)
    found = noise.true_classes(P)
    np.testing.assert_allclose(found.sum(1), 1)
    assert found.min() >= 0
    assert np.abs(noise.times(found) - P).sum() <= np.abs(noise.times(P) - P).sum() + 1e-9


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_confusable_classes_are_not_taken_for_mistakes(share):
    rng = np.random.default_rng(0)
    n = 6000
    position = rng.random(n)  # classes 0 and 1 meet at 1/2, class 2 is far away
    far = rng.random(n) < 1 / 3
    P = np.stack([1 - position, position, np.zeros(n)], 1) ** 3
    P[far] = [0, 0, 1]
    P /= P.sum(1, keepdims=True)
    truth = (P.cumsum(1) < rng.random(n)[:, None]).sum(1)
    clean = estimate_noise_matrix(P, truth).dense()
    assert clean[0, 1] < 0.03
    wrong = (truth == 2) & (rng.random(n) < share)
    labels = np.where(wrong, 0, truth)
    T = np.eye(3)
    T[2] = [share, 0, 1 - share]
    found = estimate_noise_matrix(P @ T, labels).dense()
    assert found[2, 0] == pytest.approx(share, abs=0.05)
    assert max(found[0, 1], found[1, 0], found[2, 1]) < 0.03


def test_classes_that_are_never_predicted():
    P = np.tile([0.9, 0.05, 0.05], (30, 1))
    T = estimate_noise_matrix(P, np.array([0, 1, 2] * 10)).dense()
    assert np.isfinite(T).all()
    np.testing.assert_allclose(T.sum(1), 1)
