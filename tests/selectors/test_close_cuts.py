"""Cuts within float32 rounding are decided in the same way as in float64."""

import numpy as np
import pytest
from oracle import algorithm_1

from spectral_select import FiedlerBatchSelector, n_kept
from spectral_select._selectors import candidate_batches


def clusters(n, d, seed):
    rng = np.random.default_rng(seed)
    centers = np.abs(rng.standard_normal((10, d)))
    X = centers[rng.integers(10, size=n)] + 0.5 * rng.standard_normal((n, d))
    return np.abs(X).astype(np.float32)


@pytest.fixture
def refinements(monkeypatch):
    """Record the refined batches, and fail if a batch is solved again in float64."""
    seen = []
    refine = candidate_batches.refine

    def recorded(*arguments):
        seen.append(arguments)
        return refine(*arguments)

    def refused(X, **options):
        raise AssertionError("solved again in float64")

    monkeypatch.setattr(candidate_batches, "refine", recorded)
    monkeypatch.setattr(candidate_batches, "solve", refused)
    return seen


@pytest.mark.parametrize("shape", [(600, 400), (1000, 60)])
def test_close_cuts_are_decided_without_a_float64_solve(shape, refinements):
    for seed in range(6):
        X = clusters(*shape, seed)
        selector = FiedlerBatchSelector().fit(X)
        kept, _ = algorithm_1(X, n_kept(len(X), 0.8))
        assert set(selector.sample_indices_.tolist()) == kept
    assert refinements


def test_close_cuts_of_stacked_batches_are_decided_without_a_float64_solve(refinements):
    X = np.concatenate([clusters(320, 200, seed) for seed in range(12)])
    selector = FiedlerBatchSelector(candidate_size=320).fit(X)
    for batch, support in zip(
        X.reshape(12, 320, 200), selector.support_.reshape(12, 320), strict=True
    ):
        assert set(np.flatnonzero(support).tolist()) == algorithm_1(batch, 64)[0]
    assert refinements


def test_ties_at_the_cut_are_solved_again_in_float64():
    X = clusters(300, 100, 0)
    order = np.argsort(-FiedlerBatchSelector().fit(X).scores_)
    X[order[60]] = X[order[59]]  # twins
    n_solved = []
    solve = candidate_batches.solve

    def recorded(X, **options):
        n_solved.append(len(X))
        return solve(X, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate_batches, "solve", recorded)
        for ratio in np.linspace(0.75, 0.85, 31):
            chosen = FiedlerBatchSelector(ratio).fit(X).get_support()
            wide = FiedlerBatchSelector(ratio).fit(X.astype(np.float64)).get_support()
            assert chosen.tolist() == wide.tolist()
    assert n_solved
