"""InfoBatch: some of what is learnt already is dropped at random, the rest counts for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_select import make_schedule
from spectral_select._samplers.schedules import Schedule
from spectral_select._selectors.ratio import check_filter_ratio
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
    """Drop candidates of below-mean loss with probability r; weigh up those that stay.

    InfoBatch (Qin et al., ICLR 2024). The loss is the one that a sample had when last
    trained on, so no forward pass is paid for; the mean is over all samples trained on so
    far. Samples without a loss yet, or with one that was NaN, are kept, and from `delta`
    on all are. How many are kept follows from that: the filter ratio asked for has no
    say, and what was trained on counts.

    The driver takes the mean of weight times loss over the kept samples. A weight here is
    the number kept over the number of candidates, divided by the sample's probability of
    being kept (1 or 1 − r). That mean then has the candidates' plain mean loss as its
    expectation, and its gradient theirs (Horvitz and Thompson, 1952).

    Parameters
    ----------
    r : float, default=0.5
        Probability with which a sample of below-mean loss is dropped, in [0, 1).
    delta : float, default=0.875
        Share of training after which nothing is dropped, in [0, 1].
    """

    r: float = 0.5
    delta: float = 0.875

    name = "infobatch"
    summary = "drops half of the samples below the mean last loss, weights the rest (InfoBatch)"
    needs = frozenset({LAST_LOSS, PROGRESS})
    weighted = True

    def __post_init__(self) -> None:
        check_number(self.r, "r", 0, 1, closed="left")
        check_number(self.delta, "delta", 0, 1)

    def schedule(self, filter_ratio: float, n_epochs: int) -> Schedule:
        """Return 0 throughout: no share is discarded by a schedule.

        Parameters
        ----------
        filter_ratio : float
            Share of each candidate batch to be discarded, in [0, 1); not used.
        n_epochs : int
            Number of epochs of the training.

        Returns
        -------
        Schedule
        """
        check_filter_ratio(filter_ratio)
        return make_schedule(0.0)

    def choose(self, candidates: Candidates) -> Choice:
        """Keep and weigh; ``n_keep`` is not used.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        n = len(candidates)
        if given(candidates, "progress") >= self.delta:
            return Choice(np.arange(n), np.ones(n))
        kept, probability = prune(self._droppable(candidates), self.r, candidates.rng)
        positions = np.flatnonzero(kept)
        return Choice(positions, len(positions) / n / probability[positions])

    def _droppable(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Return which candidates may be dropped."""
        # NaN, for a loss or for a mean of none, is not below anything.
        below: NDArray[np.bool_]
        below = given(candidates, "last_loss") < given(candidates, "mean_last_loss")
        return below
