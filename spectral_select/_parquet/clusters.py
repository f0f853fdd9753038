"""Near-duplicates in a dataset of many files: rows are sorted into cells, then compared in each.

Each row joins the cells of its nearest landmarks. The rows of a file are written in the order of
their cells, in the type of the file, so that a cell can be read from all files without the rest.
Within a cell, the neighbors are found as in memory. Identical rows share all cells.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from spectral_select._dataset_graph.nearest_neighbors import (
    Points,
    nearest_cells,
    nearest_neighbors,
)
from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._inspection.near_duplicates import (
    N_NEIGHBORS,
    first_twins,
    numbered_groups,
)
from spectral_select._utils.atomic_files import write_atomically

__all__ = ["CELLS", "close_pairs", "link_pairs", "n_landmarks", "read_cell", "write_cells"]

CELLS = 2  # cells that each row joins
_CELL_ROWS = 8192
_MOST_LANDMARKS = 1024


def n_landmarks(n: int) -> int:
    """Return the number of cells for n rows; few rows share one cell."""
    return 1 if n <= _CELL_ROWS else min(_MOST_LANDMARKS, -(-n * CELLS // _CELL_ROWS))


def assign_cells(rows: Rows, landmarks: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the cells that each row of a block joins, shape (k, 1 or 2)."""
    if len(landmarks) == 1:
        return np.zeros((rows.n, 1), np.int64)
    parts = [
        nearest_cells(Points(rows)[np.arange(place.start, place.stop)], landmarks, CELLS)
        for place in rows.places(len(landmarks))
    ]
    return np.concatenate(parts)


def write_cells(
    folder: Path,
    first: int,
    features: list[NDArray[Any]],
    cells: list[NDArray[np.int64]],
    count: int,
) -> None:
    """Write consecutive rows in the order of their cells; `first` is the first row's number."""
    of_row = np.concatenate(cells)
    width = of_row.shape[1]
    order = np.argsort(of_row.ravel(), kind="stable")
    bounds = np.searchsorted(of_row.ravel()[order], np.arange(count + 1))
    bounds_of_blocks = np.cumsum([0, *map(len, features)])
    d, dtype = features[0].shape[1], features[0].dtype
    members = order // width

    def write(file: Any) -> None:
        header = {"descr": dtype.str, "fortran_order": False, "shape": (len(members), d)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(members), 4096):
            some = members[start : start + 4096]
            rows = np.empty((len(some), d), dtype)
            owner = np.searchsorted(bounds_of_blocks, some, side="right") - 1
            for block in np.unique(owner):
                own = owner == block
                rows[own] = features[block][some[own] - bounds_of_blocks[block]]
            file.write(rows.tobytes())

    folder.mkdir(exist_ok=True)
    write_atomically(folder / "rows.npy", write)
    write_atomically(folder / "members.npy", lambda file: np.save(file, members + first))
    write_atomically(folder / "bounds.npy", lambda file: np.save(file, bounds))


def read_cell(folders: list[Path], cell: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the row numbers, ascending, and the rows of a cell."""
    numbers, rows = [], []
    for folder in folders:
        first, last = np.load(folder / "bounds.npy", mmap_mode="r")[cell : cell + 2]
        if first < last:
            members = np.load(folder / "members.npy", mmap_mode="r")
            numbers.append(np.array(members[first:last]))
            rows.append(np.array(np.load(folder / "rows.npy", mmap_mode="r")[first:last]))
    if not rows:
        return np.empty(0, np.int64), np.empty((0, 0))
    return np.concatenate(numbers), np.concatenate(rows)


def close_pairs(
    numbers: NDArray[np.int64], X: NDArray[Any], rows: Rows, limit: float, seed: int
) -> dict[str, NDArray[Any]]:
    """Return the near-duplicates among the rows of a cell.

    Parameters
    ----------
    numbers : ndarray of shape (k,)
        Row numbers in the dataset.
    X : ndarray of shape (k, d)
        The rows.
    rows : Rows
        The same, standardized.
    limit : float
        Largest distance of near-duplicates.
    seed : int
        Seed for the landmarks within the cell.

    Returns
    -------
    dict
        ``pairs`` of row numbers, shape (m, 2), whether each is of ``exact`` copies, and the
        ``numbers`` with the ``distance`` to the nearest row.
    """
    if len(numbers) < 2:
        return {
            "pairs": np.empty((0, 2), np.int64),
            "exact": np.empty(0, bool),
            "numbers": numbers,
            "distance": np.full(len(numbers), np.inf, np.float32),
        }
    found = nearest_neighbors(Points(rows), N_NEIGHBORS, seed)
    i, column = np.nonzero(found.distances <= limit)
    j = found.indices[i, column]
    # Only rows at distance 0 can be identical.
    same = np.flatnonzero(found.distances[:, 0] == 0)
    twin = same[first_twins([X[same]])] if len(same) else same
    copies, twin = same[twin != same], twin[twin != same]
    pairs = np.column_stack([np.r_[numbers[i], numbers[copies]], np.r_[numbers[j], numbers[twin]]])
    exact = np.r_[np.zeros(len(i), bool), np.ones(len(copies), bool)]
    return {
        "pairs": pairs,
        "exact": exact,
        "numbers": numbers,
        "distance": found.distances[:, 0],
    }


def link_pairs(states: Iterable[dict[str, NDArray[Any]]], n: int) -> dict[str, NDArray[Any]]:
    """Return the groups of near-duplicates from the pairs of all cells: columns of n rows."""
    distance, exact = np.full(n, np.inf, np.float32), np.zeros(n, bool)
    links = []
    for state in states:
        np.minimum.at(distance, state["numbers"], state["distance"])
        exact[state["pairs"][state["exact"]].ravel()] = True
        links.append(np.unique(np.sort(state["pairs"], axis=1), axis=0))
    i, j = np.concatenate(links).T
    graph = sparse.coo_array((np.ones(len(i), bool), (i, j)), shape=(n, n))
    return {
        "duplicate_group": numbered_groups(connected_components(graph, directed=False)[1]),
        "exact_duplicate": exact,
        "largest_similarity": 1 - np.square(distance, dtype=np.float64) / 2,
    }
