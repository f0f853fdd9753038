"""A cheap selector and its record, for tests of the samplers."""

import threading
from unittest import mock

import numpy as np
from sklearn.base import BaseEstimator

from spectral_select import SpectralBatchSampler, n_kept
from spectral_select._samplers import selection_pass


def blocks_of(n):
    """Return a context in which a new pass selects at most `n` batches at a time."""
    return mock.patch.object(selection_pass, "MAX_BLOCK", n)


class Calls(list):
    """A list whose `repr` is constant, so that it does not change a selector's description."""

    def __repr__(self):
        return "None"


class TopSum(BaseEstimator):
    """Keeps the rows with the largest sums in each candidate batch.

    Each call of `fit` appends the thread and the features to `calls`.
    """

    def __init__(self, filter_ratio=0.8, *, candidate_size=None, random_state=None, calls=None):
        self.filter_ratio = filter_ratio
        self.candidate_size = candidate_size
        self.random_state = random_state
        self.calls = calls

    def __sklearn_clone__(self):  # clones share the record
        return TopSum(
            self.filter_ratio,
            candidate_size=self.candidate_size,
            random_state=self.random_state,
            calls=self.calls,
        )

    def fit(self, X, y=None):
        X = np.asarray(X)
        if self.calls is not None:
            self.calls.append((threading.current_thread().name, X))
        scores = X.sum(axis=1)
        if self.random_state is not None:
            scores = np.random.default_rng(self.random_state).random(len(X))
        size = self.candidate_size or len(X)
        kept = []
        for start in range(0, len(X), size):
            part = scores[start : start + size]
            order = np.argsort(-part, kind="stable")
            kept += (start + order[: n_kept(len(part), self.filter_ratio)]).tolist()
        self.support_ = np.zeros(len(X), bool)
        self.support_[kept] = True
        return self

    def get_support(self, indices=False):
        return np.flatnonzero(self.support_) if indices else self.support_


def table(n, d=3, seed=0):
    """Return random features of shape (n, d)."""
    return np.random.default_rng(seed).random((n, d), dtype=np.float32)


def build(n=200, batch_size=8, *, ratio=0.5, seed=3, selector=None, sampler=None, **options):
    """Return a `SpectralBatchSampler` of `n` samples, with a cheap selector by default."""
    selector = TopSum(ratio) if selector is None else selector
    options.setdefault("features", table(n))
    return SpectralBatchSampler(sampler, batch_size, selector=selector, seed=seed, **options)


def batches_by_rank(n_ranks, **options):
    """Return one list of batches for each rank."""
    return [list(build(num_replicas=n_ranks, rank=r, **options)) for r in range(n_ranks)]
