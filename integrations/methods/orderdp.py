"""OrderDP: keep the samples with the largest last losses in a random pool."""

from dataclasses import dataclass

import numpy as np

from spectral_select._selectors.weighted_sampling import top_k
from spectral_select._utils.validation import check_number
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import LAST_LOSS, Candidates, Choice, Method
from spectral_select.integrations.methods.registry import register

__all__ = ["OrderDP"]


@register
@dataclass(frozen=True)
class OrderDP(Method):
    """Draw a pool of candidates uniformly, and keep its members with the largest last losses.

    OrderDP (Jin et al., ICLR 2026). A pool of s of the n candidates is drawn uniformly without
    replacement, and the q members of the pool with the largest losses are kept. The loss is
    each sample's most recent training loss, so no extra forward pass is needed. Losses are not
    weighted: the mean over the kept samples is an unbiased estimate of a surrogate loss that
    weights each sample by the probability that its loss is among the q largest in a pool.

    Differences from the paper: a pool is drawn from each candidate batch instead of once per
    epoch from all the data. Samples without a finite loss are kept before all others, in random
    order, because nothing is known about them.

    Parameters
    ----------
    pool : float, default=0.5
        Determines the pool size s = q + pool·(n − q), rounded. With pool = 0, s is q (a uniform
        draw); with pool = 1, s is n (the largest losses of all candidates).
    """

    pool: float = 0.5

    name = "orderdp"
    summary = "the largest last losses of a random pool of candidates (OrderDP)"
    needs = frozenset({LAST_LOSS})

    def __post_init__(self) -> None:
        check_number(self.pool, "pool", 0, 1)

    def choose(self, candidates: Candidates) -> Choice:
        """Keep the largest losses of a random pool."""
        n, q = len(candidates), candidates.n_keep
        loss = np.asarray(given(candidates, "last_loss"), np.float64)
        pool = candidates.rng.permutation(n)[: q + round(self.pool * (n - q))]
        unknown = pool[~np.isfinite(loss[pool])]
        # The pool is in random order, so ties between losses are broken at random.
        ranked = pool[top_k(loss[pool], len(pool) - len(unknown))]
        return Choice(np.concatenate([unknown, ranked])[:q])
