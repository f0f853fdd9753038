"""Normalized Laplacians reject rows with negative degree, before training if possible."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse

from spectral_select import FiedlerBatchSelector, SpectralBatchSampler
from spectral_select._fiedler.graph import NegativeDegreeError

KINDS = ["symmetric", "random_walk"]


def opposite(row=137, n=300):
    X = np.abs(np.random.default_rng(0).standard_normal((n, 8))) + 1
    X[row] *= -1
    return X


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrap", [np.asarray, np.float32, torch.tensor, sparse.csr_array])
def test_sampler_names_the_row_at_construction(kind, wrap):
    selector = FiedlerBatchSelector(rule="stratified", laplacian=kind)
    with pytest.raises(ValueError, match="row 137 of features has degree -"):
        SpectralBatchSampler(None, 8, features=wrap(opposite()), selector=selector)
    SpectralBatchSampler(None, 8, features=wrap(np.abs(opposite())), selector=selector)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [None, 50])
def test_fit_names_the_row(kind, size):
    selector = FiedlerBatchSelector(laplacian=kind, candidate_size=size)
    with pytest.raises(ValueError, match="row 137 of X has degree -"):
        selector.fit(opposite())


def test_unnormalized_laplacian_takes_opposite_rows():
    assert len(list(SpectralBatchSampler(None, 8, features=opposite())))


def test_error_can_be_pickled():
    error = NegativeDegreeError("symmetric", -1.5, 3, "features")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
