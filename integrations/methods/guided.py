"""Guided selection: the learner's loss says what is not learnt, the graph what can be.

JEST and RHO-LOSS subtract the loss of a reference model, so that what is hard because its
label is wrong is not chosen. Here the similarity graph of the stored features takes that
model's place: nothing is trained, nothing is held out, and it is computed once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_select import label_trust
from spectral_select.integrations.methods._checks import check_number, given
from spectral_select.integrations.methods._draw import draw_by_weight
from spectral_select.integrations.methods._interface import (
    FEATURES,
    FRESH,
    LAST_LOSS,
    Candidates,
    Choice,
    Floats,
    Indices,
    Method,
)
from spectral_select.integrations.methods._registry import register

__all__ = ["Guided", "GuidedFresh"]


@dataclass(frozen=True)
class _Guided(Method):
    """Draw without replacement in proportion to loss^power · trust^confidence."""

    power: float = 0.5
    confidence: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.power, "power", 0, 1e6)
        check_number(self.confidence, "confidence", 0, 1e6)

    def precompute(self, labels: Indices, features: NDArray[np.floating]) -> Floats:
        """Return how far each label can be trusted; see `spectral_select.label_trust`.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
        features : array of shape (n_samples, d)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return label_trust(features, labels).trust

    def _draw(self, loss: Floats, candidates: Candidates) -> Choice:
        with np.errstate(over="ignore"):
            weights = np.power(loss, self.power)
        # Nobody's trust is quite 0: the graph may err, and every sample is seen some day.
        trust = np.maximum(given(candidates, "precomputed"), 0.01)
        weights = weights * trust**self.confidence
        return Choice(draw_by_weight(weights, candidates.n_keep, candidates.rng))


@register
@dataclass(frozen=True)
class Guided(_Guided):
    """Drawn by the loss each sample had when last trained on, and the trust in its label.

    The choice costs no forward pass, and what is not chosen is not loaded. A sample not
    trained on yet counts as if it had the largest loss in its candidate batch.

    Parameters
    ----------
    power : float, default=0.5
        Of the loss; 0 leaves it out.
    confidence : float, default=1
        Power of the probability that the label is right, by the similarity graph; 0
        leaves the graph out.
    """

    name = "guided"
    summary = "drawn by last loss × trust in the label by the graph; no forward pass"
    needs = frozenset({FEATURES, LAST_LOSS})

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by the losses last seen.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        loss = np.asarray(given(candidates, "last_loss"), np.float64)
        known = np.isfinite(loss)
        highest = loss[known].max() if known.any() else 1.0
        # A sample that fits perfectly is still drawn some day.
        loss = np.maximum(np.where(known, loss, highest), 1e-3)
        return self._draw(loss, candidates)


@register
@dataclass(frozen=True)
class GuidedFresh(_Guided):
    """Drawn by the present model's loss of every candidate, and the trust in its label.

    Parameters
    ----------
    power : float, default=0.5
        Of the loss; 0 leaves it out.
    confidence : float, default=1
        Power of the probability that the label is right, by the similarity graph; 0
        leaves the graph out.
    """

    name = "guided-fresh"
    summary = "the same with the present model's loss: a forward pass of all candidates"
    needs = frozenset({FEATURES, FRESH})

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by fresh losses.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        loss = np.asarray(given(candidates, "fresh")().loss, np.float64)
        return self._draw(loss, candidates)
