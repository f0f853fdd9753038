"""The selector that uses saved scores."""

import numpy as np
import pytest

from spectral_select._selectors.score_selector import ScoreSelector


def test_draws_in_proportion_to_weights():
    weights = np.array([1.0, 2.0, 4.0, 1.0])[:, None]
    counts = np.zeros(4)
    for seed in range(4000):
        counts[ScoreSelector(0.75, random_state=seed).fit(weights).get_support(True)] += 1
    np.testing.assert_allclose(counts / 4000, weights[:, 0] / 8, atol=0.04)


@pytest.mark.parametrize("candidate_size", [None, 10])
def test_keeps_the_same_number_of_each_candidate_batch(candidate_size):
    weights = np.random.default_rng(0).random((40, 1))
    weights[:10] = 0
    selector = ScoreSelector(0.5, candidate_size).fit(weights)
    kept = selector.get_support(True)
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(np.flatnonzero(selector.get_support()), kept)
    if candidate_size:
        assert (np.bincount(kept // 10) == 5).all()  # also where all weights are 0
    else:
        assert len(kept) == 20
