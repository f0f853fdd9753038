"""Taking turns: every sample as often as its weight says, and evenly over the passes.

Independent draws leave to chance how often a sample comes: of samples of equal weight, in
as many draws as there are samples, a third never come and a quarter come twice or more.
Here a sample of rate π starts at a place u of its own and moves on by π in every pass; it
is its turn whenever it passes a whole number. In any T consecutive passes it is its turn T·π
times, rounded down or up, and whose turn it is in a pass is a function of the pass alone:
nothing has to be counted or saved. In the first pass, and in all if weights are equal,
that is systematic sampling with unequal probabilities (Madow, Annals of Mathematical
Statistics 20, 1949).
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._draw import top_k

__all__ = ["Rates", "Turns"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# What differs between machines in the last bits should seldom lead to other turns.
_DECIMALS = 6


class Rates:
    """Rates in proportion to weights, at most 1, of a given mean.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights, up to a constant; finite.
    """

    def __init__(self, log_weights: ArrayLike) -> None:
        logs = np.asarray(log_weights, np.float64)
        with np.errstate(under="ignore"):
            self._weights: Floats = np.exp(np.round(logs - logs.max(), _DECIMALS))
        self._sorted = np.sort(self._weights)[::-1]
        self._tails = np.cumsum(self._sorted[::-1])[::-1]  # of what is not larger

    def __call__(self, share: float) -> Floats:
        """Return the rates of mean `share`.

        Parameters
        ----------
        share : float
            In [0, 1].

        Returns
        -------
        ndarray of shape (n,)
            In [0, 1]. Their mean is below `share` where weights of 0 leave no other choice.
        """
        n = len(self._weights)
        above = np.arange(n)  # of the j-th factor, the j largest have rate 1
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factors = np.maximum(share * n - above, 0) / self._tails
            fits = factors * self._sorted <= 1
        if not fits.any():  # a share of 1, or only weights of 0 remain
            return (self._weights > 0).astype(np.float64)
        rates: Floats = np.minimum(factors[np.argmax(fits)] * self._weights, 1.0)
        return rates


class Turns:
    """Whose turn it is in each pass.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights of all samples, up to a constant; finite.
    groups : ndarray of shape (n,), int
        Classes, say. Starts are laid out along them, so that in the first pass, and in all
        if weights are equal, each comes as often as its rates add up to, to within one.
    share : callable
        Takes a pass's number, from 0, and returns the share of the samples that it takes.
    seed : int
        Of the places where samples start.
    """

    def __init__(
        self,
        log_weights: ArrayLike,
        groups: Indices,
        share: Callable[[int], float],
        seed: int,
    ) -> None:
        self._rates, self._share = Rates(log_weights), share
        rng = np.random.default_rng(seed)
        order = np.lexsort((rng.random(len(groups)), groups))
        # One sample after the other, group by group: where one ends the next one starts.
        ends = np.cumsum(self._rates(share(0))[order])
        self._starts = np.empty(len(groups))
        self._starts[order] = rng.random() + np.append(0.0, ends[:-1])

    def progress(self, number: int) -> Floats:
        """Return how far each sample gets in a pass, from the whole number before it.

        Parameters
        ----------
        number : int
            Of the pass, from 0.

        Returns
        -------
        ndarray of shape (n,)
            In [0, 2). From 1 on it is its turn in this pass.
        """
        # By share, not by pass: the same sum whatever was asked for before.
        passes = Counter(map(self._share, range(number)))
        travelled = self._starts.copy()
        for share, count in sorted(passes.items()):
            travelled += count * self._rates(share)
        return np.asarray(travelled % 1 + self._rates(self._share(number)))

    def take(self, number: int, order: Indices, k: int, more: int = 0) -> Indices:
        """Return the `k` of a pass's samples whose turn it is, or nearly.

        Parameters
        ----------
        number : int
            Of the pass, from 0.
        order : ndarray of shape (m,), int64
            The samples of the pass.
        k : int
            How many to take, in [0, m].
        more : int, default=0
            How many others to take that come next; `k` + `more` is at most m.

        Returns
        -------
        ndarray of shape (k + more,), int64
            Places in `order`, ascending, and behind them those of the others. If it is the
            turn of more than k, those are left out that have just come to it; of fewer, those
            come too that are nearest to it.
        """
        best = top_k(self.progress(number)[order], k + more)
        return np.concatenate([np.sort(best[:k]), np.sort(best[k:])])
