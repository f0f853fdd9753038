"""LabelScorer: trust follows from what a sample looks like, and blocks are independent."""

import numpy as np
import pytest

from spectral_select._labels.label_scores import LabelScorer


def two_classes(share, ambiguous=0.1, n=4000):
    """Return probabilities and labels, the rows that look like either class, and the shares."""
    shares = np.array([1 - share, share])
    alike = np.arange(n) < ambiguous * n
    labels = np.empty(n, np.int64)
    for rows in np.flatnonzero(alike), np.flatnonzero(~alike):
        labels[rows] = np.arange(len(rows)) < share * len(rows)
    P = np.where(alike[:, None], shares, np.eye(2)[labels])
    return P.astype(np.float32), labels, alike, shares


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_trust_does_not_depend_on_the_size_of_the_class(share):
    P, labels, alike, shares = two_classes(share)
    scorer = LabelScorer(P, labels)
    np.testing.assert_allclose(scorer.shares, shares, rtol=1e-5)
    trust = scorer.score(P, labels).trust
    np.testing.assert_allclose(trust[~alike], 1, rtol=1e-6)
    # Both classes are equally plausible, so 1 − r = 1/2.
    np.testing.assert_allclose(trust[alike], 1 / (1 + 0.3 / 2), rtol=1e-5)


def test_estimated_shares_are_those_of_the_true_classes():
    rng = np.random.default_rng(0)
    true = rng.choice(3, 30_000, p=[0.7, 0.2, 0.1])
    labels = np.where(rng.random(len(true)) < 0.3, (true + 1) % 3, true)
    T = 0.7 * np.eye(3) + 0.3 * np.eye(3)[[1, 2, 0]]
    scorer = LabelScorer(T[true].astype(np.float32), labels)
    np.testing.assert_allclose(scorer.shares, [0.7, 0.2, 0.1], atol=0.02)


def test_rows_are_scored_independently():
    P, labels, _, _ = two_classes(0.1)
    labels[::7] = -1
    scorer = LabelScorer(P[labels >= 0], labels[labels >= 0])
    whole = scorer.score(P, labels)
    parts = [scorer.score(P[part], labels[part]) for part in (slice(0, 9), slice(9, None))]
    for name, values in vars(whole).items():
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(joined, values, rtol=1e-6, err_msg=name)
    assert np.isnan(whole.trust[::7]).all()
    assert not np.isnan(whole.trust[labels >= 0]).any()
