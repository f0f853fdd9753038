"""RePB: losses are compared within their batch, and samples weigh by how rarely they came."""

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
    """Drop samples of below-mean loss in their batch; weigh by epochs over times trained on.

    RePB (Zhou et al., ICLR 2026). Losses of different steps come from different networks. So
    a loss is compared with the mean of the batch that it was computed in, when its sample was
    last trained on, and no forward pass is paid for. A sample below that mean is dropped with
    probability 1 − ρ; a sample that was never trained on is kept. How many are kept follows
    from that: the filter ratio asked for has no effect, and what was trained on counts.

    A kept sample has the weight E / N, with E epochs so far and N times that it was trained on,
    both including this one. The driver takes the mean over the kept samples, so weights are
    multiplied by the number kept over the number of candidates: summed over the epochs, each
    sample then counts as often as in training on everything.

    Parameters
    ----------
    rho : float, default=0.5
        Probability ρ with which a sample of below-mean loss is kept, in [1e-6, 1].
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
        """Return the excess loss of each sample, and its weight E / N if it is kept.

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
        """Keep and weigh; ``n_keep`` is not used."""
        excess, weights = given(candidates, "scores").T
        # NaN, for a sample that was never trained on, is not below 0.
        kept, _ = prune(excess < 0, 1 - self.rho, candidates.rng)
        positions = np.flatnonzero(kept)
        return Choice(positions, len(positions) / len(candidates) * weights[positions])
