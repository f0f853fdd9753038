"""Feature arrays for property tests: shapes, signs, scales, duplicates and zero rows."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def features(draw, *, min_rows=3, max_rows=48, nonnegative=None, batch=False, plain=False):
    """Features of shape (n, d) or (b, n, d), in float32 or float64."""
    n = draw(st.integers(min_rows, max_rows))
    d = draw(st.integers(1, 24))
    seed = draw(st.integers(0, 2**32 - 1))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shape = (draw(st.integers(1, 4)), n, d) if batch else (n, d)
    rng = np.random.default_rng(seed)
    X = rng.standard_normal(shape)
    if nonnegative if nonnegative is not None else draw(st.booleans()):
        X = np.abs(X) + 1e-3
    if not plain:
        X = X * 10.0 ** rng.uniform(-3, 3, (*shape[:-1], 1))
        if draw(st.booleans()):
            X[..., rng.integers(n, size=2), :] = X[..., :1, :]
        if draw(st.booleans()):
            X[..., rng.integers(n), :] = 0
    return np.ascontiguousarray(X, dtype=dtype)
