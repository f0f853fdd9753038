"""Rules that turn Fiedler vectors into a choice of rows.

A rule accepts the vectors (b, n) of b batches, the number k of rows to keep in each, and an
offset in [0, 1) per batch. It returns the kept rows (b, k), in the rule's order, and the margins
(b,): the gap between the entries at the cut, or infinity if there is no cut. To add a rule,
write its function, add it to `RULES`, and test it.
"""

from collections.abc import Callable

import numpy as np

from spectral_select._utils.array_namespace import Array, arange, argsort, is_torch, namespace

__all__ = ["RULES", "Rule"]

Rule = Callable[[Array, int, "np.ndarray[tuple[int], np.dtype[np.float64]]"], tuple[Array, Array]]


def extreme(vectors: Array, k: int, offsets: Array) -> tuple[Array, Array]:
    """Keep the k rows of largest magnitude; of tied rows, the first ones are kept.

    This is the rule in SALN (arXiv:2412.17069, Algorithm 1).
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
    """Keep a systematic sample in Fiedler order: one row from each of k equal parts.

    If the offset is uniform in [0, 1), all rows are equally likely. The offset 0.5 selects the
    middle of each part. On systematic sampling, see W. G. Cochran, "Sampling Techniques"
    (1977), chapter 8.
    """
    xp = namespace(vectors)
    n = vectors.shape[-1]
    places = np.floor((np.arange(k) + offsets[:, None]) * (n / k)).astype(np.int64)
    places = np.minimum(places, n - 1)
    if is_torch(vectors):
        places = xp.asarray(places, device=vectors.device)
    rows = arange(len(vectors), vectors)[:, None]
    # Roundoff may swap rows within a part, but these rows are interchangeable, so there is no
    # cut.
    return argsort(vectors)[rows, places], xp.full_like(vectors[:, 0], float("inf"))


RULES: dict[str, Rule] = {"extreme": extreme, "stratified": stratified}
