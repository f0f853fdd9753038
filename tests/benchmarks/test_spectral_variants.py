import _spectral_variants
import numpy as np
import pytest
from oracle import spectrum

from spectral_select.integrations.methods import Candidates, get_method


def candidates(n_keep, n=30):
    rng = np.random.default_rng(0)
    X = rng.random((n, 8))
    return X, Candidates(np.arange(n), np.zeros(n, int), n_keep, rng, features=X)


@pytest.mark.parametrize("laplacian", ["unnormalized", "symmetric"])
@pytest.mark.parametrize("m", [1, 3])
def test_vectors_follow_the_trivial_one(laplacian, m):
    X, _ = candidates(5)
    _, expected = spectrum(X, laplacian)
    found = _spectral_variants.lowest_vectors(X, m, laplacian)
    np.testing.assert_allclose(np.abs(found), np.abs(expected[:, 1 : m + 1]), atol=1e-8)


def test_core_and_extremes_are_opposites():
    _, batch = candidates(6)
    least = set(get_method("core").choose(batch).positions)
    one = set(get_method("several:n_vectors=1").choose(batch).positions)
    assert one == set(get_method("fiedler").choose(batch).positions)
    assert not one & least
    _, batch = candidates(24)
    most = set(get_method("several:n_vectors=1").choose(batch).positions)
    assert most | least == set(range(30))


def test_too_many_vectors_mean_all():
    _, batch = candidates(6)
    chosen = get_method("several:n_vectors=99,laplacian=symmetric").choose(batch)
    assert len(set(chosen.positions)) == 6


@pytest.mark.parametrize("option", ["n_vectors=0", "laplacian=heat"])
def test_rejects_options_out_of_range(option):
    with pytest.raises(ValueError, match=r"n_vectors|laplacian"):
        get_method(f"core:{option}")
