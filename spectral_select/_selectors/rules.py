"""Rules that turn Fiedler vectors into a choice of rows.

A rule takes the vectors (b, n) of b batches, the number k of rows to keep of each, and
an offset in [0, 1) per batch; it returns the rows kept (b, k), in the rule's order, and
how far the choice is from another one, in units of the vectors' entries (b,). To add a
rule, write its function, name it in `RULES`, and test it.
"""

from collections.abc import Callable

import numpy as np

from spectral_select._utils.array_namespace import Array, arange, argsort, is_torch, namespace

__all__ = ["RULES", "Rule"]

Rule = Callable[[Array, int, "np.ndarray[tuple[int], np.dtype[np.float64]]"], tuple[Array, Array]]


def extreme(vectors: Array, k: int, offsets: Array) -> tuple[Array, Array]:
    """Keep the k rows of largest magnitude, the lower index first among equals.

    The rule of SALN (arXiv:2412.17069, Algorithm 1).
    """
    xp = namespace(vectors)
    magnitude = xp.abs(vectors)
    order = argsort(-magnitude)
    rows = arange(len(vectors), vectors)[:, None]
    if k == vectors.shape[-1]:
        return order, xp.full_like(vectors[:, 0], float("inf"))
    around = magnitude[rows, order[:, k - 1 : k + 1]]
    return order[:, :k], around[:, 0] - around[:, 1]


def stratified(vectors: Array, k: int, offsets: Array) -> tuple[Array, Array]:
    """Keep a systematic sample along the Fiedler order: one row of each of k equal stretches.

    Every row is as likely as any other when the offset is uniform in [0, 1). The
    offset 0.5 takes the middle of each stretch. Systematic sampling: W. G. Cochran,
    "Sampling Techniques" (1977), chapter 8.
    """
    xp = namespace(vectors)
    n = vectors.shape[-1]
    places = np.floor((np.arange(k) + offsets[:, None]) * (n / k)).astype(np.int64)
    places = np.minimum(places, n - 1)
    if is_torch(vectors):
        places = xp.asarray(places, device=vectors.device)
    rows = arange(len(vectors), vectors)[:, None]
    # Rows that trade places within a stretch are as good as each other.
    return argsort(vectors)[rows, places], xp.full_like(vectors[:, 0], float("inf"))


RULES: dict[str, Rule] = {"extreme": extreme, "stratified": stratified}
