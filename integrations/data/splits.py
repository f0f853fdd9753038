"""Seeded, stratified splits of labeled data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_fraction", "stratified_split"]


def stratified_split(
    labels: NDArray[Any], n_held: int, seed: int | list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out `n_held` rows, with the same class proportions as all rows.

    The numbers of rows held out per class are rounded by the largest-remainder method, so they
    add up to `n_held`. At least one row of each class is not held out, unless `n_held` is too
    large for that.

    Parameters
    ----------
    labels : array of int, shape (n,)
        Class of each row.
    n_held : int
        Number of rows to hold out, from 0 to n.
    seed : int or list of int
        Seed for the draw; the global random state is not touched.

    Returns
    -------
    rest : ndarray of shape (n - n_held,), int64
        Indices of the remaining rows, ascending.
    held : ndarray of shape (n_held,), int64
        Indices of the rows held out, ascending.

    Raises
    ------
    ValueError
        If `n_held` is outside [0, n].

    Examples
    --------
    >>> import numpy as np
    >>> rest, held = stratified_split(np.repeat([0, 1], [8, 4]), 3, seed=0)
    >>> len(rest), (held < 8).sum(), (held >= 8).sum()
    (9, np.int64(2), np.int64(1))
    """
    labels = np.asarray(labels)
    n = len(labels)
    if not 0 <= n_held <= n:
        raise ValueError(f"n_held must be from 0 to {n}, the number of rows; got {n_held!r}")
    rng = np.random.default_rng(seed)
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    quota = sizes * (n_held / max(n, 1))
    counts = np.minimum(np.floor(quota).astype(np.int64), sizes)
    while (missing := n_held - int(counts.sum())) > 0:
        # Prefer classes that would still keep a row; sort by remainder, then by class.
        spare = sizes - 1 - counts if (counts < sizes - 1).any() else sizes - counts
        order = np.argsort(counts - quota, kind="stable")
        counts[order[spare[order] > 0][:missing]] += 1
    shuffled = rng.permutation(n)
    shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]
    rank = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = np.zeros(n, dtype=bool)
    chosen[shuffled] = rank < counts[classes[shuffled]]
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def check_fraction(fraction: float, name: str) -> float:
    """Check that `fraction` is in [0, 1) and return it as a float.

    Parameters
    ----------
    fraction : float
        Value of the argument.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If `fraction` is not a number, or is outside [0, 1).

    Examples
    --------
    >>> check_fraction(1, "val_fraction")
    Traceback (most recent call last):
        ...
    ValueError: val_fraction must be in [0, 1); got 1
    """
    if isinstance(fraction, bool) or not isinstance(fraction, int | float | np.number):
        raise TypeError(
            f"{name} must be a number in [0, 1); got {fraction!r} of type {type(fraction).__name__}"
        )
    if not 0.0 <= float(fraction) < 1.0:
        raise ValueError(f"{name} must be in [0, 1); got {fraction!r}")
    return float(fraction)
