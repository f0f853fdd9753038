"""Inspection of a dataset that is read block by block, in any order and by any engine.

The blocks are read three times:

1. `accumulate_sample` and `combine_samples` build a `RowSample`, from which an `InspectionPlan`
   chooses graphs, landmarks and thresholds;
2. `InspectionPlan.accumulate` and `combine_sums` compute sums for an `InspectionScorer`, and
   `InspectionPlan.cells_of` sorts the rows into cells, in which near-duplicates are found
   (`duplicate_cells`);
3. `InspectionScorer.score` returns the scores of each block.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.duplicate_counts import near_duplicate_distance
from spectral_select._dataset_graph.near_pairs import Points, nearest_cells
from spectral_select._dataset_graph.similarity_graph import Block, Rows
from spectral_select._inspection.duplicate_cells import CELLS, CellPairs, close_pairs, n_cells
from spectral_select._inspection.outliers import (
    is_below,
    mean_degrees,
    outlier_fence,
    outlier_graph,
    outlier_score,
)
from spectral_select._inspection.row_sample import RowBlock, RowSample, hash_keys
from spectral_select._labels.label_filter import (
    LabelFilter,
    choose_label_graph,
    label_factors,
    sampled_rows,
    solve_label_filter,
)
from spectral_select._labels.label_scores import LabelScorer
from spectral_select._labels.label_sums import LabelSums, accumulate_labels, combine_label_sums

__all__ = ["InspectOptions", "InspectionPlan", "InspectionScorer", "InspectionSums", "combine_sums"]

_MOST_DEGREES = 2**20  # maximum number of degrees used to compute the median and the fence
_SAMPLE = 20_000  # rows used to choose graphs, landmarks and thresholds


@dataclass(frozen=True)
class InspectOptions:
    """Options of an inspection; see `inspect_dataset`."""

    n_landmarks: int = 1024
    duplicate_similarity: float | None = None
    seed: int = 0

    @property
    def sample_size(self) -> int:
        """Number of rows in the sample; a smaller dataset is used as a whole."""
        return max(_SAMPLE, self.n_landmarks)


@dataclass
class InspectionSums:
    """Sums for the label filter (None if they are not needed), and the degrees of some rows."""

    labels: LabelSums | None
    degrees: NDArray[np.float64]


def combine_sums(states: Iterable[InspectionSums]) -> InspectionSums:
    """Return the sums over all blocks, added one at a time in the given order."""
    return reduce(_both, states, InspectionSums(None, np.empty(0)))


def _both(a: InspectionSums, b: InspectionSums) -> InspectionSums:
    given = [state.labels for state in (a, b) if state.labels is not None]
    labels = combine_label_sums(given) if len(given) == 2 else next(iter(given), None)
    return InspectionSums(labels, np.concatenate([a.degrees, b.degrees]))


class InspectionPlan:
    """Graphs, landmarks and thresholds for a dataset, chosen from a sample.

    Parameters
    ----------
    sample : RowSample
        The sample: `InspectOptions.sample_size` rows, or all rows of a smaller dataset.
    classes : ndarray of shape (n_classes,)
        The classes; empty without labels.
    options : InspectOptions
        Options.
    """

    def __init__(self, sample: RowSample, classes: NDArray[Any], options: InspectOptions) -> None:
        n, self.options, self.classes = sample.moments.n, options, classes
        self._mean, self._scale = sample.moments.mean_and_scale()
        rows = self._sample = Rows.scaled(sample.features, self._mean, self._scale)
        order = np.arange(rows.n)  # rows are already in random order; see RowSample
        landmarks = order[: options.n_landmarks]
        self.n_landmarks = len(landmarks)
        self._last_landmark = sample.hashes[landmarks[-1]]
        self._last_degree = np.uint64(
            2**64 - 1 if n <= _MOST_DEGREES else _MOST_DEGREES * 2**64 // n
        )
        self._outlier_graph = outlier_graph(rows, landmarks)
        points = Points(rows)
        self._limit = near_duplicate_distance(
            points, options.seed, similarity=options.duplicate_similarity, n=n
        )
        self._cells = points[order[: n_cells(n)]]
        self._filter: LabelFilter | None = None
        if sample.labels is not None:
            self._labels = sample.labels
            graph, self._start, self._filter = choose_label_graph(
                rows, sample.labels, len(classes), options.n_landmarks, order
            )
            self._sampled = sampled_rows(order, len(classes))
            self._factors = label_factors(rows, graph, self._sampled, n)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self._cells)

    def rows(self, features: NDArray[Any]) -> Rows:
        """Return standardized rows."""
        return Rows.scaled(features, self._mean, self._scale)

    def accumulate(self, block: RowBlock) -> InspectionSums:
        """Return the sums of a block."""
        rows, hashes = self.rows(block.features), hash_keys(block.keys, self.options.seed)
        degrees, sums = [np.empty(0)], []
        for place in rows.places(self.n_landmarks):
            standardized = rows[place]
            some = hashes[place] <= self._last_degree
            degrees.append(self.degrees(standardized[some], hashes[place][some]))
            if block.labels is not None and self._filter is None:
                sums.append(
                    accumulate_labels(
                        standardized, block.labels[place], self._factors, len(self.classes)
                    )
                )
        return InspectionSums(combine_label_sums(sums) if sums else None, np.concatenate(degrees))

    def degrees(self, rows: Block, hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Return the degrees of standardized rows with these hashes."""
        return mean_degrees(rows, hashes <= self._last_landmark, self._outlier_graph)

    def cells_of(self, features: NDArray[Any]) -> NDArray[np.int64]:
        """Return the one or two cells that each of k rows joins, shape (k, 1) or (k, 2)."""
        rows = self.rows(features)
        if self.n_cells == 1:
            return np.zeros((rows.n, 1), np.int64)
        points = Points(rows)
        parts = [
            nearest_cells(points[np.arange(place.start, place.stop)], self._cells, CELLS)
            for place in rows.places(self.n_cells)
        ]
        return np.concatenate(parts)

    def close_pairs(self, keys: NDArray[np.int64], features: NDArray[Any]) -> CellPairs:
        """Return the near-duplicates among the rows of a cell."""
        return close_pairs(keys, features, self.rows(features), self._limit, self.options.seed)

    def scorer(self, sums: InspectionSums) -> "InspectionScorer":
        """Return a scorer for the rows, given the sums over all blocks."""
        label_filter = self._filter
        if label_filter is None and sums.labels is not None:
            label_filter = solve_label_filter(
                self._sample, self._labels, self._factors, sums.labels, self._sampled, self._start
            )
        return InspectionScorer(self, label_filter, sums.degrees)


