"""Stride scheduling in closed form, over epochs in which the rates do not change.

Over m epochs of k samples each, sample i with the rate π_i and the initial credit c_i accumulates
c_i + m·π_i. If it were visited ⌊c_i + m·π_i⌋ times, the total number of visits would deviate from
m·k at random, by about √n. A common offset δ_m makes the total exact:

(1)  v_i(m) = ⌊c_i + m·π_i + δ_m·g_i⌋,  Σ v_i(m) = m·k,  g_i = min(π_i, 1 − π_i).

So the visits of every epoch follow from δ_m, without replaying earlier epochs. From one epoch to
the next, the argument of ⌊·⌋ grows by π_i + (δ_{m+1} − δ_m)·g_i. If |δ_{m+1} − δ_m| ≤ 1, this
growth is in [0, 1] because of the choice of g_i, so a sample is visited at most once per epoch. A
sample with π_i = 1 is visited in every epoch. The number of visits deviates from m·π_i by less
than 1 + |δ_m|·g_i.

Raising the offset by 1 adds G = Σ g_i visits on average, so δ_m is of the order of √n / G. By
Bernstein's inequality, the probability that |δ_{m+1} − δ_m| > 1 is below 2·exp(−3G/14) for
independent, uniform initial credits. For G ≥ `MIN_MOVABLE`, it is negligible.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_MOVABLE", "ConstantRates", "smallest"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_MOVABLE = 1000.0
# Initial credits are below 1 by at least this margin. At rate 1, the number of epochs is added to
# the credit, and the sum must not be rounded up to the next integer.
_MARGIN = 1e-9
_NEWTON_STEPS = 2
_SAMPLE = 2**13  # number of sampled values that are used to bracket a rank


def smallest(values: Floats, k: int) -> Mask:
    """Return a mask of the `k` smallest values; of equal values, the first ones are taken.

    A sample of the values brackets the value of rank `k`, and only the values in the bracket are
    compared. See R. W. Floyd and R. L. Rivest, "Expected time bounds for selection",
    Communications of the ACM 18 (1975), doi:10.1145/360680.360691.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Values without NaN.
    k : int
        Number of values, in [0, n].
    """
    low, high = _bracket(values, k)
    mask: Mask = values < low
    inside = np.flatnonzero((values >= low) & (values <= high))
    missing = k - int(np.count_nonzero(mask))
    if not 0 <= missing <= len(inside):  # the bracket missed the rank
        mask[:] = False
        inside, missing = np.arange(len(values)), k
    if missing > 0:
        few = values[inside]
        cut = np.partition(few, missing - 1)[missing - 1]
        below, ties = inside[few < cut], inside[few == cut]
        mask[below] = True
        mask[ties[: missing - len(below)]] = True
    return mask


def _bracket(values: Floats, k: int) -> tuple[float, float]:
    """Return two values that almost certainly bracket the value of rank `k`."""
    n = len(values)
    if n <= 4 * _SAMPLE:
        return -np.inf, np.inf
    sample = np.sort(values[:: n // _SAMPLE])
    position = k / n * len(sample)
    margin = 3 * len(sample) ** 0.5  # six standard deviations of the rank, or more
    low, high = int(position - margin), int(position + margin) + 1
    return (
        float(sample[low]) if low >= 0 else -np.inf,
        float(sample[high]) if high < len(sample) else np.inf,
    )


class ConstantRates:
    """The visits of epochs with constant rates: equation (1).

    Parameters
    ----------
    credit : ndarray of shape (n,)
        Accumulated rate minus number of visits, before the first of the epochs. Values are
        clipped to [0, 1).
    rates : ndarray of shape (n,)
        Inclusion probabilities in (0, 1], which sum to `k`.
    k : int
        Number of visits per epoch.
    """

    def __init__(self, credit: Floats, rates: Floats, k: int) -> None:
        self._credit, self._rates, self._k = np.clip(credit, 0, 1 - _MARGIN), rates, k
        self._gain = np.minimum(rates, 1 - rates)  # g
        self.movable = float(self._gain.sum())  # G

    def visited(self, m: int) -> Mask:
        """Return a mask of the `k` samples visited in epoch number `m`, counted from 0."""
        accumulated = self._credit + m * self._rates
        counts = self._counts(accumulated, m)
        # The offset at which v_i(m + 1) exceeds v_i(m); a rate of 1 needs no offset.
        offsets = np.full(len(counts), -np.inf)
        np.divide(
            counts + 1 - accumulated - self._rates, self._gain, out=offsets, where=self._gain > 0
        )
        return smallest(offsets, self._k)

    def credit(self, m: int) -> Floats:
        """Return the credit of each sample before epoch number `m`."""
        accumulated = self._credit + m * self._rates
        credit: Floats = accumulated - self._counts(accumulated, m)
        return credit

    def _counts(self, accumulated: Floats, m: int) -> Floats:
        """Return v_i(m) for the accumulated rates c_i + m·π_i."""
        if m == 0:
            return np.zeros(len(accumulated))
        offset, missing = 0.0, 0
        for _ in range(1 + _NEWTON_STEPS):
            offset += missing / self.movable
            counts = np.floor(accumulated + offset * self._gain)
            missing = m * self._k - int(counts.sum())
        # A few visits may be missing or surplus. Add or remove them for the samples whose counts
        # change at the offsets nearest to the current one.
        nearest = np.full(len(counts), np.inf)
        sign = 1 if missing > 0 else -1
        distance = sign * (counts + (missing > 0) - accumulated)
        np.divide(distance, self._gain, out=nearest, where=self._gain > 0)
        counts[smallest(nearest, abs(missing))] += sign
        return counts
