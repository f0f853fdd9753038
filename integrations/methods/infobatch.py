"""InfoBatch: randomly drop samples that are already learned, and reweight the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.validation import check_number
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    LAST_LOSS,
    PROGRESS,
    Candidates,
    Choice,
    Method,
)
from spectral_select.integrations.methods.random_pruning import prune
from spectral_select.integrations.methods.registry import register

__all__ = ["InfoBatch"]


@register
@dataclass(frozen=True)
class InfoBatch(Method):
    """Drop candidates with below-average loss with probability r; upweight them if kept.

    InfoBatch (Qin et al., ICLR 2024). The loss is each sample's most recent training loss, so
    no extra forward pass is needed; the average is over all samples trained on so far. Samples
    whose loss is unknown or NaN are kept. Once a fraction `delta` of training is done, all
    samples are kept. These rules determine how many samples are kept; the requested filter
    ratio is ignored. Results count only the samples actually trained on.

    The driver averages weight times loss over the kept samples. A sample's weight is the kept
    share of the candidates, divided by the sample's probability of being kept (1 or 1 − r).
    So in expectation, this average and its gradient equal the candidates' unweighted mean loss
    and its gradient (Horvitz and Thompson, 1952).

    Parameters
    ----------
    r : float, default=0.5
        Probability of dropping a sample with below-average loss, in [0, 1).
    delta : float, default=0.875
        Fraction of training after which nothing is dropped, in [0, 1].
    """

    r: float = 0.5
    delta: float = 0.875

    name = "infobatch"
    summary = "drops half of the samples with below-average loss, reweights the rest (InfoBatch)"
    needs = frozenset({LAST_LOSS, PROGRESS})
    weighted = True
    sets_own_count = True

    def __post_init__(self) -> None:
        check_number(self.r, "r", 0, 1, closed="left")
        check_number(self.delta, "delta", 0, 1)

    def choose(self, candidates: Candidates) -> Choice:
        """Choose and weight the samples to keep; ``n_keep`` is not used."""
        n = len(candidates)
        if given(candidates, "progress") >= self.delta:
            return Choice(np.arange(n), np.ones(n))
        kept, probability = prune(self._droppable(candidates), self.r, candidates.rng)
        positions = np.flatnonzero(kept)
        return Choice(positions, len(positions) / n / probability[positions])

    def _droppable(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Return which candidates may be dropped."""
        # Comparisons with NaN are False, so samples are kept if their loss or the mean is NaN.
        below: NDArray[np.bool_]
        below = given(candidates, "last_loss") < given(candidates, "mean_last_loss")
        return below
