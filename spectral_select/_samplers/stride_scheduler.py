"""Stride scheduling: every sample is visited at its own rate, evenly over the epochs.

With independent draws, the number of visits to a sample is left to chance: after n draws from n
samples of equal weight, a third are never visited and a quarter are visited twice or more. Stride
scheduling [1]_ realizes the rates almost exactly.

In epoch e, which visits k_e of n samples, sample i has the inclusion probability

(1)  π_i = min(1, c·w_i), with c such that Σ π_i = k_e, for weights w_i.

From a random start u_i in [0, 1), as in systematic sampling [2]_, it accumulates

(2)  A_i(e) = u_i + π_i(0) + … + π_i(e − 1),

and visit number j is due when A_i reaches j. After v_i visits, the next one is due in

(3)  t_i(e) = (v_i + 1 − A_i(e)) / π_i(e)  epochs.

(4)  Epoch e visits the k_e samples with the smallest t_i, each once.

This is the rule "earliest deadline first": a visit that does not fit into its epoch moves to the
next one and is never lost. Among samples of equal weight, all are visited before any is
revisited. One part of the log weights is introduced gradually: it is multiplied by

(5)  f_e = min(1, (k_0 + … + k_{e−1}) / n),

the fraction of the data seen so far. All of this follows from the weights, the seed and the
counts k_e, so a scheduler has no state to save.

References
----------
.. [1] C. A. Waldspurger and W. E. Weihl, "Stride scheduling: deterministic proportional-share
   resource management", MIT/LCS/TM-528 (1995).
.. [2] W. G. Madow, "On the theory of systematic sampling, II", Annals of Mathematical
   Statistics 20 (1949).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._selectors.weighted_sampling import top_k

__all__ = ["StrideScheduler", "fraction_seen", "inclusion_probabilities"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Rounding removes differences in the last bits between machines, which could change visits.
_DECIMALS = 6
# Smallest log weight. The weight is still positive, so that every sample is visited eventually.
_MIN_LOG_WEIGHT = -600.0


def inclusion_probabilities(log_weights: ArrayLike, share: float) -> Floats:
    """Return probabilities in proportion to weights, capped at 1, with mean `share`: equation (1).

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights, up to a constant; finite.
    share : float
        Mean of the probabilities, in [0, 1].

    Returns
    -------
    ndarray of shape (n,)
        Probabilities in [0, 1].
    """
    logs = np.asarray(log_weights, np.float64)
    n = len(logs)
    if share >= 1:
        return np.ones(n)
    weights = np.exp(np.maximum(np.round(logs - logs.max(), _DECIMALS), _MIN_LOG_WEIGHT))
    descending = np.sort(weights)[::-1]
    # If the j largest are capped at 1, the factor c solves j + c·(sum of the rest) = share·n.
    # The right j is the first for which c leaves the largest of the rest at 1 or below.
    rest = np.cumsum(descending[::-1])[::-1]
    factors = np.maximum(share * n - np.arange(n), 0) / rest
    factor = factors[np.argmax(factors * descending <= 1)]
    rates: Floats = np.minimum(factor * weights, 1.0)
    return rates


def fraction_seen(n_visits: int, n: int) -> float:
    """Return the fraction of the data seen after `n_visits` of `n` samples, at most 1: (5)."""
    return min(n_visits / n, 1.0)


class StrideScheduler:
    """Selects the samples for each epoch so that each sample is visited at its own rate.

    Parameters
    ----------
    log_weights : array-like of shape (n,)
        Logarithms of the weights of all samples, up to a constant; finite.
    n_selected : callable
        ``n_selected(epoch)`` is the number of samples in an epoch, in [0, n].
    seed : int
        Seed for the random starts u.
    growing : array-like of shape (n,), default=0
        Part of the log weights that is introduced gradually, by the factor (5).
    """

    def __init__(
        self,
        log_weights: ArrayLike,
        n_selected: Callable[[int], int],
        seed: int,
        *,
        growing: ArrayLike = 0.0,
    ) -> None:
        self._log_weights = np.asarray(log_weights, np.float64)
        self._growing = np.asarray(growing)
        self._n_selected = n_selected
        self._starts = np.random.default_rng(seed).random(len(self._log_weights))
        self._rates: tuple[tuple[float, int], Floats] = (-1.0, 0), self._starts  # with their key
        self._restart()

    def _restart(self) -> None:
        # The credit of a sample is A − v, its accumulated rate minus its visits; see (2).
        self._epoch, self._n_visits, self._credit = 0, 0, self._starts.copy()

    def time_to_deadline(self, epoch: int) -> Floats:
        """Return the number of epochs until the next visit to each sample is due: equation (3).

        Epochs are replayed one by one, from the latest requested epoch or, if `epoch` is earlier
        than that, from epoch 0.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.

        Returns
        -------
        ndarray of shape (n,)
            Number of epochs; negative if a visit is overdue.
        """
        if epoch < self._epoch:
            self._restart()
        while self._epoch < epoch:
            self._advance()
        return self._waits(self._current_rates(self._n_selected(epoch)))

    def select(self, epoch: int, order: Indices) -> Indices:
        """Return the positions in `order` of the samples that an epoch visits, ascending.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        order : ndarray of shape (n,), int64
            Permutation of all samples.

        Returns
        -------
        ndarray of shape (n_selected(epoch),), int64
        """
        waits = self.time_to_deadline(epoch)[order]
        return np.sort(top_k(-waits, self._n_selected(epoch)))

    def _current_rates(self, k: int) -> Floats:
        """Return the inclusion probabilities for the next epoch, which visits `k` samples."""
        n = len(self._starts)
        seen = fraction_seen(self._n_visits, n)
        if self._rates[0] != (seen, k):
            log_weights = self._log_weights + seen * self._growing
            self._rates = (seen, k), inclusion_probabilities(log_weights, max(k, 1) / n)
        return self._rates[1]

    def _waits(self, rates: Floats) -> Floats:
        waits: Floats = (1 - self._credit) / rates
        return waits

    def _advance(self) -> None:
        """Replay one epoch: accumulate the rates and count the visits."""
        k = self._n_selected(self._epoch)
        if 0 < k < len(self._starts):  # otherwise the credits stay the same, up to a constant
            rates = self._current_rates(k)
            # The samples in (4). No two waits are equal, because no two random starts are.
            visited = np.argpartition(self._waits(rates), k - 1)[:k]
            self._credit += rates
            self._credit[visited] -= 1
        self._epoch += 1
        self._n_visits += k
