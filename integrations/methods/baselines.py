"""Baselines for selection: all samples, all samples for fewer steps, and a random subset."""

import numpy as np

from spectral_select.integrations.methods.interface import Candidates, Choice, Method
from spectral_select.integrations.methods.registry import register

__all__ = ["Full", "FullShort", "Random"]


@register
class Full(Method):
    """Train on every sample: the standard that the other methods are compared against."""

    name = "full"
    summary = "every sample of each candidate batch"
    sets_own_count = True

    def choose(self, candidates: Candidates) -> Choice:
        """Choose all candidates."""
        return Choice(np.arange(len(candidates)))


@register
class FullShort(Full):
    """Train on every sample, but stop after as many samples as selection methods train on.

    Training stops early, with the learning-rate schedule compressed to finish by then.
    """

    name = "full-short"
    summary = (
        "no selection, but fewer steps, so that the total number of samples matches the other "
        "methods"
    )

    def step_fraction(self, kept_share: float) -> float:
        """Return the fraction of steps that trains on as many samples as a selection method."""
        return kept_share


@register
class Random(Method):
    """A fresh, uniformly random subset of each candidate batch: a baseline that is hard to beat."""

    name = "random"
    summary = "a new random subset"

    def choose(self, candidates: Candidates) -> Choice:
        """Choose without replacement, with every subset equally likely."""
        return Choice(candidates.rng.permutation(len(candidates))[: candidates.n_keep])
