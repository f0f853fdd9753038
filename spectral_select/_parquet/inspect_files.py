"""Wrong labels, outliers and near-duplicates in Parquet files, written as scores for each id.

There are four passes, each of which reads all embeddings:

1. compute the mean and scale, and draw a sample for choosing graphs and thresholds;
2. add up the sums for the label filter, compute some degrees and copy the rows into cells;
3. read the cells and find the near-duplicates within each;
4. write the scores, file by file.

The state of passes 1 and 2 is saved after each file, so that an interrupted pass continues after
the last file whose result was saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.moments import Moments
from spectral_select._inspection.block_inspection import (
    InspectionPlan,
    InspectionScorer,
    InspectionSums,
    InspectOptions,
    combine_sums,
)
from spectral_select._inspection.duplicate_cells import group_pairs
from spectral_select._inspection.row_sample import RowSample, accumulate_sample, combine_samples
from spectral_select._labels.label_sums import LabelSums
from spectral_select._parquet.cell_files import CellWriter, read_cell
from spectral_select._parquet.checkpoints import load_state, save_state
from spectral_select._parquet.engines import Engine, local_engine
from spectral_select._parquet.file_index import FileIndex, FileRows, index_files
from spectral_select._parquet.output_folder import OutputFolder
from spectral_select._parquet.parquet_files import ParquetFiles, find_files

__all__ = ["inspect_files"]


def inspect_files(
    pattern: str,
    out: Path,
    *,
    id_column: str,
    embedding_column: str,
    label_column: str | None = None,
    options: InspectOptions | None = None,
    skip_corrupt: bool = False,
    workers: int | None = None,
    engine: Engine | None = None,
    report: Callable[[str], object] = lambda message: None,
) -> list[str]:
    """Write the scores of all rows of some Parquet files, one file per input file.

    Parameters
    ----------
    pattern : str
        Glob pattern for the files, or a folder.
    out : Path
        Folder for the scores.
    id_column, embedding_column, label_column : str
        Columns to read. Without labels, only outliers and near-duplicates are found.
    options : InspectOptions, optional
        Options.
    skip_corrupt : bool, default=False
        Whether to leave out files that cannot be read.
    workers : int, optional
        Number of processes. By default, one per core if there are many rows, otherwise one.
    engine : Engine, optional
        Engine that replaces the local one. Scores do not depend on the engine.
    report : callable, optional
        Called with a line of text after each step.

    Returns
    -------
    list of str
        Messages about files that were skipped.

    Raises
    ------
    ValueError
        If a file, an id, a label or an embedding is invalid, or if `out` holds scores of a
        different run.
    """
    options = options or InspectOptions()
    files = ParquetFiles(find_files(pattern, out), id_column, embedding_column, label_column)
    with OutputFolder(out, files, vars(options)) as folder:

        def work() -> int:
            index = index_files(files)
            classes = f", {len(index.classes)} classes" if label_column else ""
            report(f"{index.n:,} rows in {len(files.paths)} files{classes}")
            at = engine or local_engine(workers, index.n)
            _Inspection(files, index, folder, options, at, report).run()
            return index.n

        # All scores depend on all files, so start again if a file is left out.
        return folder.fill(files, work, skip_corrupt=skip_corrupt, restart=True, report=report)


class _Inspection:
    def __init__(
        self,
        files: ParquetFiles,
        index: FileIndex,
        folder: OutputFolder,
        options: InspectOptions,
        engine: Engine,
        report: Callable[[str], object],
    ) -> None:
        self.files, self.index, self.folder = files, index, folder
        self.options, self.engine, self.report = options, engine, report
        self.state = folder.state.absolute()

    def run(self) -> None:
        plan = InspectionPlan(self._sample(), self.index.classes, self.options)
        scorer = plan.scorer(self._sums(plan))
        self._score(scorer, self._link(plan))

    def _rows(self, done: int = 0) -> Iterator[FileRows]:
        """Yield the known properties of each file's rows, skipping the first `done` files."""
        for number, path in enumerate(self.files.paths[done:], done):
            yield self.index.rows_of(path, number)

    def _sample(self) -> RowSample:
        """Pass 1: mean and scale, and the sample."""
        size, seed = self.options.sample_size, self.options.seed
        path = self.state / "sample.npz"
        saved = load_state(path) or {"done": np.array(0)}
        sample = None
        if "n" in saved:
            moments = Moments(int(saved["n"]), saved["total"], saved["squares"])
            sample = RowSample(moments, saved["hashes"], saved["features"], saved.get("labels"))
        done = int(saved["done"])
        found = self.engine(_sample_of_file, self._rows(done), self.files, size, seed)
        for number, part in enumerate(found, done):
            if part is not None:
                if sample is not None and part.features.shape[1] != sample.features.shape[1]:
                    raise ValueError(
                        f"{self.files.paths[number]} has embeddings of {part.features.shape[1]} "
                        f"numbers; earlier files have {sample.features.shape[1]}"
                    )
                sample = part if sample is None else combine_samples([sample, part], size)
            if sample is not None:
                arrays = {"hashes": sample.hashes, "features": sample.features}
                if sample.labels is not None:
                    arrays["labels"] = sample.labels
                save_state(path, done=number + 1, **vars(sample.moments), **arrays)
            self.report(f"pass 1: {self.files.names[number]}")
        assert sample is not None  # noqa: S101 - there are at least two rows
        return sample

    def _sums(self, plan: InspectionPlan) -> InspectionSums:
        """Pass 2: sums for the label filter, degrees and cells."""
        path = self.state / "sums.npz"
        saved = load_state(path) or {"done": np.array(0), "degrees": np.empty(0)}
        names = ("gram", "total", "products", "counts")
        labels = LabelSums(*(saved[name] for name in names)) if "gram" in saved else None
        sums, done = InspectionSums(labels, saved["degrees"]), int(saved["done"])
        found = self.engine(_sums_of_file, self._rows(done), self.files, plan, self.state)
        for number, part in enumerate(found, done):
            sums = combine_sums([sums, part])
            arrays = {} if sums.labels is None else vars(sums.labels)
            save_state(path, done=number + 1, degrees=sums.degrees, **arrays)
            self.report(f"pass 2: {self.files.names[number]}")
        return sums

    def _link(self, plan: InspectionPlan) -> dict[str, NDArray[Any]]:
        """Pass 3: near-duplicates within each cell and their groups, as columns of n rows."""
        n, folders = self.index.n, sorted(self.state.glob("cells-*"))
        distance, exact = np.full(n, np.inf, np.float32), np.zeros(n, bool)
        pairs = []
        found = self.engine(_pairs_of_cell, range(plan.n_cells), plan, folders, self.state)
        for cell, path in enumerate(found, 1):
            state = load_state(path) or {}
            np.minimum.at(distance, state["numbers"], state["distance"])
            exact[state["numbers"][state["exact"]]] = True
            pairs.append(state["pairs"])
            if cell % 16 == 0:
                self.report(f"pass 3: {cell} of {plan.n_cells} cells")
        return group_pairs(np.concatenate(pairs)).columns(self.index.keys, distance, exact)

    def _score(self, scorer: InspectionScorer, duplicates: dict[str, NDArray[Any]]) -> None:
        """Pass 4: the scores of each file."""
        names = [name for name in self.files.names if not self.folder.is_done(name)]
        numbers = [self.files.names.index(name) for name in names]

        def rows() -> Iterator[FileRows]:
            for number in numbers:
                part = self.index.rows_of(self.files.paths[number], number)
                place = slice(part.start, part.start + len(part.keys))
                part.duplicates = {key: values[place] for key, values in duplicates.items()}
                yield part

        found = self.engine(_scores_of_file, rows(), self.files, scorer)
        for number, name, columns in zip(numbers, names, found, strict=True):
            self.folder.write(name, self.files.paths[number], columns)
            self.report(f"scores: {name}")


