"""The samples that each epoch visits, based on label trust, hardness and near-duplicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._features.feature_table import FeatureRows
from spectral_select._samplers.sample_scores import SampleScores
from spectral_select._samplers.stride_scheduler import StrideScheduler
from spectral_select._selectors.guided_weights import guided_parts
from spectral_select._utils.labels import check_labels, class_codes
from spectral_select._utils.validation import check_matrix

__all__ = ["GuidedVisits"]

Indices = npt.NDArray[np.int64]


class GuidedVisits:
    """Schedules the visits of all samples, at rates given by the weights of `guided_parts`.

    Parameters
    ----------
    rows : FeatureRows
        Features of the whole dataset.
    labels : array-like of shape (n,) or None
        Labels: integers or strings.
    n_selected : callable
        ``n_selected(epoch)`` is the number of samples in an epoch, in [0, n].
    hardness_power, trust_power, duplicate_power : float
        As in `GuidedSampler`.
    seed : int
        Seed for the times of the first visits.
    """

    def __init__(
        self,
        rows: FeatureRows,
        labels: Any,
        n_selected: Callable[[int], int],
        *,
        hardness_power: float,
        trust_power: float,
        duplicate_power: float,
        seed: int,
    ) -> None:
        self._rows, self._n_selected, self._seed = rows, n_selected, seed
        self._powers = {
            "hardness_power": hardness_power,
            "trust_power": trust_power,
            "duplicate_power": duplicate_power,
        }
        self._classes = self._codes = None
        if labels is not None:
            if isinstance(rows, SampleScores):
                raise ValueError("labels must be None with saved scores, which replace the labels")
            labels = check_labels(labels, rows.n_rows, "labels")
            self._classes, self._codes = class_codes(labels, "labels")
        self._scheduler: StrideScheduler | None = None

    def prepare(self) -> StrideScheduler:
        """Compute the weights of the dataset, once, and return the scheduler."""
        if self._scheduler is None:
            if isinstance(self._rows, SampleScores):
                parts = self._rows.log_parts(**self._powers)
            else:
                rows = Rows(check_matrix(self._rows.whole(), "features"))
                parts, _ = guided_parts(rows, self._codes, **self._powers)
            self._scheduler = StrideScheduler(
                parts[:, 0], self._n_selected, self._seed, growing=parts[:, 1]
            )
        return self._scheduler

    def select(self, epoch: int, order: Indices) -> Indices:
        """Return the samples that an epoch visits, in the given order of all samples."""
        selected: Indices = order[self.prepare().select(epoch, order)]
        return selected

    def fingerprint(self) -> str:
        """Return a short string that identifies the labels."""
        if self._classes is None or self._codes is None:
            return "none"
        names = crc32(repr(self._classes.tolist()).encode())
        content = crc32(np.ascontiguousarray(self._codes, "<i8").tobytes(), names)
        return f"{len(self._codes)}-{content:08x}"
