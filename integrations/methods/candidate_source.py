"""Build the candidates for a method, including only the data it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.methods.interface import (
    FEATURES,
    FRESH,
    HISTORY,
    LAST_LOSS,
    PROGRESS,
    REFERENCE,
    Candidates,
    Method,
    Outputs,
)

__all__ = ["CandidateSource"]


@dataclass(frozen=True)
class CandidateSource:
    """A selection method and the per-sample training data its candidates are built from.

    Attributes
    ----------
    method : Method
        The selection method; `Method.needs` lists the data its candidates must include.
    labels : ndarray of shape (n_samples,), int64
        Class label of each training sample.
    features : array of shape (n_samples, d), optional
        Features of the training data.
    precomputed : array of shape (n_samples, ...), optional
        Result of `Method.precompute`.
    reference : Outputs, optional
        Outputs of a reference model on the training data.

    Examples
    --------
    >>> from spectral_select.integrations.methods import get_method
    >>> source = CandidateSource(get_method("random"), np.array([0, 1, 0]))
    >>> source.candidates(np.array([2, 1]), 1, np.random.default_rng(0)).labels
    array([0, 1])
    """

    method: Method
    labels: NDArray[np.int64]
    features: Any = None
    precomputed: Any = None
    reference: Outputs | None = None

    def candidates(
        self,
        indices: NDArray[np.int64],
        n_keep: int,
        rng: np.random.Generator,
        *,
        last_loss: Callable[[], tuple[NDArray[np.floating[Any]], float]] | None = None,
        scores: Callable[[], Any] | None = None,
        fresh: Callable[[], Outputs] | None = None,
        progress: float | None = None,
        step: int | None = None,
    ) -> Candidates:
        """Return the candidates at `indices`.

        Parameters
        ----------
        indices : ndarray of shape (n,), int64
            Indices into the training data.
        n_keep : int
            Number of candidates to keep.
        rng : Generator
            Random generator for this batch.
        last_loss : callable, optional
            Returns each candidate's most recent loss, and the mean of the most recent losses
            over all samples.
        scores : callable, optional
            Returns the result of `Method.score` in this epoch, for all samples.
        fresh : callable, optional
            Returns the current model's outputs on the candidates.
        progress, step : float and int, optional
            Fraction and number of the training steps done so far.

        Returns
        -------
        Candidates
        """
        needs = self.method.needs
        losses, mean_loss = last_loss() if last_loss and LAST_LOSS in needs else (None, None)
        table = scores() if scores and HISTORY in needs else None
        return Candidates(
            indices,
            self.labels[indices],
            n_keep,
            rng,
            features=self.features[indices] if FEATURES in needs else None,
            precomputed=None if self.precomputed is None else self.precomputed[indices],
            last_loss=losses,
            mean_last_loss=mean_loss,
            scores=None if table is None else table[indices],
            fresh=fresh if FRESH in needs else None,
            reference=self.reference.take(indices)
            if self.reference is not None and REFERENCE in needs
            else None,
            progress=progress if PROGRESS in needs else None,
            step=step if PROGRESS in needs else None,
        )
