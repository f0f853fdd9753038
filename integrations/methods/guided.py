"""Guided selection: label trust, hardness and near-duplicates from the similarity graph.

JEST and RHO-LOSS subtract the loss of a reference model, so that they do not select samples
whose loss is large because their labels are wrong. Here the similarity graph of the stored
features replaces the reference model. The graph is computed once, without training or held-out
data, and provides three estimates for each sample. The trust is the probability that its label
is correct. The hardness is large if the other samples' labels do not predict its label. The
number of near-duplicates is the number of other samples that are nearly identical to it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._features.feature_table import as_rows
from spectral_select._samplers.guided_visits import GuidedVisits
from spectral_select._selectors.guided_weights import fill_unknown, guided_parts, log_weights
from spectral_select._selectors.weighted_sampling import gumbel_top_k
from spectral_select._utils.validation import check_matrix, check_number
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

__all__ = ["Guided", "GuidedFresh", "GuidedLoss", "LabelFree"]


@dataclass(frozen=True)
class _Powers(Method):
    """A method whose options are the powers in its sample weights."""

    def __post_init__(self) -> None:
        for name, power in asdict(self).items():
            check_number(power, name, 0, 1e6)


@dataclass(frozen=True)
class _OverEpochs(_Powers):
    """A method that schedules visits over the epochs; powers that are not options are 0."""

    uses_labels: ClassVar[bool]
    needs = frozenset({FEATURES})

    @property
    def schedules_epoch(self) -> bool:
        """True: stride scheduling selects all samples of an epoch at once."""
        return True

    def visits(
        self,
        labels: Indices,
        features: NDArray[np.floating],
        n_selected: Callable[[int], int],
        *,
        seed: int,
        dynamics: Floats | None = None,
    ) -> GuidedVisits:
        """Return the schedule of all visits, as in `GuidedSampler`."""
        known = labels if self.uses_labels else None
        return GuidedVisits(as_rows(features), known, n_selected, seed=seed, **self._powers())

    def choose(self, candidates: Candidates) -> Choice:
        """Draw from a single candidate batch, based on that batch's graph."""
        known = candidates.labels if self.uses_labels else None
        parts, _ = guided_parts(_rows(candidates.features), known, **self._powers())
        keys = log_weights(parts, None)
        return Choice(gumbel_top_k(keys, candidates.n_keep, candidates.rng))

    def _powers(self) -> dict[str, float]:
        return {"hardness_power": 0.0, "trust_power": 0.0, **asdict(self)}


@register
@dataclass(frozen=True)
class Guided(_OverEpochs):
    """Visit each sample at its own rate, based on label trust, hardness and near-duplicates.

    Visits are scheduled over the epochs as in `GuidedSampler`. They do not depend on the
    network, so the samples for every epoch are selected ahead of training.

    Parameters
    ----------
    trust_power : float, default=2
        Power of the label trust; 0 treats every label as correct.
    hardness_power : float, default=0.25
        Power of the hardness; 0 ignores it. The power grows from 0 in the first epoch to
        this value once there have been as many visits as samples.
    duplicate_power : float, default=1
        Power of the number of near-duplicates; 0 ignores them.
    """

    trust_power: float = 2.0
    hardness_power: float = 0.25
    duplicate_power: float = 1.0

    name = "guided"
    summary = "visits by label trust, hardness and near-duplicates; selected ahead of training"
    uses_labels = True


@register
@dataclass(frozen=True)
class LabelFree(_OverEpochs):
    """Visit each sample at its own rate, based on near-duplicates alone.

    These are the visits of `GuidedSampler` without labels.

    Parameters
    ----------
    duplicate_power : float, default=1
        Power of the number of near-duplicates; 0 ignores them.
    """

    duplicate_power: float = 1.0

    name = "label-free"
    summary = "visits by near-duplicates, without labels; selected ahead of training"
    uses_labels = False


@dataclass(frozen=True)
class _ByLoss(_Powers):
    """Draw without replacement, with weights from trust, hardness, near-duplicates and loss.

    The weight is trust^c · hardness^a · loss^p / n^b, where a, b, c and p are the options, and n
    is the number of near-duplicates including the sample itself. The power of the trust is also
    normalized within each class.

    A large loss is less informative in a class with wrong labels, so a sample's power p
    decreases with the estimated noise rate in its class (see `guided_parts`).
    """

    loss_power: float = 0.5
    trust_power: float = 2.0
    hardness_power: float = 0.25
    duplicate_power: float = 1.0

    def precompute(self, labels: Indices, features: NDArray[np.floating]) -> Floats:
        """Return the parts of each sample's weight that stay constant during training.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
        features : array of shape (n_samples, d)

        Returns
        -------
        ndarray of shape (n_samples, 3)
            The parts of `guided_parts`.
        """
        parts, _ = guided_parts(_rows(features), labels, **asdict(self))
        return parts

    def _draw(self, loss: Floats, candidates: Candidates) -> Choice:
        # Infinite losses, from a network that has diverged, are treated as missing.
        loss = np.where(loss < np.inf, loss, np.nan)
        keys = log_weights(given(candidates, "precomputed"), loss)
        return Choice(gumbel_top_k(keys, candidates.n_keep, candidates.rng))


@register
@dataclass(frozen=True)
class GuidedLoss(_ByLoss):
    """Draw by each sample's most recent training loss and the weights of `Guided`.

    The selection needs no forward pass, and samples that are not selected are never loaded. A
    sample that has no loss yet is assigned the largest loss in its candidate batch.

    Parameters
    ----------
    loss_power : float, default=0.5
        Power of the loss in a class without wrong labels; 0 ignores the loss.
    trust_power : float, default=2
        Power of the label trust; 0 treats every label as correct.
    hardness_power : float, default=0.25
        Power of the hardness; 0 ignores it.
    duplicate_power : float, default=1
        Power of the number of near-duplicates; 0 ignores them.
    """

    name = "guided-loss"
    summary = "random draw by last loss and guided's weights; no forward pass"
    needs = frozenset({FEATURES, LAST_LOSS})

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by the most recent training losses."""
        return self._draw(fill_unknown(given(candidates, "last_loss")), candidates)


@register
@dataclass(frozen=True)
class GuidedFresh(_ByLoss):
    """Draw by each candidate's current loss and the weights of `Guided`.

    Parameters
    ----------
    loss_power : float, default=0.5
        Power of the loss in a class without wrong labels; 0 ignores the loss.
    trust_power : float, default=2
        Power of the label trust; 0 treats every label as correct.
    hardness_power : float, default=0.25
        Power of the hardness; 0 ignores it.
    duplicate_power : float, default=1
        Power of the number of near-duplicates; 0 ignores them.
    """

    name = "guided-fresh"
    summary = "random draw by current loss and guided's weights; needs a forward pass"
    needs = frozenset({FEATURES, FRESH})

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by the current model's losses."""
        loss = np.asarray(given(candidates, "fresh")().loss, np.float64)
        return self._draw(loss, candidates)


def _rows(features: Any) -> Rows:
    return Rows(check_matrix(features, "features"))
