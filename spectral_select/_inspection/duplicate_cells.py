"""Near-duplicates in a dataset that is too large for memory, found by comparing rows in cells.

Each row joins the cells of its nearest landmarks. Within a cell, neighbors are found as in a
dataset in memory. Identical rows share all cells.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._dataset_graph.near_pairs import Points, near_pairs
from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._inspection.near_duplicates import (
    first_twins,
    linked_rows,
    numbered_groups,
)

__all__ = ["CELLS", "CellPairs", "DuplicateGroups", "close_pairs", "group_pairs", "n_cells"]

CELLS = 2  # cells that each row joins
_CELL_ROWS = 8192
_MOST_CELLS = 1024


def n_cells(n: int) -> int:
    """Return the number of cells for n rows; it is 1 for small datasets."""
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
        The rows, standardized.
    limit : float
        Largest distance between near-duplicates.
    seed : int
        Seed for the landmarks within the cell.
    """
    found = near_pairs(Points(rows), limit, seed)
    # Only rows at distance 0 can be identical.
    same = np.unique(found.pairs[found.distances == 0])
    twin = same[first_twins([X[same]])] if len(same) else same
    copies, twin = same[twin != same], twin[twin != same]
    exact = np.zeros(len(keys), bool)
    exact[copies] = exact[twin] = True
    pairs = np.r_[found.pairs, np.c_[twin, copies]]
    return CellPairs(keys, found.nearest, keys[pairs], exact)


@dataclass
class DuplicateGroups:
    """Groups of near-duplicates.

    Attributes
    ----------
    keys : ndarray of shape (k,)
        Keys of the rows that have near-duplicates, ascending.
    group : ndarray of shape (k,)
        Group number of each row. Groups are numbered from 0 in the order of their smallest keys.
    count : ndarray of shape (k,)
        Number of near-duplicates of each row, excluding the row itself.
    """

    keys: NDArray[np.int64]
    group: NDArray[np.int64]
    count: NDArray[np.int64]

    def columns(
        self,
        keys: NDArray[np.int64],
        distance: NDArray[np.float32],
        exact: NDArray[np.bool_],
    ) -> dict[str, NDArray[Any]]:
        """Return the score columns for the rows with these keys.

        Parameters
        ----------
        keys, distance, exact : ndarray of shape (n,)
            Each row's key, its distance to the nearest other row in any of its cells, and whether
            it has an exact duplicate.
        """
        place = np.searchsorted(self.keys, keys)
        linked = np.append(self.keys, -1)[place] == keys
        linked &= place < len(self.keys)
        group, count = np.full(len(keys), -1), np.zeros(len(keys), np.int64)
        group[linked] = self.group[place[linked]]
        count[linked] = self.count[place[linked]]
        return {
            "duplicate_group": group,
            "exact_duplicate": exact,
            "near_duplicates": count,
            "largest_similarity": 1 - np.square(distance, dtype=np.float64) / 2,
        }


def group_pairs(pairs: NDArray[np.int64]) -> DuplicateGroups:
    """Return the groups linked by pairs of keys, shape (m, 2); pairs may be repeated."""
    pairs = np.unique(pairs, axis=0)
    keys, places = np.unique(pairs, return_inverse=True)
    if not len(keys):
        return DuplicateGroups(keys, keys, keys)
    group = numbered_groups(linked_rows(places.reshape(-1, 2), len(keys)))
    return DuplicateGroups(keys, group, np.bincount(places.ravel()))
