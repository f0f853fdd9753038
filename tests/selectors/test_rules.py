import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectral_select._selectors.rules import RULES

vectors = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 30)),
    elements=st.floats(-1, 1, width=16),  # few distinct values lead to many ties
)


@pytest.mark.parametrize("rule", RULES.values())
@given(v=vectors, share=st.floats(0.01, 1), offset=st.floats(0, 0.999))
def test_numpy_and_torch_keep_the_same_k_rows(rule, v, share, offset):
    k = max(1, int(share * v.shape[1]))
    offsets = np.full(len(v), offset)
    rows, margin = rule(v, k, offsets)
    assert rows.shape == (len(v), k)
    assert all(len(set(r.tolist())) == k for r in rows)
    assert (margin >= 0).all()
    tensor_rows, tensor_margin = rule(torch.from_numpy(v), k, offsets)
    assert np.array_equal(tensor_rows.numpy(), rows)
    assert np.array_equal(tensor_margin.numpy(), margin)


@given(v=vectors, share=st.floats(0.01, 1))
def test_extreme_keeps_the_largest_magnitudes_ties_by_index(v, share):
    k = max(1, int(share * v.shape[1]))
    rows, margin = RULES["extreme"](v, k, np.zeros(len(v)))
    for vector, kept, cut in zip(v, rows, margin, strict=True):
        expected = sorted(range(len(vector)), key=lambda i: (-abs(vector[i]), i))
        assert kept.tolist() == expected[:k]
        if k < len(vector):
            assert cut == abs(vector[expected[k - 1]]) - abs(vector[expected[k]])


@given(v=vectors, share=st.floats(0.01, 1), offset=st.floats(0, 0.999))
def test_stratified_is_evenly_spaced_along_the_order(v, share, offset):
    n = v.shape[1]
    k = max(1, int(share * n))
    rows, _ = RULES["stratified"](v, k, np.full(len(v), offset))
    for vector, kept in zip(v, rows, strict=True):
        order = np.argsort(vector, kind="stable").tolist()
        places = np.array([order.index(i) for i in kept])
        steps = np.diff(places)
        assert ((steps == n // k) | (steps == -(-n // k))).all()
        assert places[0] < -(-n // k)
        assert places[-1] >= n - -(-n // k)
