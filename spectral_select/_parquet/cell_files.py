"""Cells of rows on disk: the rows of each file, sorted by cell, in the dtype of the file.

A cell can thus be read from all files without reading other cells.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._inspection.row_sample import RowBlock
from spectral_select._utils.atomic_files import write_atomically

__all__ = ["CellWriter", "read_cell"]

_WAITING_BYTES = 2**27


class CellWriter:
    """Writes the rows of a file in parts, so that large files need no more memory than small ones.

    Parameters
    ----------
    folder : Path
        Each part is written to a folder with this name followed by a number.
    n_cells : int
        Number of cells.
    """

    def __init__(self, folder: Path, n_cells: int) -> None:
        self._folder, self._n_cells = folder, n_cells
        self._part, self._first = 0, 0
        self._blocks: list[RowBlock] = []
        self._cells: list[NDArray[np.int64]] = []

    def add(self, first: int, block: RowBlock, cells: NDArray[np.int64]) -> None:
        """Add rows that join these cells; `first` is the first row's number in the dataset."""
        if not self._blocks:
            self._first = first
        self._blocks.append(block)
        self._cells.append(cells)
        if sum(part.features.nbytes for part in self._blocks) >= _WAITING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows."""
        if not self._blocks:
            return
        of_row = np.concatenate(self._cells)
        order = np.argsort(of_row.ravel(), kind="stable")
        bounds = np.searchsorted(of_row.ravel()[order], np.arange(self._n_cells + 1))
        members = order // of_row.shape[1]
        keys = np.concatenate([block.keys for block in self._blocks])[members]
        folder = self._folder.with_name(f"{self._folder.name}-{self._part:06d}")
        folder.mkdir(exist_ok=True)
        write_atomically(folder / "rows.npy", lambda file: self._write_rows(file, members))
        numbers = np.stack([members + self._first, keys])
        write_atomically(folder / "numbers.npy", lambda file: np.save(file, numbers))
        write_atomically(folder / "bounds.npy", lambda file: np.save(file, bounds))
        self._part += 1
        self._blocks, self._cells = [], []

    def _write_rows(self, file: Any, members: NDArray[np.int64]) -> None:
        features = [block.features for block in self._blocks]
        starts = np.cumsum([0, *map(len, features)])
        d, dtype = features[0].shape[1], features[0].dtype
        header = {"descr": dtype.str, "fortran_order": False, "shape": (len(members), d)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(members), 4096):
            some = members[start : start + 4096]
            rows = np.empty((len(some), d), dtype)
            owner = np.searchsorted(starts, some, side="right") - 1
            for block in np.unique(owner):
                own = owner == block
                rows[own] = features[block][some[own] - starts[block]]
            file.write(rows.tobytes())


def read_cell(
    folders: list[Path], cell: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Return a cell's row numbers in the dataset, its keys and its rows, sorted by key."""
    numbers, rows = [np.empty((2, 0), np.int64)], []
    for folder in folders:
        first, last = np.load(folder / "bounds.npy", mmap_mode="r")[cell : cell + 2]
        if first < last:
            numbers.append(np.load(folder / "numbers.npy", mmap_mode="r")[:, first:last])
            rows.append(np.array(np.load(folder / "rows.npy", mmap_mode="r")[first:last]))
    number, keys = np.concatenate(numbers, axis=1)
    if not rows:
        return number, keys, np.empty((0, 0))
    order = np.argsort(keys)
    return number[order], keys[order], np.concatenate(rows)[order]
