"""Taking turns: every sample as often as its weight says, and evenly over the passes.

Independent draws leave to chance how often a sample comes: of samples of equal weight, in
as many draws as there are samples, a third never come and a quarter come twice or more.
Here a sample of rate π starts at a place u of its own and moves on by π a pass; its j-th
turn is due when it reaches j. A pass takes those whose turns are due first, each once, and
what could not come in its time comes next: no turn is lost, as in scheduling by earliest
deadline. Those of equal weight all come before any comes again. A part of the weights may
grow from pass to pass, until as many came as there are samples. Whose turn it is in a pass
is a function of the weights, the seed and how many came in each pass before: nothing has
to be counted or saved.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._selectors.weighted_sampling import ascending, top_k

__all__ = ["Rates", "Turns", "share_come"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# What differs between machines in the last bits should seldom lead to other turns.
_DECIMALS = 6
_LEAST = -600.0  # of a logarithm; its weight is above 0 still, so that nobody is ruled out


class Rates:
    """Rates in proportion to weights, at most 1, of a given mean.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights, up to a constant; finite.
    """

    def __init__(self, log_weights: ArrayLike) -> None:
        logs = np.asarray(log_weights, np.float64)
        self._weights: Floats = np.exp(np.maximum(np.round(logs - logs.max(), _DECIMALS), _LEAST))
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
            In [0, 1].
        """
        n = len(self._weights)
        if share >= 1:
            return np.ones(n)
        above = np.arange(n)  # of the j-th factor, the j largest have rate 1
        factors = np.maximum(share * n - above, 0) / self._tails
        fits = factors * self._sorted <= 1
        rates: Floats = np.minimum(factors[np.argmax(fits)] * self._weights, 1.0)
        return rates


def share_come(n_before: int, n: int) -> float:
    """Return the share of the data that has come, 1 at most.

    Parameters
    ----------
    n_before : int
        Number of samples that came in all passes before, however often each.
    n : int
        Number of samples there are.

    Returns
    -------
    float
        In [0, 1].
    """
    return min(n_before / n, 1.0)


class Turns:
    """Whose turn it is in each pass.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights of all samples, up to a constant; finite.
    n_taken : callable
        Takes a pass's number, from 0, and returns how many samples come in it, in [0, n].
    seed : int
        Of the places where samples start.
    growing : array-like of shape (n,), default=0
        What is added to `log_weights` as the data comes: the share of it that `share_come` returns.
    """

    def __init__(
        self,
        log_weights: ArrayLike,
        n_taken: Callable[[int], int],
        seed: int,
        *,
        growing: ArrayLike = 0.0,
    ) -> None:
        self._logs, self._growing = np.asarray(log_weights, np.float64), np.asarray(growing)
        self._n_taken = n_taken
        self._starts = np.random.default_rng(seed).random(len(self._logs))
        self._rates: tuple[float, Rates] = 0.0, Rates(self._logs)
        self._restart()

    def _restart(self) -> None:
        self._passed, self._came, self._at = 0, 0, self._starts.copy()

    def wait(self, number: int) -> Floats:
        """Return how many passes there are until each sample's next turn is due.

        Passes are gone through one after the other: from the latest asked for, or from the
        first if that is later.

        Parameters
        ----------
        number : int
            Of the pass, from 0.

        Returns
        -------
        ndarray of shape (n,)
            Below 0 where it is overdue.
        """
        if number < self._passed:
            self._restart()
        while self._passed < number:
            k = self._n_taken(self._passed)
            self._go_through(k)
            self._passed, self._came = self._passed + 1, self._came + k
        return self._wait(self._rates_of(self._n_taken(number)))

    def _rates_of(self, k: int) -> Floats:
        """Return the rates in the pass that comes next, of `k`."""
        n = len(self._starts)
        share = share_come(self._came, n)
        if self._rates[0] != share:
            self._rates = share, Rates(self._logs + share * self._growing)
        return self._rates[1](max(k, 1) / n)

    def _wait(self, rates: Floats) -> Floats:
        waits: Floats = (1 - self._at) / rates
        return waits

    def _go_through(self, k: int) -> None:
        """Move all samples on by a pass of `k`."""
        if not 0 < k < len(self._starts):
            return  # nobody comes, or everybody
        rates = self._rates_of(k)
        # As in `take`: two waits are never alike, as no two places drawn are.
        came = np.argpartition(self._wait(rates), k - 1)[:k]
        self._at += rates
        self._at[came] -= 1

    def take(self, number: int, order: Indices, more: int = 0) -> Indices:
        """Return those whose turn it is in a pass.

        Parameters
        ----------
        number : int
            Of the pass, from 0.
        order : ndarray of shape (n,), int64
            All samples, in the order of the pass.
        more : int, default=0
            How many others to take that come next.

        Returns
        -------
        ndarray of shape (n_taken(number) + more,), int64
            Places in `order`, ascending, and behind them those of the others.
        """
        k = self._n_taken(number)
        return ascending(top_k(-self.wait(number)[order], k + more), k)
