"""Samples take turns: every sample is visited once before any is visited again."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spectral_select._samplers.stride_scheduler import StrideScheduler
from spectral_select.integrations.methods.interface import (
    Candidates,
    Choice,
    Floats,
    Indices,
    Method,
    Visits,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["Turns"]


@register
class Turns(Method):
    """Visit all samples at the same rate, each once before any is visited again.

    These are the visits of `Guided` with all powers set to 0, so any difference between the
    two methods is due to the graph. No features or labels are used, so selection costs nothing.
    """

    name = "turns"
    summary = "every sample once before any is visited again; selected ahead of training"

    @property
    def schedules_epoch(self) -> bool:
        """True: stride scheduling selects all samples of an epoch at once."""
        return True

    def visits(
        self,
        labels: Indices,
        features: Any,
        n_selected: Callable[[int], int],
        *,
        seed: int,
        dynamics: Floats | None = None,
    ) -> Visits:
        """Return the schedule of all visits.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Classes of the training data; only the number of samples is used.
        features : array of shape (n_samples, d) or None
            Not used.
        n_selected : callable
            ``n_selected(epoch)`` is the number of samples that the epoch visits.
        seed : int
            Seed for the order in which samples take turns.
        dynamics : None
            Not used.

        Returns
        -------
        Visits
        """
        return _EqualVisits(StrideScheduler(np.zeros(len(labels)), n_selected, seed))

    def choose(self, candidates: Candidates) -> Choice:
        """Draw uniformly from a single candidate batch, without using earlier visits."""
        return Choice(candidates.rng.permutation(len(candidates))[: candidates.n_keep])


class _EqualVisits:
    """Visits at equal rates."""

    def __init__(self, scheduler: StrideScheduler) -> None:
        self._scheduler = scheduler

    def prepare(self) -> StrideScheduler:
        """Return the scheduler; there is nothing to compute."""
        return self._scheduler

    def select(self, epoch: int, order: Indices) -> Indices:
        """Return the samples that an epoch visits, in the given order of all samples."""
        selected: Indices = order[self._scheduler.select(epoch, order)]
        return selected
