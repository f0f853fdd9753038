"""Wrong labels, outliers and near-duplicates in Parquet files: scores beside each id.

Four passes read the embeddings once each: (1) mean and scale, and the few rows on which choices are
made; (2) sums for the label filter, a sample of degrees, and cells of near-duplicates; (3) pairs
within each cell; (4) scores, written file by file. The state of (1) and (2) is saved after each
file, so that a killed process loses at most one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.duplicate_counts import chance_rows
from spectral_select._dataset_graph.moments import (
    Moments,
    accumulate_moments,
    combine_moments,
)
from spectral_select._dataset_graph.nearest_neighbors import Points
from spectral_select._dataset_graph.similarity_graph import Graph, Rows, evenly_spaced_rows
from spectral_select._inspection.near_duplicates import largest_distance
from spectral_select._inspection.outliers import (
    is_below,
    mean_degrees,
    outlier_fence,
    outlier_graph,
    outlier_score,
)
from spectral_select._labels.label_filter import (
    LabelFilter,
    choose_label_graph,
    label_factors,
    sampled_rows,
    solve_label_filter,
)
from spectral_select._labels.label_sums import (
    Factors,
    LabelSums,
    accumulate_labels,
    combine_label_sums,
)
from spectral_select._labels.noise_matrix import NoiseMatrix, estimate_noise_matrix
from spectral_select._labels.wrong_labels import score_labels
from spectral_select._parquet.checkpoints import load_state, save_state
from spectral_select._parquet.clusters import (
    assign_cells,
    close_pairs,
    link_pairs,
    n_landmarks,
    read_cell,
    write_cells,
)
from spectral_select._parquet.file_index import FileIndex, index_files
from spectral_select._parquet.gathered_rows import GatheredRows
from spectral_select._parquet.output_folder import OutputFolder
from spectral_select._parquet.parquet_files import (
    CorruptFileError,
    ParquetBlock,
    ParquetFiles,
    find_files,
)

__all__ = ["InspectOptions", "inspect_files"]

_WAITING_BYTES = 2**27
_MOST_DEGREES = 2**20  # degrees from which median and fence are taken


@dataclass(frozen=True)
class InspectOptions:
    """Options of `inspect_files`; see `inspect_dataset`."""

    n_landmarks: int = 1024
    duplicate_similarity: float | None = None
    seed: int = 0
    skip_corrupt: bool = False


def inspect_files(
    pattern: str,
    out: Path,
    *,
    id_column: str,
    embedding_column: str,
    label_column: str | None = None,
    options: InspectOptions | None = None,
    report: Callable[[str], object] = lambda message: None,
) -> list[str]:
    """Write the scores of all rows of some Parquet files, one file per input file.

    Parameters
    ----------
    pattern : str
        Pattern of the files' names, or a folder.
    out : Path
        Folder for the scores.
    id_column, embedding_column, label_column : str
        Columns to read. Without labels, no wrong labels are found.
    options : InspectOptions, optional
        Options.
    report : callable, optional
        Called with a line of text after each step.

    Returns
    -------
    list of str
        Messages about files that were skipped.

    Raises
    ------
    ValueError
        If a file, an id, a label or an embedding is invalid, or if `out` holds other scores.
    """
    options = options or InspectOptions()
    files = ParquetFiles(find_files(pattern, out), id_column, embedding_column, label_column)
    # Skipped files are recorded by name, so the option itself may change between commands.
    scored_by = {key: value for key, value in vars(options).items() if key != "skip_corrupt"}
    with OutputFolder(out, files, scored_by) as folder:
        folder.leave_out_known(files, options.skip_corrupt)
        if folder.complete:
            folder.remove_state()  # of a process killed at the very end
            report("all files are done already")
            return folder.messages()
        while True:
            try:
                index = index_files(files)
                classes = f", {len(index.classes)} classes" if label_column else ""
                report(f"{index.n:,} rows in {len(files.paths)} files{classes}")
                _Inspection(files, index, folder, options, report).run()
                break
            except CorruptFileError as error:
                # All scores depend on all files: begin again without it.
                if not options.skip_corrupt:
                    raise
                folder.leave_out(files, error, restart=True)
        folder.finish({"n_rows": index.n})
        return folder.messages()


class _Waiting:
    """Rows that wait to be written to cells, so that large files need no more memory."""

    def __init__(self, folder: Path, n_cells: int) -> None:
        self._folder, self._n_cells = folder, n_cells
        self._part, self._first = 0, 0
        self._features: list[NDArray[Any]] = []
        self._cells: list[NDArray[np.int64]] = []

    def add(self, first: int, features: NDArray[Any], cells: NDArray[np.int64]) -> None:
        """Add a block of rows, the first of which has the number `first`."""
        if not self._features:
            self._first = first
        self._features.append(features)
        self._cells.append(cells)
        if sum(part.nbytes for part in self._features) >= _WAITING_BYTES:
            self.write()

    def write(self) -> None:
        """Write the rows that wait."""
        if self._features:
            folder = self._folder.with_name(f"{self._folder.name}-{self._part:06d}")
            write_cells(folder, self._first, self._features, self._cells, self._n_cells)
            self._part += 1
            self._features, self._cells = [], []


class _Inspection:
    def __init__(
        self,
        files: ParquetFiles,
        index: FileIndex,
        folder: OutputFolder,
        options: InspectOptions,
        report: Callable[[str], object],
    ) -> None:
        self.files, self.index, self.folder = files, index, folder
        self.options, self.report = options, report
        self.order = np.random.default_rng(options.seed).permutation(index.n)

    def run(self) -> None:
        self._gather()
        self._prepare()
        self._accumulate()
        duplicates = self._link()
        for number in range(len(self.files.paths)):
            if not self.folder.is_done(self.files.names[number]):
                self._score(number, duplicates)
                self.report(f"scores: {self.files.names[number]}")

    def _gather(self) -> None:
        """Pass 1: mean and scale, and the rows on which choices are made."""
        index, options = self.index, self.options
        few = [self.order[: max(20_000, options.n_landmarks)], evenly_spaced_rows(index.n)]
        wanted = np.unique(np.concatenate([*few, chance_rows(index.n, options.seed)]))
        path = self.folder.state / "moments.npz"
        saved = load_state(path) or {"done": np.array(0)}
        moments = (
            Moments(int(saved["n"]), saved["total"], saved["squares"]) if "n" in saved else None
        )
        values = [saved["values"]] if "values" in saved else []
        for number in range(int(saved["done"]), len(self.files.paths)):
            start = int(index.starts[number])
            for block in self.files.blocks(self.files.paths[number]):
                if values and values[0].shape[1] != block.features.shape[1]:
                    raise ValueError(
                        f"{self.files.paths[number]} has embeddings of {block.features.shape[1]} "
                        f"numbers; {self.files.paths[0]} has {values[0].shape[1]}"
                    )
                part = accumulate_moments(block.features)
                moments = part if moments is None else combine_moments([moments, part])
                first = start + block.start
                low, high = np.searchsorted(wanted, [first, first + len(block.features)])
                values.append(block.features[wanted[low:high] - first])
            if moments is None:
                continue
            values = [np.concatenate(values)]
            state = {"done": number + 1, "values": values[0], **vars(moments)}
            save_state(path, **state)
            self.report(f"pass 1: {self.files.names[number]}")
        assert moments is not None  # noqa: S101 - there are at least two rows
        self.mean, self.scale = moments.mean_and_scale()
        gathered: Any = GatheredRows(wanted, values[0], index.n)
        self.rows = Rows.scaled(gathered, self.mean, self.scale)
        if len(index.classes):
            few_labels: Any = GatheredRows(wanted, index.labels[wanted].astype(np.int64), index.n)
            self.few_labels: NDArray[np.int64] = few_labels

    def _prepare(self) -> None:
        """Choose graphs, landmarks and thresholds on the gathered rows."""
        options, order, n = self.options, self.order, self.index.n
        self.landmarks = np.sort(order[: options.n_landmarks])
        self.outlier_graph: Graph = outlier_graph(self.rows, self.landmarks)
        points = Points(self.rows)
        self.limit = largest_distance(points, options.duplicate_similarity, options.seed)
        self.cells = points[np.sort(order[: n_landmarks(n)])]
        self.stride = -(-n // _MOST_DEGREES)
        self.filter: LabelFilter | None = None
        if n_classes := len(self.index.classes):
            graph, self.start, self.filter = choose_label_graph(
                self.rows, self.few_labels, n_classes, options.n_landmarks, order
            )
            self.sampled = sampled_rows(order, n_classes)
            self.factors: Factors = label_factors(self.rows, graph, self.sampled, n)

    def _accumulate(self) -> None:
        """Pass 2: sums for the label filter, degrees and cells."""
        path = self.folder.state / "sums.npz"
        saved = load_state(path) or {"done": np.array(0), "degrees": np.empty(0)}
        names = ("gram", "total", "products", "counts")
        sums = LabelSums(*(saved[name] for name in names)) if "gram" in saved else None
        degrees = [saved["degrees"]]
        needs_sums = len(self.index.classes) > 0 and self.filter is None
        for number in range(int(saved["done"]), len(self.files.paths)):
            start = int(self.index.starts[number])
            waiting = _Waiting(self.folder.state / f"cells-{number:06d}", len(self.cells))
            for block in self.files.blocks(self.files.paths[number]):
                rows = Rows.scaled(block.features, self.mean, self.scale)
                parts: list[LabelSums] = []
                for place in rows.places(len(self.landmarks)):
                    numbers = start + block.start + np.arange(place.start, place.stop)
                    standardized = rows[place]
                    some = numbers % self.stride == 0
                    degrees.append(self._degrees(standardized[some], numbers[some]))
                    if needs_sums:
                        labels = self.index.labels[numbers].astype(np.int64)
                        part = accumulate_labels(
                            standardized, labels, self.factors, len(self.index.classes)
                        )
                        parts.append(part)
                if parts:  # once for each block read: the sums are large
                    sums = combine_label_sums(parts if sums is None else [sums, *parts])
                cells = assign_cells(rows, self.cells)
                waiting.add(start + block.start, block.features, cells)
            waiting.write()
            degrees = [np.concatenate(degrees)]
            state = {} if sums is None else vars(sums)
            save_state(path, done=number + 1, degrees=degrees[0], **state)
            self.report(f"pass 2: {self.files.names[number]}")
        self.median = float(np.median(degrees[0]))
        self.fence = outlier_fence(outlier_score(degrees[0], self.median))
        if len(self.index.classes):
            if self.filter is None and sums is not None:
                self.filter = solve_label_filter(
                    self.rows, self.few_labels, self.factors, sums, self.sampled, self.start
                )
            self.noise: NoiseMatrix = self._noise()

    def _degrees(
        self, rows: NDArray[np.float32], numbers: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return mean_degrees(rows, numbers, self.outlier_graph, self.landmarks)

    def _noise(self) -> NoiseMatrix:
        sampled = self.filter.sampled  # type: ignore[union-attr]
        parts = [self._probabilities(self.rows[part], part) for part in self.rows.parts(sampled, 1)]
        return estimate_noise_matrix(np.concatenate(parts), self.few_labels[sampled])

    def _probabilities(
        self, rows: NDArray[np.float32], numbers: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        labels = self.index.labels[numbers].astype(np.int64)
        return self.filter.of_rows(rows, labels)  # type: ignore[union-attr]

    def _link(self) -> dict[str, NDArray[Any]]:
        """Pass 3: near-duplicates within each cell."""
        folders = sorted(self.folder.state.glob("cells-*"))
        paths = []
        for cell in range(len(self.cells)):
            path = self.folder.state / f"pairs-{cell:04d}.npz"
            paths.append(path)
            if path.exists():
                continue
            numbers, X = read_cell(folders, cell)
            rows = Rows.scaled(X, self.mean, self.scale)
            save_state(path, **close_pairs(numbers, X, rows, self.limit, self.options.seed))
            if cell % 16 == 15:
                self.report(f"pass 3: {cell + 1} of {len(self.cells)} cells")
        return link_pairs((load_state(path) or {} for path in paths), self.index.n)

    def _score(self, number: int, duplicates: dict[str, NDArray[Any]]) -> None:
        """Pass 4: the scores of one file."""
        import pyarrow as pa

        start = int(self.index.starts[number])
        tables = [self._columns(b, start) for b in self.files.blocks(self.files.paths[number])]
        ids, found = [ids for ids, _ in tables], [columns for _, columns in tables]
        columns: dict[str, Any] = {}
        if found:
            columns = {self.files.id: pa.chunked_array(ids)}
            columns |= {key: np.concatenate([part[key] for part in found]) for key in found[0]}
            place = slice(start, int(self.index.starts[number + 1]))
            columns |= {key: values[place] for key, values in duplicates.items()}
        self.folder.write(self.files.names[number], self.files.paths[number], columns)

    def _columns(self, block: ParquetBlock, start: int) -> tuple[Any, dict[str, NDArray[Any]]]:
        rows = Rows.scaled(block.features, self.mean, self.scale)
        parts: list[dict[str, NDArray[Any]]] = []
        for place in rows.places(max(len(self.landmarks), len(self.index.classes))):
            numbers = start + block.start + np.arange(place.start, place.stop)
            standardized = rows[place]
            columns: dict[str, NDArray[Any]] = {}
            if len(classes := self.index.classes):
                codes = self.index.labels[numbers].astype(np.int64)
                P = self._probabilities(standardized, numbers)
                scores = score_labels(self.noise, P, codes)
                columns = {
                    str(self.files.label): classes[codes],
                    "suggested_label": classes[scores.suggested],
                    "suggested_probability": scores.probability,
                    "label_trust": scores.trust,
                    "wrong_label": scores.wrong,
                }
            outlier = outlier_score(self._degrees(standardized, numbers), self.median)
            columns |= {"outlier": is_below(outlier, self.fence), "outlier_score": outlier}
            parts.append(columns)
        return block.ids, {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
