"""The samples that each epoch visits, by label trust and hardness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from spectral_select._features.feature_table import FeatureRows
from spectral_select._labels.label_trust import label_trust
from spectral_select._samplers.stride_scheduler import StrideScheduler
from spectral_select._selectors.guided_selector import guided_parts
from spectral_select._utils.labels import check_labels, class_codes
from spectral_select._utils.validation import check_features, check_finite

__all__ = ["GuidedVisits"]

Indices = npt.NDArray[np.int64]


class GuidedVisits:
    """Schedules the visits of all samples, at rates given by label trust and hardness.

    Parameters
    ----------
    rows : FeatureRows
        Features of the whole dataset.
    labels : array-like of shape (n,)
        Labels: integers or strings.
    n_selected : callable
        ``n_selected(epoch)`` is the number of samples in an epoch, in [0, n].
    hardness_power, trust_power : float
        As in `GuidedSampler`.
    seed : int
        Seed for the times of the first visits.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The sorted classes.
    codes : ndarray of shape (n,), int64
        Index of each label among the classes.
    """

    def __init__(
        self,
        rows: FeatureRows,
        labels: Any,
        n_selected: Callable[[int], int],
        *,
        hardness_power: float,
        trust_power: float,
        seed: int,
    ) -> None:
        self._rows, self._n_selected, self._seed = rows, n_selected, seed
        self._hardness_power, self._trust_power = hardness_power, trust_power
        labels = check_labels(labels, rows.n_rows, "labels")
        self.classes, self.codes = class_codes(labels, "labels")
        self._scheduler: StrideScheduler | None = None

    def prepare(self) -> StrideScheduler:
        """Compute the label trust of the dataset, once, and return the scheduler."""
        if self._scheduler is None:
            X = check_features(self._rows.whole(), "features")
            check_finite(X, "features")  # features on disk have not been read yet
            parts = guided_parts(
                label_trust(X, self.codes),
                self.codes,
                hardness_power=self._hardness_power,
                trust_power=self._trust_power,
                loss_power=0.0,
            )
            trust, hardness, _ = parts.T
            self._scheduler = StrideScheduler(trust, self._n_selected, self._seed, growing=hardness)
        return self._scheduler

    def select(self, epoch: int, order: Indices) -> Indices:
        """Return the samples that an epoch visits, in the given order of all samples."""
        selected: Indices = order[self.prepare().select(epoch, order)]
        return selected
