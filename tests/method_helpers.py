"""Candidate batches for methods, created by hand."""

import numpy as np

from spectral_select.integrations.methods import Candidates, Outputs

#: Losses of networks that have diverged, partly or completely, or have learned everything.
ODD_LOSSES = [
    [np.nan] * 6,
    [np.inf] * 6,
    [0.0] * 6,
    [1e4] * 6,
    [np.nan, np.inf, 0.0, 1e4, 1e-30, 1.0],
    [-0.0, np.nan, 1e4, np.nan, 1e4, np.inf],
]


def outputs(loss):
    """Return outputs with the given losses; their other values are arbitrary."""
    loss = np.asarray(loss, np.float32)
    table = np.zeros((len(loss), 2), np.float32)
    return Outputs(loss, table, table, table)


def candidates(n, n_keep, *, seed=0, labels=None, loss=None, reference=None, **more):
    """Return a candidate batch; `loss` and `reference` are losses."""
    return Candidates(
        np.arange(n) + 100,
        np.zeros(n, np.int64) if labels is None else np.asarray(labels),
        n_keep,
        np.random.default_rng(seed),
        fresh=None if loss is None else lambda: outputs(loss),
        reference=None if reference is None else outputs(reference),
        **more,
    )
