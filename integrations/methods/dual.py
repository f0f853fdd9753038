"""DUAL: a fixed subset, drawn by difficulty and uncertainty in a preliminary training run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._selectors.weighted_sampling import gumbel_top_k, top_k
from spectral_select._utils.validation import check_int, check_number
from spectral_select.integrations.methods.interface import (
    DYNAMICS,
    Candidates,
    Choice,
    Floats,
    Indices,
    Method,
    Visits,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["DUAL"]

_N_ANCHORS = 10  # number of samples whose mean is μ
_TINY = 1e-6  # keeps mean probabilities away from 0 and 1, where the Beta density may be infinite


@register
@dataclass(frozen=True)
class DUAL(Method):
    """Train on one subset throughout, drawn by difficulty and uncertainty.

    DUAL (Cho, Shin, Kang and Yun, ICML 2025). First, a network is trained on all samples for T
    epochs; this preliminary run is charged to the method. Let p be the probability that this
    network assigns to a sample's label, one value per epoch. The score of the sample is

    (1)  D = mean of std(p)·(1 − mean(p)) over all windows of J successive epochs.

    Samples are drawn without replacement, with weights D·f(m), where m is the mean of p over all
    epochs and f is the density of a Beta distribution,

    (2)  f(m) ∝ m^(a − 1)·(1 − m)^(b − 1),  b = C·(1 − μ)·(1 − s^c),  a = C + 1 − b,

    where s is the share of the data that is discarded and μ is the mean of m over the ten samples
    with the largest D. A larger discarded share makes b smaller, so easier samples are drawn. μ
    and a are those of the authors' code (github.com/behaapyy/dual-pruning).

    Losses are not weighted. Training on the subset starts again from the initial weights.
    Difference from the paper: p is computed in the training step on the sample instead of at
    the end of each epoch, so the T epochs need no extra forward pass.

    Parameters
    ----------
    epochs : int, default=30
        Number T of epochs in the preliminary training run.
    window : int, default=10
        Number J of epochs in a window, from 2 to `epochs`.
    concentration : float, default=15
        C of (2), above 0: the parameters of the Beta distribution add up to C + 1.
    exponent : float, default=5.5
        Exponent c, above 0. With a smaller exponent, easy samples are preferred even if a smaller
        share is discarded.
    """

    epochs: int = 30
    window: int = 10
    concentration: float = 15.0
    exponent: float = 5.5

    name = "dual"
    summary = "one subset by difficulty and uncertainty, after 30 epochs on all samples (DUAL)"
    needs = frozenset({DYNAMICS})

    def __post_init__(self) -> None:
        check_int(self.window, "window", 2)
        check_int(self.epochs, "epochs", self.window)
        check_number(self.concentration, "concentration", 0, 1e6, closed="right")
        check_number(self.exponent, "exponent", 0, 1e6, closed="right")

    @property
    def schedules_epoch(self) -> bool:
        """True: all epochs visit the same subset."""
        return True

    @property
    def n_dynamics(self) -> int:
        """The number of epochs in the preliminary training run."""
        return self.epochs

    def visits(
        self,
        labels: Indices,
        features: Any,
        n_selected: Callable[[int], int],
        *,
        seed: int,
        dynamics: Floats | None = None,
    ) -> Visits:
        """Draw the subset and return its visits.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Not used.
        features : array of shape (n_samples, d) or None
            Not used.
        n_selected : callable
            ``n_selected(epoch)`` is the number of samples to draw, the same for all epochs.
        seed : int
            Seed for the draw.
        dynamics : ndarray of shape (n_samples, n_epochs)
            Probability of each sample's label in each epoch of the preliminary training run.

        Returns
        -------
        Visits
        """
        if dynamics is None:
            raise ValueError(
                "the method needs probabilities from a preliminary training run; got None"
            )
        n, n_kept = len(dynamics), n_selected(0)
        log_weights = self._log_weights(np.asarray(dynamics, np.float64), 1 - n_kept / n)
        return _Subset(gumbel_top_k(log_weights, n_kept, np.random.default_rng(seed)), n)

    def _log_weights(self, p: Floats, discarded: float) -> Floats:
        """Return the logarithm of each sample's weight, D·f(m)."""
        windows = np.lib.stride_tricks.sliding_window_view(p, self.window, axis=1)
        D = (windows.std(axis=2) * (1 - windows.mean(axis=2))).mean(axis=1)
        m = p.mean(axis=1)
        mu = m[top_k(D, min(_N_ANCHORS, len(D)))].mean()
        b = self.concentration * (1 - mu) * (1 - discarded**self.exponent)
        a = self.concentration + 1 - b
        m = np.clip(m, _TINY, 1 - _TINY)
        with np.errstate(divide="ignore"):  # samples with a score of 0 are drawn last
            log_weights: Floats = np.log(D) + (a - 1) * np.log(m) + (b - 1) * np.log1p(-m)
        return log_weights

    def choose(self, candidates: Candidates) -> Choice:
        """Raise an error: the subset is drawn from all samples, not from a candidate batch.

        Parameters
        ----------
        candidates : Candidates

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("method 'dual' selects from all samples; it cannot choose from a batch")


class _Subset:
    """The same samples in each epoch."""

    def __init__(self, indices: Indices, n: int) -> None:
        self._mask: NDArray[np.bool_] = np.zeros(n, bool)
        self._mask[indices] = True

    def prepare(self) -> "_Subset":
        """Return the subset; there is nothing to compute."""
        return self

    def select(self, epoch: int, order: Indices) -> Indices:
        """Return the samples of the subset, in the given order of all samples."""
        selected: Indices = order[self._mask[order]]
        return selected
