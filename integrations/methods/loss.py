"""Methods that use the current model's loss on every candidate.

A NaN or infinite loss means that the network has diverged. Candidates with such a loss cannot
be ranked or weighted, so they come after all others; if there are no others, the choice is
arbitrary. Training continues, and its record shows the divergence.
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
    """Select the candidates with the largest loss.

    This is Ordered SGD (Kawaguchi and Lu, AISTATS 2020). It is also online batch selection by
    loss (Loshchilov and Hutter, ICLR workshop 2016) without random draws.
    """

    name = "top-loss"
    summary = "the largest losses of the current model"
    needs = frozenset({FRESH})

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by the current model's loss; ties are broken in favor of the first candidates."""
        return Choice(top_k(_fresh_loss(candidates), candidates.n_keep))


@register
@dataclass(frozen=True)
class LossSampling(Method):
    """Draw without replacement, with weights proportional to a power of the loss.

    This is importance sampling (Katharopoulos and Fleuret, ICML 2018) with the loss instead
    of the gradient norm, and without reweighting the selected samples.

    Parameters
    ----------
    power : float, default=0.5
        Power of the loss, at least 0. With 0, draws are uniform; larger values favor larger
        losses more.
    """

    power: float = 0.5

    name = "loss-sampling"
    summary = "drawn with weights proportional to a power (1/2) of the current loss"
    needs = frozenset({FRESH})

    def __post_init__(self) -> None:
        check_number(self.power, "power", 0, 1e6)

    def choose(self, candidates: Candidates) -> Choice:
        """Draw by the current model's loss; candidates without a valid loss come last."""
        loss = _fresh_loss(candidates)
        finite = np.isfinite(loss)
        # Candidates with a loss of 0 have almost no weight, but rank before non-finite losses.
        floored = np.maximum(np.where(finite, loss, 0.0), np.finfo(np.float64).tiny)
        logs = np.where(finite, self.power * np.log(floored), -np.inf)
        return Choice(gumbel_top_k(logs, candidates.n_keep, candidates.rng))


@register
@dataclass(frozen=True)
class SelectiveBackprop(Method):
    """Draw by loss percentile, in some batches during part of training.

    Selective Backprop (Jiang et al., arXiv:1910.00762), with the weights and defaults of
    MosaicML's Composer. If a fraction f of n candidates is kept, the candidate with the r-th
    smallest loss has weight ((r − 1/2)/n)^(1/f − 1), and candidates are drawn without
    replacement. In batches without selection, every sample is trained on and none is scored.

    Parameters
    ----------
    start, end : float
        Select while the fraction of training done is in [start, end).
    interrupt : int
        Every `interrupt`-th batch, counted over all of training, is trained on in full; with 0,
        selection is never interrupted.
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
        """Draw ``n_keep`` candidates if selection is active, otherwise keep all."""
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
    """Select the candidates whose loss exceeds a reference model's loss the most.

    RHO-LOSS (Mindermann et al., ICML 2022). The difference, called the reducible holdout loss,
    is large for samples that can still be learned. It is small for samples that are already
    learned, and for samples that cannot be learned, such as those with wrong labels.
    """

    name = "rho-loss"
    summary = "the largest loss minus reference loss"
    needs = frozenset({FRESH, REFERENCE})

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by reducible loss; ties are broken in favor of the first candidates."""
        reference = np.asarray(given(candidates, "reference").loss, np.float64)
        with np.errstate(invalid="ignore"):  # inf − inf is NaN, which comes last
            return Choice(top_k(_fresh_loss(candidates) - reference, candidates.n_keep))
