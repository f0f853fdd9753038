"""A random subset with the same class proportions as the candidates."""

import numpy as np

from spectral_select.integrations.methods.interface import Candidates, Choice, Method
from spectral_select.integrations.methods.registry import register

__all__ = ["RandomStratified"]


@register
class RandomStratified(Method):
    """Select a random subset with the same class proportions as the candidates.

    If k of n candidates are kept, the number kept from a class with m candidates is k·m/n,
    rounded up or down. Every candidate is kept with probability exactly k/n. This is
    systematic sampling (Madow, 1949) with equal probabilities. The candidates are ordered by
    class, with both the classes and the samples in each class shuffled.
    """

    name = "random-stratified"
    summary = "a new random subset with the class proportions of the candidates"

    def choose(self, candidates: Candidates) -> Choice:
        """Choose every (n/k)-th position along the classes, from a random start."""
        n, k, rng = len(candidates), candidates.n_keep, candidates.rng
        _, classes = np.unique(candidates.labels, return_inverse=True)
        rank = rng.permutation(classes.max() + 1)
        order = np.lexsort((rng.random(n), rank[classes]))
        # Lay the candidates along a line, each with length k, and put a tick every n units. The
        # candidates that contain a tick are kept. All values are integers, so nothing is
        # rounded.
        ticks = (np.arange(n + 1) * k + rng.integers(n)) // n
        return Choice(order[np.diff(ticks) > 0])