class InspectionScorer:
    """Scores the rows of a dataset.

    Parameters
    ----------
    plan : InspectionPlan
        The plan.
    label_filter : LabelFilter or None
        The filter of the labels.
    degrees : ndarray of shape (m,)
        Degrees of some rows.
    """

    def __init__(
        self, plan: InspectionPlan, label_filter: LabelFilter | None, degrees: NDArray[np.float64]
    ) -> None:
        self._plan, self._filter, self.classes = plan, label_filter, plan.classes
        self._median = float(np.median(degrees))
        self._fence = outlier_fence(outlier_score(degrees, self._median))
        if label_filter is not None:
            rows, labels, some = label_filter.rows, label_filter.labels, label_filter.sampled
            parts = [label_filter.of_rows(rows[part], labels[part]) for part in rows.parts(some, 1)]
            self._scorer = LabelScorer(np.concatenate(parts), labels[some])

    def score(self, block: RowBlock) -> dict[str, NDArray[Any]]:
        """Return the score columns of a block, by name."""
        plan = self._plan
        rows, hashes = plan.rows(block.features), hash_keys(block.keys, plan.options.seed)
        parts: list[dict[str, NDArray[Any]]] = []
        for place in rows.places(max(plan.n_landmarks, len(plan.classes))):
            standardized = rows[place]
            columns: dict[str, NDArray[Any]] = {}
            if block.labels is not None and self._filter is not None:
                labels = block.labels[place]
                scores = self._scorer.score(self._filter.of_rows(standardized, labels), labels)
                columns = {
                    "suggested_label": plan.classes[scores.suggested],
                    "suggested_probability": scores.probability,
                    "label_trust": scores.trust,
                    "label_probability": scores.label_probability,
                    "wrong_label": scores.wrong,
                }
            outlier = outlier_score(plan.degrees(standardized, hashes[place]), self._median)
            columns |= {"outlier": is_below(outlier, self._fence), "outlier_score": outlier}
            parts.append(columns)
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
