"""What every selection method is compared with: all samples, fewer steps, a random subset."""

import numpy as np

from spectral_select import make_schedule
from spectral_select._samplers.schedules import Schedule
from spectral_select._selectors.ratio import check_filter_ratio
from spectral_select.integrations.methods.interface import Candidates, Choice, Method
from spectral_select.integrations.methods.registry import register

__all__ = ["Full", "FullShort", "Random"]


@register
class Full(Method):
    """Every sample: the standard training that the others are compared with."""

    name = "full"
    summary = "every sample of each candidate batch"

    def schedule(self, filter_ratio: float, n_epochs: int) -> Schedule:
        """Return 0 throughout: nothing is discarded."""
        check_filter_ratio(filter_ratio)
        return make_schedule(0.0)

    def choose(self, candidates: Candidates) -> Choice:
        """Choose all of them."""
        return Choice(np.arange(len(candidates)))


@register
class FullShort(Full):
    """Every sample, for as many gradient samples as the selecting methods get.

    It stops early, and its learning rate runs through the whole schedule by then.
    """

    name = "full-short"
    summary = "every sample, in fewer steps: as many samples in total as the other methods"

    def step_fraction(self, kept_share: float) -> float:
        """Return the share of the steps whose samples are as many as a selecting method's."""
        return kept_share


@register
class Random(Method):
    """A fresh uniform subset of each candidate batch: the baseline that is hard to beat."""

    name = "random"
    summary = "a new random subset"

    def choose(self, candidates: Candidates) -> Choice:
        """Choose without replacement, every subset equally likely."""
        return Choice(candidates.rng.permutation(len(candidates))[: candidates.n_keep])
