"""Find pairs of close rows in a dataset without computing n × n distances.

Each standardized row x is represented by the point (x/‖x‖, ln ‖x‖). For nearby rows, the squared
distance between two points is

    2 − 2·cos(x, y) + ln²(‖x‖/‖y‖) ≈ ‖x − y‖² / (‖x‖·‖y‖),                                  (1)

the squared distance between the rows relative to their lengths.

With few features, a k-d tree finds the pairs. Otherwise, each row joins the cells of its nearest
landmarks, and only rows that share a cell are compared. Identical rows share all cells. Large
cells are divided again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spectral_select._dataset_graph.similarity_graph import Block, Rows, unit_rows

__all__ = ["NearPairs", "Points", "near_pairs", "nearest_cells"]

Indices = NDArray[np.int64]

_TREE_FEATURES = 20  # largest number of features for which a k-d tree is fast
_CELLS = 2  # cells that each row joins; a third cell per row would add only more distant pairs
_CELL_ROWS = 512  # target number of rows in a cell
_LEAF_ROWS = 1024  # largest number of rows that are all compared with each other
_MOST_LANDMARKS = 1024
_BLOCK_ENTRIES = 2**21
_MEASURED = 0.25  # squared distances below this are recomputed from differences
_ROUNDING = 2e-6  # roundoff of a squared distance, relative to the squared lengths
_LEAST_LENGTH = 1e-6  # smallest length of a row, in units of √d


class Points:
    """The points (x/‖x‖, ln ‖x‖) of the rows of one or more datasets, concatenated.

    Parameters
    ----------
    *datasets : Rows
        The datasets, standardized in the same way.
    """

    def __init__(self, *datasets: Rows) -> None:
        self._datasets = datasets
        self._starts = np.cumsum([0, *(rows.n for rows in datasets)])
        self.n, self.d = int(self._starts[-1]), datasets[0].d

    def __getitem__(self, indices: Indices) -> Block:
        """Return the points of some rows, shape (len(indices), d + 1)."""
        points = np.empty((len(indices), self.d + 1), np.float32)
        owner = np.searchsorted(self._starts, indices, side="right") - 1
        for number, rows in enumerate(self._datasets):
            own = np.flatnonzero(owner == number)
            if len(own):
                points[own] = self._of(rows[indices[own] - self._starts[number]])
        return points

    def _of(self, rows: Block) -> Block:
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        logs = np.log(np.maximum(lengths, _LEAST_LENGTH * np.sqrt(self.d)))
        return np.column_stack([unit_rows(rows), logs.astype(np.float32)])


@dataclass
class NearPairs:
    """Pairs of rows that are close to each other.

    Attributes
    ----------
    pairs : ndarray of shape (m, 2)
        Row numbers of each pair, the smaller first. No pair is repeated.
    distances : ndarray of shape (m,)
        Square root of expression (1) for each pair.
    nearest : ndarray of shape (n,)
        Distance of each row to the nearest row that it was compared with; infinite if there is
        only one row.
    """

    pairs: Indices
    distances: Block
    nearest: Block


def near_pairs(points: Points, limit: float, seed: int, *, most: int = 32) -> NearPairs:
    """Return the pairs of points whose distance is at most `limit`.

    Parameters
    ----------
    points : Points
        The n points.
    limit : float
        Largest distance of a pair.
    seed : int
        Seed for the landmarks.
    most : int, default=32
        Maximum number of pairs per row within a cell; the closest pairs are kept.
    """
    if points.n < 2:
        none = np.empty((0, 2), np.int64)
        return NearPairs(none, np.empty(0, np.float32), np.full(points.n, np.inf, np.float32))
    if points.d <= _TREE_FEATURES:
        return _by_tree(points, limit, min(most, points.n - 1))
    search = _Search(points, limit, most, np.random.default_rng(seed))
    search.divide(np.arange(points.n))
    return search.measured()


def nearest_cells(points: Block, landmarks: Block, k: int) -> Indices:
    """Return the cells that each point joins: those of its `k` nearest landmarks."""
    return np.argpartition(_squared(points, landmarks), k - 1, axis=1)[:, :k]


def _squared(a: Block, b: Block) -> Block:
    """Return the squared distance of each point in `a` to each in `b`, shape (len(a), len(b))."""
    squares: Block = a @ (-2 * b.T)
    squares += np.einsum("ij,ij->i", a, a)[:, None]
    squares += np.einsum("ij,ij->i", b, b)
    return squares


def _by_tree(points: Points, limit: float, k: int) -> NearPairs:
    own = np.arange(points.n)
    every = points[own].astype(np.float64)
    distances, indices = cKDTree(every).query(every, k=k + 1, workers=1)
    # The row itself is among the nearest, unless more than k others are identical to it.
    itself = indices == own[:, None]
    itself[~itself.any(1), -1] = True
    distances, indices = (found[~itself].reshape(-1, k) for found in (distances, indices))
    i, column = np.nonzero(distances <= limit)
    pairs, first = _distinct(np.column_stack([i, indices[i, column]]))
    near = distances[i, column][first].astype(np.float32)
    return NearPairs(pairs, near, distances[:, 0].astype(np.float32))


def _distinct(pairs: Indices) -> tuple[Indices, Indices]:
    """Return the distinct pairs, each in ascending order, and their first positions."""
    pairs, first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    return pairs, first


class _Search:
    """Collects pairs and each row's nearest row.

    Distances are stored squared; `measured` takes the square roots.
    """

    def __init__(self, points: Points, limit: float, most: int, rng: np.random.Generator) -> None:
        self._points, self._limit, self._most, self._rng = points, limit, most, rng
        self._pairs = [np.empty((0, 2), np.int64)]
        self._nearest = np.full(points.n, -1, np.int64)
        self._squares = np.full(points.n, np.inf, np.float32)

    def divide(self, members: Indices) -> None:
        """Divide `members` into cells, and compare the rows in each cell."""
        if len(members) <= _LEAF_ROWS:
            self._compare(members)
            return
        n_cells = min(_MOST_LANDMARKS, -(-len(members) * _CELLS // _CELL_ROWS))
        landmarks = self._points[np.sort(self._rng.permutation(members)[:n_cells])]
        cells = np.empty((len(members), _CELLS), np.int64)
        step = max(1, _BLOCK_ENTRIES // max(n_cells, self._points.d))
        for start in range(0, len(members), step):
            place = slice(start, start + step)
            cells[place] = nearest_cells(self._points[members[place]], landmarks, _CELLS)
        order = np.argsort(cells.ravel(), kind="stable")
        bounds = np.searchsorted(cells.ravel()[order], np.arange(1, n_cells))
        for of_cell in np.split(order // _CELLS, bounds):
            # Rows that are equally close to all landmarks stay in one cell. So if a cell keeps
            # most of the rows, do not divide it again.
            go_on = self.divide if len(of_cell) < 0.7 * len(members) else self._compare
            go_on(members[of_cell])

    def _compare(self, members: Indices) -> None:
        """Compare all rows of a cell with each other."""
        if len(members) < 2:
            return
        points = self._points[members]
        longest = float(np.einsum("ij,ij->i", points, points).max())
        # Rounding may push a close pair above the limit, so keep it until `measured` decides.
        bound = np.float32(self._limit**2 + _ROUNDING * longest)
        step = max(1, min(_LEAF_ROWS, 4 * _BLOCK_ENTRIES // len(members)))
        for start in range(0, len(members), step):
            squares = _squared(points[start : start + step], points)
            rows = np.arange(len(squares))
            squares[rows, start + rows] = np.inf
            self._record(members[start : start + step], members, squares, squares <= bound)

    def _record(
        self, rows: Indices, columns: Indices, squares: Block, close: NDArray[np.bool_]
    ) -> None:
        nearest = squares.argmin(1)
        lowest = np.take_along_axis(squares, nearest[:, None], axis=1)[:, 0]
        lower = lowest < self._squares[rows]
        self._squares[rows[lower]] = lowest[lower]
        self._nearest[rows[lower]] = columns[nearest[lower]]
        crowded = np.flatnonzero(close.sum(1) > self._most)
        if len(crowded):
            chosen = np.argpartition(squares[crowded], self._most - 1, axis=1)[:, : self._most]
            close[crowded] = False
            close[crowded[:, None], chosen] = True
        i, j = np.nonzero(close)
        self._pairs.append(np.column_stack([rows[i], columns[j]]))

    def measured(self) -> NearPairs:
        """Return the result, with small distances recomputed from differences."""
        pairs, _ = _distinct(np.concatenate(self._pairs))
        distances = self._distances(pairs)
        pairs, distances = pairs[distances <= self._limit], distances[distances <= self._limit]
        nearest = np.sqrt(np.maximum(self._squares, 0))
        near = np.flatnonzero(self._squares < _MEASURED)
        nearest[near] = self._distances(np.column_stack([near, self._nearest[near]]))
        for side in pairs.T:
            np.minimum.at(nearest, side, distances)
        return NearPairs(pairs, distances, nearest)

    def _distances(self, pairs: Indices) -> Block:
        distances = np.empty(len(pairs), np.float32)
        step = max(1, _BLOCK_ENTRIES // (self._points.d + 1))
        for start in range(0, len(pairs), step):
            i, j = pairs[start : start + step].T
            difference = self._points[i] - self._points[j]
            distances[start : start + step] = np.einsum("ij,ij->i", difference, difference)
        return np.sqrt(distances)
