"""AlignPrune: InfoBatch based on how closely losses follow the losses on a clean set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.infobatch import InfoBatch
from spectral_select.integrations.methods.interface import (
    CLEAN,
    HISTORY,
    PROGRESS,
    Candidates,
    Choice,
    Floats,
    History,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["AlignPrune"]

_MIN_EPOCHS = 3  # over two epochs, a correlation can only be ±1
_MAX_EPOCHS = 10  # the number of epochs that a `History` keeps


@register
@dataclass(frozen=True)
class AlignPrune(InfoBatch):
    """InfoBatch with the alignment of loss trajectories in place of the loss.

    AlignPrune (Qin et al., CVPR 2026). Let lₑ be a sample's most recent training loss as of the
    end of epoch e, and cₑ the mean loss on a clean set, that is, on samples with correct labels.
    The alignment of the sample is the Pearson correlation of lₑ and cₑ over the latest epochs.
    If the alignment is below its mean over all samples, the sample's losses do not fall like
    those of correctly labeled samples, so the sample is dropped with probability r, and
    upweighted if it is kept. All samples are kept until three epochs are complete. Samples whose
    alignment is undefined are always kept.

    The cost of scoring the clean set after each epoch is charged to the method; the cost of
    obtaining correct labels is not. The clean set has 1% as many samples as the training data.
    The driver takes it from the validation data. So the validation labels must be correct, and
    results on the validation data are not independent of training.

    Parameters
    ----------
    r : float, default=0.5
        Probability of dropping a sample with below-average alignment, in [0, 1).
    delta : float, default=0.875
        Fraction of training after which nothing is dropped, in [0, 1].
    window : int, default=10
        Number of epochs whose losses are compared, from 3 to 10.
    rescale : bool, default=True
        Whether to upweight kept samples with below-average alignment, as in InfoBatch. If so,
        wrong labels keep their share of the expected gradient.
    """

    window: int = 10
    rescale: bool = True

    name = "alignprune"
    summary = "InfoBatch based on how closely losses follow those on a clean set (AlignPrune)"
    needs = frozenset({CLEAN, HISTORY, PROGRESS})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _MIN_EPOCHS <= self.window <= _MAX_EPOCHS:
            raise ValueError(
                f"window must be between {_MIN_EPOCHS} and {_MAX_EPOCHS} epochs; got {self.window}"
            )

    def score(self, history: History) -> Floats:
        """Return the alignment of each sample minus the mean alignment of all samples.

        Parameters
        ----------
        history : History

        Returns
        -------
        ndarray of shape (n_samples,)
            NaN where the alignment is undefined.
        """
        known = np.flatnonzero(np.isfinite(history.clean_losses[-self.window :]))
        losses = history.losses[:, -self.window :][:, known]
        if len(known) < _MIN_EPOCHS:
            return np.full(len(losses), np.nan)
        alignment = _correlations(losses, history.clean_losses[-self.window :][known])
        defined = np.isfinite(alignment)
        mean = alignment[defined].mean() if defined.any() else np.nan
        excess: Floats = alignment - mean
        return excess

    def choose(self, candidates: Candidates) -> Choice:
        """Choose and weight the samples to keep; ``n_keep`` is not used."""
        choice = super().choose(candidates)
        return choice if self.rescale else Choice(choice.positions, np.ones(len(choice.positions)))

    def _droppable(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Return which candidates may be dropped."""
        below: NDArray[np.bool_] = given(candidates, "scores") < 0  # False for NaN
        return below


def _correlations(rows: Floats, reference: NDArray[Any]) -> Floats:
    """Return the Pearson correlation of each row with the reference; NaN where undefined."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        correlations: Floats = _standardized(rows) @ _standardized(reference)
    return correlations


def _standardized(rows: NDArray[Any]) -> NDArray[Any]:
    """Center the rows and scale them to unit norm; constant rows become NaN."""
    centered = rows - rows.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(centered, axis=-1, keepdims=True)
    roundoff = rows.shape[-1] * np.finfo(np.float64).eps * abs(rows).max(axis=-1, keepdims=True)
    standardized: NDArray[Any] = np.where(norms > roundoff, centered / norms, np.nan)
    return standardized
