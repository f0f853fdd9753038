"""Stride scheduling: every sample is visited at its own rate, evenly over the epochs.

With independent draws, the number of visits to a sample is left to chance: after n draws from n
samples of equal weight, a third are never visited and a quarter are visited twice or more. Stride
scheduling [1]_ realizes the rates almost exactly.

In epoch e, which visits k_e of n samples, sample i has the inclusion probability

(1)  π_i = min(1, c·w_i), with c such that Σ π_i = k_e, for weights w_i.

Starting from a random u_i in [0, 1), as in systematic sampling [2]_, sample i accumulates

(2)  A_i(e) = u_i + π_i(0) + … + π_i(e − 1),

and visit number j is due when A_i reaches j. After v_i visits, the next one is due in

(3)  t_i(e) = (v_i + 1 − A_i(e)) / π_i(e)  epochs.

(4)  Epoch e visits the k_e samples with the smallest t_i, each once.

This is the rule "earliest deadline first": a visit that does not fit into its epoch moves to the
next one and is never lost. Among samples of equal weight, all are visited before any is
revisited. Part of the log weights (`growing`) can be introduced gradually: it is multiplied by

(5)  f_e = min(1, (k_0 + … + k_{e−1}) / n),

the fraction of the data seen so far. All of this follows from the weights, the seed and the
counts k_e, so a scheduler has no state to save.

Epochs are replayed one by one up to the first epoch that has the current rates. From there on, a
large dataset needs no replay: `ConstantRates` has a closed form that agrees with (4), except that
it orders the samples by an offset instead of t_i. So later epochs cost no more than earlier ones.

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

from spectral_select._samplers.constant_rates import MIN_MOVABLE, ConstantRates, Mask, smallest

__all__ = ["StrideScheduler", "fraction_seen", "inclusion_probabilities"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Weights can differ in their last bits between machines; rounding keeps the visits the same.
_DECIMALS = 6
# Smallest log weight. The weight is still positive, so that every sample is visited eventually.
_MIN_LOG_WEIGHT = -600.0
# Up to this number of samples, replaying a thousand epochs takes about a second.
REPLAY_MAX = 2**17


def inclusion_probabilities(log_weights: ArrayLike, share: float) -> Floats:
    """Return probabilities proportional to the weights, capped at 1, with mean `share`: (1).

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
    if share >= 1:
        return np.ones(len(np.asarray(log_weights)))
    return _capped(_weights(np.asarray(log_weights, np.float64)), share)


def _weights(logs: Floats) -> Floats:
    """Return the weights, scaled to a largest weight of 1."""
    weights: Floats = logs - logs.max()
    np.round(weights, _DECIMALS, out=weights)
    np.maximum(weights, _MIN_LOG_WEIGHT, out=weights)
    np.exp(weights, out=weights)
    return weights


def _capped(weights: Floats, share: float) -> Floats:
    """Return min(1, c·w) with the factor c for which the mean is `share`."""
    total, factor = share * len(weights), 0.0
    while True:
        scaled = factor * weights
        below = scaled <= 1
        n_capped = len(weights) - np.count_nonzero(below)
        # If j weights are capped, c solves j + c·(sum of the rest) = total. Every step increases c
        # and caps more weights, until c leaves the largest of the rest at 1 or below.
        rest = np.where(below, weights, 0.0).sum()
        larger = (total - n_capped) / rest if rest > 0 else 0.0
        if not larger > factor:
            return np.minimum(scaled, 1.0, out=scaled)
        factor = larger


def fraction_seen(n_visits: int, n: int) -> float:
    """Return the fraction of `n` samples seen after `n_visits` visits, at most 1: (5)."""
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
        # Cached: (fraction seen, weights) and ((fraction seen, k), rates). The initial values
        # match no epoch.
        self._weights: tuple[float, Floats] = -1.0, self._starts
        self._rates: tuple[tuple[float, int], Floats] = (
            (-1.0, 0),
            self._starts,
        )
        self._restart()

    def _restart(self) -> None:
        # The credit of a sample is A − v, its accumulated rate minus its visits; see (2).
        self._epoch, self._n_visits, self._credit = 0, 0, self._starts.copy()
        self._run: ConstantRates | None = None  # if not None, it starts at `_epoch`

    def visited(self, epoch: int) -> Mask:
        """Return which samples an epoch visits.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.

        Returns
        -------
        ndarray of shape (n,), bool
            True for ``n_selected(epoch)`` samples.
        """
        k, n = self._n_selected(epoch), len(self._starts)
        if k in (0, n):
            return np.full(n, k > 0)
        self._go_to(epoch)
        if self._run is not None:
            return self._run.visited(epoch - self._epoch)
        return smallest(self._waits(k), k)

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
        return np.flatnonzero(self.visited(epoch)[order])

    def _go_to(self, epoch: int) -> None:
        """Replay epochs until the visits of `epoch` follow from the state.

        Epochs are replayed from the latest state or, if `epoch` is before that, from epoch 0.
        """
        if epoch < self._epoch:
            self._restart()
        while True:
            k = self._n_selected(self._epoch)
            if self._run is None and self._has_closed_form(k):
                run = ConstantRates(self._credit, self._current_rates(k), k)
                self._run = run if run.movable >= MIN_MOVABLE else None
            if self._run is None:
                if self._epoch == epoch:
                    return
                self._advance(k)
                continue
            end = self._epoch + 1
            while end <= epoch and self._n_selected(end) == k:
                end += 1
            if end > epoch:
                return
            self._credit = self._run.credit(end - self._epoch)
            self._n_visits += k * (end - self._epoch)
            self._epoch, self._run = end, None

    def _has_closed_form(self, k: int) -> bool:
        """Return whether the dataset is large, and the rates are constant while `k` is."""
        n = len(self._starts)
        grown = self._n_visits >= n or not self._growing.any()
        return n > REPLAY_MAX and 0 < k < n and grown

    def _current_rates(self, k: int) -> Floats:
        """Return the inclusion probabilities for the next epoch, which visits `k` samples."""
        n = len(self._starts)
        seen = fraction_seen(self._n_visits, n)
        if self._rates[0] != (seen, k):
            if self._weights[0] != seen:
                self._weights = seen, _weights(self._log_weights + seen * self._growing)
            self._rates = (seen, k), _capped(self._weights[1], k / n)
        return self._rates[1]

    def _waits(self, k: int) -> Floats:
        """Return the number of epochs until each sample's next visit is due: equation (3)."""
        waits: Floats = (1 - self._credit) / self._current_rates(k)
        return waits

    def _advance(self, k: int) -> None:
        """Replay one epoch, which visits `k` samples: accumulate the rates and count the visits."""
        if 0 < k < len(self._starts):  # otherwise no credit changes
            visited = smallest(self._waits(k), k)  # the samples in (4)
            self._credit += self._current_rates(k)
            self._credit -= visited
        self._epoch += 1
        self._n_visits += k
