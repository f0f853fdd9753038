"""Near-duplicates in a dataset that is too large for memory: rows are compared within cells.

Each row joins the cells of its nearest landmarks. Within a cell, the neighbors are found as in
memory. Identical rows share all cells.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from spectral_select._dataset_graph.nearest_neighbors import Points, nearest_neighbors
from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._inspection.near_duplicates import N_NEIGHBORS, first_twins, numbered_groups

__all__ = ["CELLS", "CellPairs", "close_pairs", "group_pairs", "n_cells"]

CELLS = 2  # cells that each row joins
_CELL_ROWS = 8192
_MOST_CELLS = 1024


def n_cells(n: int) -> int:
    """Return the number of cells for n rows; few rows share one cell."""
    return 1 if n <= _CELL_ROWS else min(_MOST_CELLS, -(-n * CELLS // _CELL_ROWS))


@dataclass
class CellPairs:
    """Near-duplicates among the k rows of a cell.

    Attributes
    ----------
    keys : ndarray of shape (k,)
        Keys of the rows, ascending.
    distance : ndarray of shape (k,)
        Distance to the nearest other row.
    pairs : ndarray of shape (m, 2)
        Keys of each pair, the smaller first.
    exact : ndarray of shape (k,), bool
        Whether another row has exactly the same features.
    """

    keys: NDArray[np.int64]
    distance: NDArray[np.float32]
    pairs: NDArray[np.int64]
    exact: NDArray[np.bool_]


def close_pairs(
    keys: NDArray[np.int64], X: NDArray[Any], rows: Rows, limit: float, seed: int
) -> CellPairs:
    """Return the near-duplicates among the rows of a cell.

    Parameters
    ----------
    keys : ndarray of shape (k,)
        Keys of the rows, ascending.
    X : ndarray of shape (k, d)
        The rows.
    rows : Rows
        The same, standardized.
    limit : float
        Largest distance of near-duplicates.
    seed : int
        Seed for the landmarks within the cell.
    """
    k = len(keys)
    if k < 2:
        none = np.empty((0, 2), np.int64)
        return CellPairs(keys, np.full(k, np.inf, np.float32), none, np.zeros(k, bool))
    found = nearest_neighbors(Points(rows), N_NEIGHBORS, seed)
    i, column = np.nonzero(found.distances <= limit)
    j = found.indices[i, column]
    # Only rows at distance 0 can be identical.
    same = np.flatnonzero(found.distances[:, 0] == 0)
    twin = same[first_twins([X[same]])] if len(same) else same
    copies, twin = same[twin != same], twin[twin != same]
    exact = np.zeros(k, bool)
    exact[copies] = exact[twin] = True
    pairs = np.sort(np.column_stack([np.r_[i, copies], np.r_[j, twin]]), axis=1)
    return CellPairs(keys, found.distances[:, 0], keys[np.unique(pairs, axis=0)], exact)


def group_pairs(pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the keys that occur in pairs, ascending, and the group of each.

    Groups are numbered from 0 in the order of their smallest keys.
    """
    keys, places = np.unique(pairs, return_inverse=True)
    if not len(keys):
        return keys, keys
    i, j = places.reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(i), bool), (i, j)), shape=(len(keys), len(keys)))
    return keys, numbered_groups(connected_components(graph, directed=False)[1])
