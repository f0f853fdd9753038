"""Shared helpers for the figures: a batch of digits, and images side by side."""

import numpy as np
from sklearn.datasets import load_digits


def digits_batch(n, classes=None, seed=0):
    """Return n random digits, shape (n, 64), and their labels, optionally from given classes."""
    X, y = load_digits(return_X_y=True)
    pool = np.arange(len(X)) if classes is None else np.flatnonzero(np.isin(y, classes))
    rows = np.random.default_rng(seed).choice(pool, n, replace=False)
    return X[rows], y[rows]


def mosaic(X, n_columns):
    """Return the images of the rows of X side by side, in one array."""
    n_rows = len(X) // n_columns
    tiles = X[: n_rows * n_columns].reshape(n_rows, n_columns, 8, 8)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return tiles.swapaxes(1, 2).reshape(n_rows * 10, n_columns * 10)