def _sample_of_file(rows: FileRows, files: ParquetFiles, size: int, seed: int) -> RowSample | None:
    parts = (accumulate_sample(block, size, seed) for _, _, block in rows.blocks(files))
    return combine_samples(parts, size) if len(rows.keys) else None


def _sums_of_file(
    rows: FileRows, files: ParquetFiles, plan: InspectionPlan, state: Path
) -> InspectionSums:
    """Return the sums of a file, and write its rows to cells."""
    cells = CellWriter(state / f"cells-{rows.start:012d}", plan.n_cells)

    def parts() -> Iterator[InspectionSums]:
        for _, start, block in rows.blocks(files):
            cells.add(start, block, plan.cells_of(block.features))
            yield plan.accumulate(block)

    sums = combine_sums(parts())
    cells.flush()
    return sums


def _pairs_of_cell(cell: int, plan: InspectionPlan, folders: list[Path], state: Path) -> Path:
    """Write the pairs in a cell to a file, and return the path of the file."""
    path = state / f"pairs-{cell:04d}.npz"
    if not path.exists():
        numbers, keys, features = read_cell(folders, cell)
        found = plan.close_pairs(keys, features)
        save_state(
            path,
            numbers=numbers,
            distance=found.distance,
            exact=found.exact,
            pairs=found.pairs,
        )
    return path


def _scores_of_file(
    rows: FileRows, files: ParquetFiles, scorer: InspectionScorer
) -> dict[str, Any]:
    import pyarrow as pa

    ids, parts = [], []
    for of_block, _, block in rows.blocks(files):
        ids.append(of_block)
        parts.append(scorer.score(block))
    if not parts:
        return {}
    columns: dict[str, Any] = {files.id: pa.chunked_array(ids)}
    if rows.labels is not None:
        columns[str(files.label)] = scorer.classes[rows.labels]
    columns |= {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return columns | rows.duplicates
