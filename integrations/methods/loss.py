"""Methods that go by the loss of the present model on every candidate.

A loss that is NaN or infinite is that of a network which has diverged. It has no order
and no weight: such candidates come after all others, and if there are no others the
choice is blind. Training goes on, and its record shows what happened.
"""

from dataclasses import dataclass

import numpy as np

from spectral_select._selectors.weighted_sampling import gumbel_top_k, top_k
from spectral_select._utils.validation import check_int, check_number
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    FRESH,
    PROGRESS,
    REFERENCE,
    Candidates,
    Choice,
    Floats,
    Method,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["LossSampling", "RhoLoss", "SelectiveBackprop", "TopLoss"]


def _fresh_loss(candidates: Candidates) -> Floats:
    return np.asarray(given(candidates, "fresh")().loss, np.float64)


@register
class TopLoss(Method):
    """The candidates with the largest loss.

    Online batch selection by loss (Loshchilov and Hutter, ICLR workshop 2016) without the
    draw; Ordered SGD (Kawaguchi and Lu, AISTATS 2020).
    """

    name = "top-loss"
    summary = "the largest losses of the current model"
    needs = frozenset({FRESH})

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by fresh loss; of equal ones, those that come first.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        return Choice(top_k(_fresh_loss(candidates), candidates.n_keep))


@register
@dataclass(frozen=True)
class LossSampling(Method):
    """A draw without replacement in proportion to a power of the loss.

    Drawing by importance (Katharopoulos and Fleuret, ICML 2018) with the loss for the
    norm of the gradient, without weights.

    Parameters
    ----------
    power : float, default=0.5
        At least 0, which draws uniformly; the larger, the nearer to the largest losses.
    """

    power: float = 0.5

    name = "loss-sampling"
    summary = "drawn in proportion to a power (1/2) of the current loss"
    needs = frozenset({FRESH})

    def __post_init__(self) -> None:
        check_number(self.power, "power", 0, 1e6)

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by fresh loss; candidates without a loss only when no other is left.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        loss = _fresh_loss(candidates)
        finite = np.isfinite(loss)
        # A loss of 0 has almost no weight, but ranks before a loss that is not a number.
        floored = np.maximum(np.where(finite, loss, 0.0), np.finfo(np.float64).tiny)
        logs = np.where(finite, self.power * np.log(floored), -np.inf)
        return Choice(gumbel_top_k(logs, candidates.n_keep, candidates.rng))


@register
@dataclass(frozen=True)
class SelectiveBackprop(Method):
    """A draw by the percentile of the loss, in a part of training, in some of its batches.

    Selective Backprop (Jiang et al., arXiv:1910.00762) in the form and with the defaults
    of MosaicML's Composer: with a share keep of n to be chosen, the candidate with the
    r-th smallest loss is drawn in proportion to ((r − 1/2)/n)^(1/keep − 1), without
    replacement. Batches that are not chosen from are trained on whole and not scored.

    Parameters
    ----------
    start, end : float
        It chooses while the share of training done is in [start, end).
    interrupt : int
        Every interrupt-th batch, counted over all of training, is left whole;
        0 leaves none.
    """

    start: float = 0.5
    end: float = 0.9
    interrupt: int = 2

    name = "selective-backprop"
    summary = "drawn by loss percentile, every second batch, from 50% to 90% of training"
    needs = frozenset({FRESH, PROGRESS})

    def __post_init__(self) -> None:
        check_number(self.start, "start", 0, 1)
        check_number(self.end, "end", 0, 1)
        check_int(self.interrupt, "interrupt", 0)
        if self.start >= self.end:
            raise ValueError(f"start must be less than end; got {self.start} and {self.end}")

    def choose(self, candidates: Candidates) -> Choice:
        """Draw ``n_keep`` where it is time to choose, else keep all.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        n, k = len(candidates), candidates.n_keep
        chooses = self.start <= given(candidates, "progress") < self.end
        if self.interrupt and (given(candidates, "step") + 1) % self.interrupt == 0:
            chooses = False
        if not chooses or k == n:
            return Choice(np.arange(n))
        loss = _fresh_loss(candidates)
        percentiles = np.empty(n)
        percentiles[np.argsort(loss, kind="stable")] = (np.arange(n) + 0.5) / n
        logs = (n / k - 1) * np.log(percentiles)
        logs[~np.isfinite(loss)] = -np.inf
        return Choice(gumbel_top_k(logs, k, candidates.rng))


@register
class RhoLoss(Method):
    """The candidates whose loss exceeds a reference model's the most.

    RHO-LOSS (Mindermann et al., ICML 2022): the reducible holdout loss, large where
    something can be learnt yet, small where it is learnt or cannot be (wrong labels).
    """

    name = "rho-loss"
    summary = "the largest loss minus reference loss"
    needs = frozenset({FRESH, REFERENCE})

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by fresh less reference loss; of equal ones, those that come first.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        reference = np.asarray(given(candidates, "reference").loss, np.float64)
        with np.errstate(invalid="ignore"):  # inf − inf: comes last, as any other
            return Choice(top_k(_fresh_loss(candidates) - reference, candidates.n_keep))
