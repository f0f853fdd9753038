"""RePB: compare losses within their batch, and weight samples by how rarely they were used."""

from dataclasses import dataclass

import numpy as np

from spectral_select._utils.validation import check_number
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    HISTORY,
    Candidates,
    Choice,
    Floats,
    History,
    Method,
)
from spectral_select.integrations.methods.random_pruning import prune
from spectral_select.integrations.methods.registry import register

__all__ = ["RePB"]


@register
@dataclass(frozen=True)
class RePB(Method):
    """Randomly drop samples whose loss is below their batch's mean, and weight the rest.

    RePB (Zhou et al., ICLR 2026). Losses from different steps come from different networks. So
    a sample's most recent training loss is compared with the mean loss of its batch in that
    step, and no extra forward pass is needed. If the loss is below that mean, the sample is
    dropped with probability 1 − ρ; a sample that has not been trained on yet is kept. These rules
    determine how many samples are kept; the requested filter ratio is ignored. Results count only
    the samples actually trained on.

    A kept sample has weight E / N, where E is the number of epochs so far and N the number of
    times the sample has been trained on, both including the current epoch. The driver averages
    over the kept samples, so the weights are multiplied by the kept share of the candidates.
    Summed over the epochs, each sample then has about the same weight as without selection.

    Parameters
    ----------
    rho : float, default=0.5
        Probability ρ of keeping a sample whose loss is below the mean, in [1e-6, 1].
    """

    rho: float = 0.5

    name = "repb"
    summary = "drops half of the samples below the mean loss of their batch, weights by E/N (RePB)"
    needs = frozenset({HISTORY})
    weighted = True
    sets_own_count = True

    def __post_init__(self) -> None:
        check_number(self.rho, "rho", 1e-6, 1)

    def score(self, history: History) -> Floats:
        """Return each sample's excess loss, and its weight E / N if it is kept.

        Parameters
        ----------
        history : History

        Returns
        -------
        ndarray of shape (n_samples, 2)
        """
        weights = (history.epoch + 1) / (history.n_trained + 1)
        return np.stack([history.excess_loss, weights], axis=1)

    def choose(self, candidates: Candidates) -> Choice:
        """Choose and weight the samples to keep; ``n_keep`` is not used."""
        excess, weights = given(candidates, "scores").T
        # The excess of a sample that was never trained on is NaN, which is not below 0.
        kept, _ = prune(excess < 0, 1 - self.rho, candidates.rng)
        positions = np.flatnonzero(kept)
        return Choice(positions, len(positions) / len(candidates) * weights[positions])
