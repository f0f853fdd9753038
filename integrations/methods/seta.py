"""SeTa: a window over clusters of losses that slides from easy to hard samples."""

from dataclasses import dataclass

import numpy as np

from spectral_select._utils.validation import check_number, check_positive_int
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    HISTORY,
    PROGRESS,
    Candidates,
    Choice,
    Floats,
    History,
    Indices,
    Method,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["SeTa"]

_N_ITERATIONS = 100


@register
@dataclass(frozen=True)
class SeTa(Method):
    """Drop some candidates at random; of the rest, keep those in a window of loss clusters.

    SeTa (Zhou, Gao and Wang, CVPR 2025) has three steps:

    (1)  A share of the candidates, drawn uniformly, is dropped.

    (2)  One-dimensional k-means divides all samples by their losses into clusters, from easy
         to hard. The loss is each sample's most recent training loss as of the end of the
         previous epoch, so no extra forward pass is needed.

    (3)  Of the remaining candidates, those in a window of adjacent clusters are kept. The window
         slides from the easiest to the hardest clusters.

    These rules determine how many samples are kept; the requested filter ratio is ignored.
    Results count only the samples actually trained on. Losses are not weighted.

    Differences from the paper: the random cut is made in each candidate batch instead of once
    per epoch; all samples are clustered, including those dropped by the cut; the window slides
    once, at a constant rate until the fraction `delta` of training is done, and afterwards only
    the cut is applied; samples without a finite loss are in every window, because nothing is
    known about them; and if no candidate is inside the window, the nearest candidate is kept.

    Parameters
    ----------
    cut : float, default=0.2
        Share of the candidates that is dropped at random, in [0, 1).
    n_clusters : int, default=10
        Number of clusters, at least 1.
    window : float, default=0.7
        Size of the window, as a share of the clusters, in (0, 1].
    delta : float, default=0.875
        Fraction of training after which the window no longer applies, in [0, 1].
    """

    cut: float = 0.2
    n_clusters: int = 10
    window: float = 0.7
    delta: float = 0.875

    name = "seta"
    summary = "a window over clusters of the losses, from easy to hard (SeTa)"
    needs = frozenset({HISTORY, PROGRESS})
    sets_own_count = True

    def __post_init__(self) -> None:
        check_number(self.cut, "cut", 0, 1, closed="left")
        check_positive_int(self.n_clusters, "n_clusters")
        check_number(self.window, "window", 0, 1, closed="right")
        check_number(self.delta, "delta", 0, 1)

    def score(self, history: History) -> Indices:
        """Return each sample's cluster.

        Clusters are numbered from 0, the easiest; samples without a finite loss have -1.

        Parameters
        ----------
        history : History

        Returns
        -------
        ndarray of shape (n_samples,), int64
        """
        clusters = np.full(len(history.losses), -1)
        if history.epoch:
            known = np.isfinite(history.losses[:, -1])
            clusters[known] = _clusters(history.losses[known, -1], self.n_clusters)
        return clusters

    def choose(self, candidates: Candidates) -> Choice:
        """Make the cut, then keep the candidates inside the window; ``n_keep`` is not used."""
        n, progress = len(candidates), given(candidates, "progress")
        clusters = given(candidates, "scores")
        left = candidates.rng.permutation(n)[: max(1, n - round(self.cut * n))]
        if progress >= self.delta:
            return Choice(left)
        size = max(1, round(self.window * self.n_clusters))
        n_places = self.n_clusters - size + 1
        first = min(int(progress / self.delta * n_places), n_places - 1)
        last = first + size - 1
        distance = np.maximum(first - clusters[left], clusters[left] - last)
        inside = left[(distance <= 0) | (clusters[left] < 0)]
        # The cut has shuffled the candidates, so ties in distance are broken at random.
        return Choice(inside if len(inside) else left[[np.argmin(distance)]])


def _clusters(values: Floats, k: int) -> Indices:
    """Return each value's k-means cluster; clusters are numbered in ascending order of means.

    This is Lloyd's algorithm, initialized with quantiles of the distinct values. In one
    dimension, each cluster is an interval, so the sums over clusters are differences of the
    cumulative sum of the sorted values. Empty clusters keep their centers.
    """
    if not len(values):
        return np.empty(0, np.int64)
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centers = np.quantile(np.unique(ordered), (np.arange(k) + 0.5) / k)
    bounds = (centers[:-1] + centers[1:]) / 2
    for _ in range(_N_ITERATIONS):
        cuts = np.concatenate([[0], np.searchsorted(ordered, bounds, side="right"), [len(values)]])
        sizes = np.diff(cuts)
        means = np.diff(sums[cuts]) / np.maximum(sizes, 1)
        # Roundoff in the cumulative sum could put the means of narrow clusters out of order.
        centers = np.maximum.accumulate(np.where(sizes > 0, means, centers))
        before, bounds = bounds, (centers[:-1] + centers[1:]) / 2
        if np.array_equal(before, bounds):
            break
    return np.searchsorted(bounds, values, side="left")
