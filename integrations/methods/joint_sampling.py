"""JEST's sampler: draw a batch in chunks, each conditional on the previous ones."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._selectors.weighted_sampling import gumbel_top_k
from spectral_select._utils.validation import check_int

__all__ = ["chunk_sizes", "sample_jointly"]

Indices = NDArray[np.int64]


def chunk_sizes(n_keep: int, n_chunks: int) -> list[int]:
    """Return the sizes of the chunks in which `n_keep` samples are drawn.

    Parameters
    ----------
    n_keep : int
        Total number of samples, at least 0.
    n_chunks : int
        Requested number of chunks, at least 1.

    Returns
    -------
    list of int
        The sizes sum to `n_keep`, differ by at most one, and are in descending order. Empty
        chunks are omitted.

    Examples
    --------
    >>> from spectral_select.integrations.methods.joint_sampling import chunk_sizes
    >>> chunk_sizes(11, 4), chunk_sizes(2, 16)
    ([3, 3, 3, 2], [1, 1])
    """
    n_keep, n_chunks = check_int(n_keep, "n_keep", 0), check_int(n_chunks, "n_chunks", 1)
    size, larger = divmod(n_keep, n_chunks)
    return [size + 1] * larger + [size] * (n_chunks - larger if size else 0)


def sample_jointly(
    scores: ArrayLike,
    n_keep: int,
    n_chunks: int,
    rng: np.random.Generator,
    *,
    gain: float = 1.0,
) -> Indices:
    """Draw samples without replacement by their joint learnability, chunk by chunk.

    The chunks are as equal in size as possible, and exactly `n_keep` samples are drawn. The
    first chunk is drawn from the softmax of the diagonal of S. Each later chunk is drawn from
    the softmax of Sᵢᵢ + Σₖ (Sₖᵢ + Sᵢₖ) over the remaining samples i, where k runs over the
    samples taken. Within a chunk, samples are drawn without replacement. The sums are updated
    from chunk to chunk, so that no row or column of S is added twice.

    Parameters
    ----------
    scores : array-like of shape (n, n)
        S: the learnability of each pair of samples i and j, that is, the learner's loss minus
        the reference's. Values below 1e30 in absolute value are summed without overflow.
        Positive infinity is replaced by the largest finite entry, and negative infinity and NaN
        by the smallest. If no entry is finite, all samples are equally likely.
    n_keep : int
        Number of samples to draw, in [0, n].
    n_chunks : int
        Number of chunks, at least 1.
    rng : Generator
        Random generator.
    gain : float, default=1
        Factor for the logits: the inverse temperature of the softmax.

    Returns
    -------
    ndarray of shape (n_keep,), int64
        Distinct positions, in the order of the chunks.

    Raises
    ------
    ValueError
        If `scores` is not square, or `n_keep` exceeds its side length.

    Notes
    -----
    Source: Evans et al., Data curation via joint example selection further accelerates
    multimodal learning (NeurIPS 2024), Algorithm 1. Differences: the remainder of n_keep
    divided by n_chunks is distributed over the chunks instead of dropped. Samples taken are
    masked with −∞ instead of a large negative constant. Samples are drawn with Gumbel
    noise; this has the same distribution as drawing one by one, and works even if the softmax
    underflows.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods.joint_sampling import sample_jointly
    >>> scores = np.zeros((4, 4))
    >>> scores[0, 0] = 1e4  # sample 0 is learnable by itself
    >>> scores[0, 2] = 2e4  # sample 2 is learnable once sample 0 is taken
    >>> sample_jointly(scores, 2, 2, np.random.default_rng(0))
    array([0, 2])
    """
    S = _finite(np.asarray(scores))
    if S.ndim != 2 or S.shape[0] != S.shape[1]:
        raise ValueError(f"scores must have shape (n, n); got {S.shape}")
    sizes = chunk_sizes(n_keep, n_chunks)
    if n_keep > len(S):
        raise ValueError(f"n_keep must be at most {len(S)}, the size of scores; got {n_keep}")
    logits = S.diagonal().astype(np.float64)
    taken: list[Indices] = []
    for size in sizes:
        # Shift the largest logit to 0, so that noise of order 1 is not rounded away.
        chunk = gumbel_top_k(gain * (logits - logits.max()), size, rng)
        taken.append(chunk)
        logits += S[chunk].sum(axis=0, dtype=np.float64)
        logits += S[:, chunk].sum(axis=1, dtype=np.float64)
        logits[chunk] = -np.inf
    return np.concatenate([np.empty(0, np.int64), *taken])


def _finite(scores: NDArray[Any]) -> NDArray[Any]:
    """Replace non-finite scores; return the array itself if all scores are finite."""
    finite = np.isfinite(scores)
    if finite.all():
        return scores
    known = scores[finite]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    replaced: NDArray[Any] = np.nan_to_num(scores, nan=low, posinf=high, neginf=low)
    return replaced
