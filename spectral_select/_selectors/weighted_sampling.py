"""Choosing k of n: by the largest scores, or at random in proportion to weights."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["gumbel_top_k", "top_k"]

Indices = NDArray[np.int64]


def gumbel_top_k(log_weights: ArrayLike, k: int, rng: np.random.Generator) -> Indices:
    """Draw `k` places without replacement, each in proportion to its weight.

    The law is that of drawing one after the other, each time in proportion to the weights
    of those left: the `k` largest of log weight plus Gumbel noise (Yellott 1977; Kool, van
    Hoof and Welling, ICML 2019). No weight is exponentiated, so none over- or underflows.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights, up to a constant. -inf or NaN excludes a place unless
        fewer than `k` others are there; then the rest is drawn uniformly from the
        excluded ones. Places of weight inf come before all others, at random.
    k : int
        Number of places to draw, in [0, n].
    rng : Generator
        Source of the noise.

    Returns
    -------
    ndarray of shape (k,), int64
        Different places, in the order in which they were drawn.

    Raises
    ------
    ValueError
        If `log_weights` has not shape (n,) or `k` is not in [0, n].

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select._selectors.weighted_sampling import gumbel_top_k
    >>> rng = np.random.default_rng(0)
    >>> sorted(gumbel_top_k([0.0, -np.inf, 1e6, 0.0], 3, rng).tolist())
    [0, 2, 3]
    """
    keys = _check(log_weights, "log_weights", k)
    noise = rng.gumbel(size=len(keys))
    excluded = np.isnan(keys) | (keys == -np.inf)
    tier = np.where(excluded, 0, np.where(keys == np.inf, 2, 1))
    # Within an outer tier all weights are alike; so are huge ones that swallow the noise.
    keys = np.where(tier == 1, keys, 0.0) + noise
    return _first(np.lexsort((noise, keys, tier))[::-1], k)


def top_k(scores: ArrayLike, k: int) -> Indices:
    """Return the places of the `k` largest scores, the largest first.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Of equal ones, the first come first. Those that are NaN or infinite come after all
        others: they are what a network that has diverged returns, no great value.
    k : int
        Number of places, in [0, n].

    Returns
    -------
    ndarray of shape (k,), int64
        Different places.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select._selectors.weighted_sampling import top_k
    >>> top_k([1.0, np.nan, 3.0, np.inf, 3.0], 4)
    array([2, 4, 0, 1])
    """
    values = _check(scores, "scores", k)
    values = np.where(np.isfinite(values), values, -np.inf)
    return _first(np.argsort(-values, kind="stable"), k)


def _check(values: ArrayLike, name: str, k: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,); got shape {array.shape}")
    if not 0 <= k <= len(array):
        raise ValueError(f"k must be in [0, {len(array)}], the number of {name}; got {k!r}")
    return array


def _first(order: NDArray[Any], k: int) -> Indices:
    return order[:k].astype(np.int64)
