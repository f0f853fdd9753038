"""Guided selection: the similarity graph says what is worth learning.

JEST and RHO-LOSS subtract the loss of a reference model, so that what is hard because its
label is wrong is not chosen. Here the similarity graph of the stored features takes that
model's place: nothing is trained, nothing is held out, and it is computed once. It says
two things of each sample: how far its label can be trusted, and how hard it is, that is
how little of its label the other samples' labels give away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_select import label_trust
from spectral_select._features.feature_table import as_rows
from spectral_select._samplers.guided_visits import GuidedVisits
from spectral_select._selectors.guided_selector import fill_unknown, guided_parts, log_weights
from spectral_select._selectors.weighted_sampling import gumbel_top_k
from spectral_select._utils.validation import check_number
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    FEATURES,
    FRESH,
    LAST_LOSS,
    Candidates,
    Choice,
    Floats,
    Indices,
    Method,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["Guided", "GuidedFresh", "GuidedLoss"]


@register
@dataclass(frozen=True)
class Guided(Method):
    """Samples take turns, as often as hardness and trust in the label by the graph say.

    The sampler itself has them take turns, over the passes of a training: see
    `SpectralBatchSampler`. Nothing depends on the network, so all is chosen ahead of it.

    Parameters
    ----------
    trust_power : float, default=1
        Power of the probability that the label is right, by the similarity graph; with 0
        every label is taken for right.
    hardness_power : float, default=0.5
        Power of how hard the sample is, by the graph, from when as many samples came as there
        are; before, it grows from 0. With 0 hardness is left out.
    """

    trust_power: float = 1.0
    hardness_power: float = 0.5

    name = "guided"
    summary = "turns by hardness and trust in the label, by the graph; chosen ahead of training"
    needs = frozenset({FEATURES})

    def __post_init__(self) -> None:
        check_number(self.trust_power, "trust_power", 0, 1e6)
        check_number(self.hardness_power, "hardness_power", 0, 1e6)

    @property
    def schedules_epoch(self) -> bool:
        """True: stride scheduling selects a whole epoch at once."""
        return True

    def visits(
        self,
        labels: Indices,
        features: NDArray[np.floating],
        n_selected: Callable[[int], int],
        *,
        seed: int,
    ) -> GuidedVisits:
        """Return the schedule of all visits, as in `GuidedSampler`."""
        return GuidedVisits(
            as_rows(features),
            labels,
            n_selected,
            hardness_power=self.hardness_power,
            trust_power=self.trust_power,
            seed=seed,
        )

    def choose(self, candidates: Candidates) -> Choice:
        """Draw from a single candidate batch, by the graph of that batch alone.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        parts = guided_parts(
            label_trust(candidates.features, candidates.labels),
            candidates.labels,
            hardness_power=self.hardness_power,
            trust_power=self.trust_power,
            loss_power=0.0,
        )
        log_weights = parts[:, 0] + parts[:, 1]
        return Choice(gumbel_top_k(log_weights, candidates.n_keep, candidates.rng))


@dataclass(frozen=True)
class _ByLoss(Method):
    """Draw without replacement in proportion to trust · hardness^h · loss^p.

    Where labels are wrong, a large loss says less: the loss's power p of a sample falls with
    the share r of wrong labels in its class: see `guided_parts`.
    """

    loss_power: float = 0.5
    trust_power: float = 1.0
    hardness_power: float = 0.5

    def __post_init__(self) -> None:
        check_number(self.loss_power, "loss_power", 0, 1e6)
        check_number(self.trust_power, "trust_power", 0, 1e6)
        check_number(self.hardness_power, "hardness_power", 0, 1e6)

    def precompute(self, labels: Indices, features: NDArray[np.floating]) -> Floats:
        """Return the label trust and hardness of each sample; see `spectral_select.label_trust`.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
        features : array of shape (n_samples, d)

        Returns
        -------
        ndarray of shape (n_samples, 3)
            The logarithms of what trust and hardness make of its weight, and the power of the
            loss.
        """
        return guided_parts(
            label_trust(features, labels),
            labels,
            hardness_power=self.hardness_power,
            trust_power=self.trust_power,
            loss_power=self.loss_power,
        )

    def _draw(self, loss: Floats, candidates: Candidates) -> Choice:
        # What a network that has diverged returns counts for nothing.
        loss = np.where(loss < np.inf, loss, np.nan)
        keys = log_weights(given(candidates, "precomputed"), loss)
        return Choice(gumbel_top_k(keys, candidates.n_keep, candidates.rng))


@register
@dataclass(frozen=True)
class GuidedLoss(_ByLoss):
    """Drawn by the loss each sample had when last trained on, and by what the graph says.

    The choice costs no forward pass, and what is not chosen is not loaded. A sample not
    trained on yet counts as if it had the largest loss in its candidate batch.

    Parameters
    ----------
    loss_power : float, default=0.5
        Of the loss, where labels are right; 0 leaves it out.
    trust_power : float, default=1
        Power of the probability that the label is right, by the similarity graph; with 0
        every label is taken for right.
    hardness_power : float, default=0.5
        Power of how hard the sample is, by the graph; 0 leaves it out.
    """

    name = "guided-loss"
    summary = "drawn by last loss, hardness and trust in the label, by the graph; no forward pass"
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
        return self._draw(fill_unknown(given(candidates, "last_loss")), candidates)


@register
@dataclass(frozen=True)
class GuidedFresh(_ByLoss):
    """Drawn by the present model's loss of every candidate, and by what the graph says.

    Parameters
    ----------
    loss_power : float, default=0.5
        Of the loss, where labels are right; 0 leaves it out.
    trust_power : float, default=1
        Power of the probability that the label is right, by the similarity graph; with 0
        every label is taken for right.
    hardness_power : float, default=0.5
        Power of how hard the sample is, by the graph; 0 leaves it out.
    """

    name = "guided-fresh"
    summary = "the same by the present model's loss: a forward pass of all candidates"
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
