"""A random subset in which every class has its share."""

import numpy as np

from spectral_select.integrations.methods.interface import Candidates, Choice, Method
from spectral_select.integrations.methods.registry import register

__all__ = ["RandomStratified"]


@register
class RandomStratified(Method):
    """A random subset of the candidates with the class shares that the candidates have.

    Of n candidates k are kept; of a class with m of them the floor or the ceiling of
    k·m/n, and every candidate with probability k/n exactly. This is systematic sampling
    (Madow, 1949) with equal chances along an order in which the classes, and the members
    of each, are shuffled.
    """

    name = "random-stratified"
    summary = "a new random subset of each class"

    def choose(self, candidates: Candidates) -> Choice:
        """Take every (n/k)-th place along the classes, from a random start.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        n, k, rng = len(candidates), candidates.n_keep, candidates.rng
        _, classes = np.unique(candidates.labels, return_inverse=True)
        rank = rng.permutation(classes.max() + 1)
        order = np.lexsort((rng.random(n), rank[classes]))
        # In units of 1/n each place is k long, and a tick falls every n: no rounding.
        ticks = (np.arange(n + 1) * k + rng.integers(n)) // n
        return Choice(order[np.diff(ticks) > 0])
