"""AlignPrune: InfoBatch by how well the losses of a sample follow those of a clean set."""

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

_MIN_EPOCHS = 3  # the correlation of two points is always ±1
_MAX_EPOCHS = 10  # that a history has


@register
@dataclass(frozen=True)
class AlignPrune(InfoBatch):
    """InfoBatch with the alignment of loss trajectories in place of the loss.

    AlignPrune (Qin et al., CVPR 2026). Let lₑ be the loss of a sample at the end of epoch e,
    from its last training step, and cₑ the mean loss of a clean set, whose labels are right.
    The alignment of the sample is their Pearson correlation over the latest epochs. Samples
    whose alignment is below the mean are dropped with probability r, and weighed up otherwise:
    their losses do not fall as those of right labels do. Samples are kept as long as fewer than
    three epochs are over, and where the alignment is not defined.

    The clean set is scored after each epoch, which is charged; that its labels are known to be
    right is not. It has 1% as many samples as the training data. The driver takes it from the
    validation data, so these must have right labels, and a measurement on them is not
    independent of the training.

    Parameters
    ----------
    r : float, default=0.5
        Probability with which a sample of below-mean alignment is dropped, in [0, 1).
    delta : float, default=0.875
        Share of training after which nothing is dropped, in [0, 1].
    window : int, default=10
        Number of epochs whose losses are compared, from 3 to 10.
    rescale : bool, default=True
        Whether kept samples of below-mean alignment are weighed up, as in InfoBatch. If so,
        wrong labels keep their share in the expected gradient.
    """

    window: int = 10
    rescale: bool = True

    name = "alignprune"
    summary = "InfoBatch by the alignment of losses with those of a clean set (AlignPrune)"
    needs = frozenset({CLEAN, HISTORY, PROGRESS})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _MIN_EPOCHS <= self.window <= _MAX_EPOCHS:
            raise ValueError(
                f"window must be between {_MIN_EPOCHS} and {_MAX_EPOCHS} epochs; got {self.window}"
            )

    def score(self, history: History) -> Floats:
        """Return the alignment of each sample, less the mean over all samples.

        Parameters
        ----------
        history : History

        Returns
        -------
        ndarray of shape (n_samples,)
            NaN where it is not defined.
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
        """Keep and weigh; ``n_keep`` is not used."""
        choice = super().choose(candidates)
        return choice if self.rescale else Choice(choice.positions, np.ones(len(choice.positions)))

    def _droppable(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Return which candidates may be dropped."""
        below: NDArray[np.bool_] = given(candidates, "scores") < 0  # NaN is not
        return below


def _correlations(rows: Floats, reference: NDArray[Any]) -> Floats:
    """Return the Pearson correlation of each row with the reference, NaN if not defined."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        correlations: Floats = _standardized(rows) @ _standardized(reference)
    return correlations


def _standardized(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows less their mean, over their norm; NaN for a row that is constant."""
    centered = rows - rows.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(centered, axis=-1, keepdims=True)
    roundoff = rows.shape[-1] * np.finfo(np.float64).eps * abs(rows).max(axis=-1, keepdims=True)
    standardized: NDArray[Any] = np.where(norms > roundoff, centered / norms, np.nan)
    return standardized
