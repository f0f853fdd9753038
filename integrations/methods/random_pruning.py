"""Drop some of the samples in a batch at random, but never all of them."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["prune"]


def prune(
    learnt: NDArray[np.bool_], r: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Drop each sample marked in `learnt` with probability `r`, but never all samples.

    Parameters
    ----------
    learnt : ndarray of shape (n,), bool
        The samples that may be dropped.
    r : float
        Probability of dropping each of these samples, in [0, 1).
    rng : Generator
        Random generator.

    Returns
    -------
    kept : ndarray of shape (n,), bool
        The samples that are kept, at least one.
    probability : ndarray of shape (n,)
        Probability of keeping each sample.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods.random_pruning import prune
    >>> kept, probability = prune(np.array([True, False]), 0.5, np.random.default_rng(0))
    >>> bool(kept[1]), probability
    (True, array([0.5, 1. ]))
    """
    n = len(learnt)
    kept = ~learnt | (rng.random(n) >= r)
    if not learnt.all():
        return kept, np.where(learnt, 1 - r, 1.0)
    # All samples may be dropped, but a batch must not be empty. So condition the draw on keeping
    # at least one sample. Then the first kept sample is at position j with probability ∝ rʲ, and
    # the draws for later positions remain valid.
    some = -np.expm1(n * np.log(r)) if r else 1.0  # 1 − rⁿ
    law = r ** np.arange(n)
    first = rng.choice(n, p=law / law.sum())
    kept[:first], kept[first] = False, True
    return kept, np.full(n, (1 - r) / some)
