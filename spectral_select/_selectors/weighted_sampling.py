"""Select k of n indices, by the largest scores or at random in proportion to weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._selectors.ratio import batch_counts

__all__ = ["draw_from_batches", "gumbel_top_k", "top_k"]

Indices = NDArray[np.int64]


def gumbel_top_k(log_weights: ArrayLike, k: int, rng: np.random.Generator) -> Indices:
    """Draw `k` indices without replacement, each in proportion to its weight.

    The `k` largest sums of log weight and Gumbel noise have the same distribution as successive
    draws, each in proportion to the remaining weights (Yellott 1977; Kool, van Hoof and Welling,
    ICML 2019). The logarithms are never exponentiated, so weights cannot overflow or underflow.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights, up to a constant. -inf or NaN excludes an index unless fewer
        than `k` others exist; then the rest is drawn uniformly from the excluded ones. Indices
        whose log weight is inf come before all others, in random order.
    k : int
        Number of indices to draw, in [0, n].
    rng : Generator
        Random generator for the noise.

    Returns
    -------
    ndarray of shape (k,), int64
        Distinct indices, in the order in which they were drawn.

    Raises
    ------
    ValueError
        If `log_weights` does not have shape (n,) or `k` is not in [0, n].

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
    # All weights in tier 0 are treated as equal, and so are those in tier 2. Where huge weights
    # absorb the noise, sorting by the noise itself still breaks ties.
    keys = np.where(tier == 1, keys, 0.0) + noise
    return _first(np.lexsort((noise, keys, tier))[::-1], k)


def draw_from_batches(
    log_weights: ArrayLike,
    candidate_size: int | None,
    filter_ratio: float,
    generator: Callable[[int], np.random.Generator],
) -> Indices:
    """Draw from each of the consecutive candidate batches with `gumbel_top_k`.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights.
    candidate_size : int or None
        Size of a candidate batch; None means n.
    filter_ratio : float
        Share of rows to discard from each candidate batch.
    generator : callable
        ``generator(number)`` returns the random generator for the candidate batch `number`.

    Returns
    -------
    ndarray of shape (n_kept,)
        Distinct indices, ascending.
    """
    logs = np.asarray(log_weights)
    size, k, last_k = batch_counts(len(logs), candidate_size, filter_ratio)
    kept = []
    for number, start in enumerate(range(0, len(logs), size)):
        batch = logs[start : start + size]
        count = k if len(batch) == size else last_k
        kept.append(start + np.sort(gumbel_top_k(batch, count, generator(number))))
    return np.concatenate(kept)


def top_k(scores: ArrayLike, k: int) -> Indices:
    """Return the indices of the `k` largest scores, the largest first.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Equal scores keep their order. NaN and infinite scores are ranked last, because they come
        from a diverged network and do not mean a high score.
    k : int
        Number of indices, in [0, n].

    Returns
    -------
    ndarray of shape (k,), int64
        Distinct indices.

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
