from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_select import n_candidates, n_kept

decimals = st.integers(0, 9999).map(lambda i: Fraction(i, 10000))


@given(st.integers(1, 10**7), decimals)
def test_kept_is_the_exact_floor_and_at_least_one(n, ratio):
    assert n_kept(n, float(ratio)) == max(1, floor(n * (1 - ratio)))


@given(st.integers(1, 10**6), st.floats(0, 0.99999))
def test_kept_is_between_one_and_n_and_falls_with_the_ratio(n, ratio):
    assert 1 <= n_kept(n, ratio) <= n_kept(n, ratio / 2) <= n


@given(st.integers(1, 10**5), st.floats(0, 0.999))
def test_candidates_are_the_fewest_that_fill_the_batch(batch_size, ratio):
    count = n_candidates(batch_size, ratio)
    assert n_kept(count, ratio) == batch_size
    if batch_size > 1:
        assert n_kept(count - 1, ratio) < batch_size
    else:
        assert count == pytest.approx(1 / (1 - ratio), abs=1)


@pytest.mark.parametrize(("n", "ratio", "kept"), [(100, 0.8, 20), (10, 0.9, 1), (320, 0.8, 64)])
def test_corrects_rounding_errors_of_the_paper(n, ratio, kept):
    assert n_kept(n, ratio) == kept != int(n * (1 - ratio))


@pytest.mark.parametrize("ratio", [1.0, -0.1, 1.5, float("nan")])
def test_rejects_ratio_out_of_range(ratio):
    with pytest.raises(ValueError, match=r"filter_ratio must be in \[0, 1\).*got"):
        n_kept(10, ratio)


@pytest.mark.parametrize("ratio", ["0.8", None, True])
def test_rejects_ratio_of_another_type(ratio):
    with pytest.raises(TypeError, match="filter_ratio must be a real number"):
        n_kept(10, ratio)


@pytest.mark.parametrize("n", [0, -3])
def test_counts_must_be_positive(n):
    with pytest.raises(ValueError, match=f"n must be an integer of at least 1; got {n}"):
        n_kept(n, 0.5)
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1"):
        n_candidates(n, 0.5)


@pytest.mark.parametrize("n", [2.0, True, "3"])
def test_counts_must_be_integers(n):
    with pytest.raises(TypeError, match="n must be an integer"):
        n_kept(n, 0.5)


def test_float32_ratio_means_its_decimal():
    assert n_kept(40, np.float32(0.8)) == n_kept(40, 0.8) == 8
