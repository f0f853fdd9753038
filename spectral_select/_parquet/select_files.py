"""Selection of rows of Parquet files by the Fiedler vector of each candidate batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._parquet.engines import Engine, local_engine
from spectral_select._parquet.file_index import index_files
from spectral_select._parquet.output_folder import OutputFolder
from spectral_select._parquet.parquet_files import ParquetFiles, find_files
from spectral_select._selectors.fiedler_selector import FiedlerBatchSelector

__all__ = ["select_files"]

_SMALLEST_PART = 2**14  # smallest number of rows to select from at a time


def select_files(
    pattern: str,
    out: Path,
    selector: FiedlerBatchSelector,
    *,
    id_column: str,
    embedding_column: str,
    skip_corrupt: bool = False,
    workers: int | None = None,
    engine: Engine | None = None,
    report: Callable[[str], object] = lambda message: None,
) -> list[str]:
    """Write the ids and scores of the selected rows, one file per input file.

    Candidate batches are consecutive rows of one file, so the selection in a file does not depend
    on other files.

    Parameters
    ----------
    pattern : str
        Glob pattern for the files, or a folder.
    out : Path
        Folder for the ids.
    selector : FiedlerBatchSelector
        The selector, with a `candidate_size`.
    id_column, embedding_column : str
        Columns to read.
    skip_corrupt : bool, default=False
        Whether to leave out files that cannot be read.
    workers : int, optional
        Number of processes. By default, one per core if there are many rows, otherwise one.
    engine : Engine, optional
        Engine that replaces the local one. Scores do not depend on the engine.
    report : callable, optional
        Called with a line of text after each file.

    Returns
    -------
    list of str
        Messages about files that were skipped.

    Raises
    ------
    ValueError
        If a file, an id or an embedding is invalid, or if `out` holds scores of a different run.
    """
    if selector.candidate_size is None:
        raise ValueError("candidate_size must be given for Parquet files; got None")
    files = ParquetFiles(find_files(pattern, out), id_column, embedding_column)
    options = {key: value for key, value in selector.get_params().items() if value is not None}
    with OutputFolder(out, files, options) as folder:

        def work() -> int:
            n_rows = index_files(files).n
            names = {
                path: name
                for path, name in zip(files.paths, files.names, strict=True)
                if not folder.is_done(name)
            }
            found = (engine or local_engine(workers, n_rows))(_select, names, files, selector)
            for (path, name), columns in zip(names.items(), found, strict=True):
                folder.write(name, path, columns)
                report(f"selected: {name}")
            return n_rows

        return folder.fill(files, work, skip_corrupt=skip_corrupt, restart=False, report=report)


def _select(path: Path, files: ParquetFiles, selector: FiedlerBatchSelector) -> dict[str, Any]:
    import pyarrow as pa

    ids, scores = [], []
    for part_ids, X in _parts(files, path, int(selector.candidate_size or 1)):
        selector.fit(X)
        kept = np.sort(selector.sample_indices_)
        ids += part_ids.take(pa.array(kept)).chunks
        scores.append(selector.scores_[kept])
    if not ids:
        return {}
    return {files.id: pa.chunked_array(ids), "score": np.concatenate(scores)}


def _parts(files: ParquetFiles, path: Path, size: int) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Yield parts made of whole candidate batches; the last part also holds the remaining rows."""
    import pyarrow as pa

    step = size * max(1, -(-_SMALLEST_PART // size))
    ids: list[Any] = []
    features: list[NDArray[Any]] = []
    for block in files.blocks(path):
        ids.append(block.ids)
        features.append(block.features)
        # Rows at the end of the file may be too few for a batch, so keep a part to add them to.
        while sum(map(len, features)) >= 2 * step:
            every, X = pa.chunked_array(ids), np.concatenate(features)
            yield every[:step], X[:step]
            ids, features = every[step:].chunks, [X[step:]]
    if features:
        yield pa.chunked_array(ids), np.concatenate(features)
