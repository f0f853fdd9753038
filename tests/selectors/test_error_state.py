"""Results do not depend on how NumPy is set to treat floating-point errors."""

import numpy as np
import pytest

from spectral_select import (
    FiedlerBatchSelector,
    GuidedBatchSelector,
    GuidedSampler,
    SpectralBatchSampler,
    fiedler_vector,
    find_wrong_labels,
)

N = 240
Y = np.arange(N) % 7


def features(kind):
    X = np.abs(np.random.default_rng(0).standard_normal((N, 12))) + np.eye(12)[Y] * 2
    if kind == "one-hot":  # most entries of the Gram matrix underflow or vanish
        return np.eye(12)[Y] + 1e-200 * X
    return X * {"ordinary": 1, "tiny": 1e-300, "huge": 1e300}[kind]


def select(X):
    return FiedlerBatchSelector(candidate_size=60).fit(X).get_support()


CALLS = {
    "fiedler_vector": lambda X: fiedler_vector(X).vector,
    "fiedler": select,
    "symmetric": lambda X: fiedler_vector(X, laplacian="symmetric").vector,
    "guided": lambda X: GuidedBatchSelector().fit(X, Y).get_support(),
    "trust": lambda X: find_wrong_labels(X, Y).trust,
    "sampler": lambda X: list(SpectralBatchSampler(None, 12, features=X, seed=0, prefetch=2)),
    "guided sampler": lambda X: list(GuidedSampler(Y, features=X)),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["ordinary", "one-hot", "tiny", "huge"])
@pytest.mark.parametrize("name", CALLS)
def test_same_result_if_numpy_raises(name, kind):
    X = features(kind)
    expected = CALLS[name](X)
    with np.errstate(all="raise"):
        assert np.array_equal(CALLS[name](X), expected)
