"""Class probabilities of each sample, computed from the other labels by a low-pass filter.

The similarity graph has the affinities S = B·K⁻¹·Bᵀ (`similarity_graph`) and the degrees d. The
rows s_i are √(n/d_i)·b_i minus their mean, and G = Σ s_i·s_iᵀ. The class indicators Y minus the
class frequencies p are filtered by

    F = s·W,   W = (G + λ·K)⁻¹·sᵀ·(Y − p).                                                (1)

This is ridge regression: a component with eigenvalue v of the normalized graph is multiplied by
v/(v + λ). With the leverage h_i = s_iᵀ·(G + λ·K)⁻¹·s_i + 1/n, the leave-one-out scores are

    f_i = p + (F_i − h_i·(Y_i − p)) / (1 − h_i).                                          (2)

The label of sample i does not influence f_i. With the Cholesky factorization C·Cᵀ = G + λ·K,
h_i = ‖C⁻¹·s_i‖² + 1/n. The graph and the strength λ are chosen to minimize the squared error of f.
The probabilities are softmax(f/T), where T minimizes the log loss.

Nearest-neighbor votes are not considered. Their leave-one-out error is often smaller than that of
the filter, but they follow wrong labels too closely: on images, they are clearly worse at
distinguishing wrong labels from correct ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import softmax

from spectral_select._dataset_graph.similarity_graph import (
    Graph,
    Rows,
    cosine_graph,
    evenly_spaced_rows,
    heat_graph,
)
from spectral_select._labels.label_sums import (
    Factors,
    LabelSums,
    accumulate_labels,
    combine_label_sums,
)

__all__ = [
    "LabelFilter",
    "choose_label_graph",
    "fit_label_filter",
    "label_factors",
    "sampled_rows",
    "solve_label_filter",
]

Block: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]
Place: TypeAlias = slice | NDArray[np.int64]

# γ of each heat kernel, and whether rows are scaled to length 1.
HEATS = ((0.5, True), (1.0, True), (2.0, True), (1.0, False))
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # λ, in units of the mean eigenvalue
_USUAL_STRENGTH = 0.1
TEMPERATURES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
# Numbers of rows and landmarks used to compare the graphs.
_N_COMPARED, _N_LANDMARKS = 4096, 512
# Number of rows used to choose strength and temperature, number of rows used for the noise matrix,
# and maximum number of entries in a table of class probabilities.
_N_CHOSEN, _N_SAMPLED, _MAX_ENTRIES = 4096, 20_000, 2**24
_LEAST_LEFT = 1e-6  # smallest 1 − h
_ROUNDING, _TINY = 3e-7, 1e-12


@dataclass
class _Ridge:
    """The solution of (1) for one λ."""

    strength: float
    root: Block  # C
    weights: Block  # W
    prior: Block  # p
    n: int  # number of labeled rows

    def left_out(self, s: Block, labels: Labels) -> Block:
        """Return the scores (2) of labeled rows, and F + p for unlabeled rows."""
        scores: Block = s @ self.weights
        solved = linalg.solve_triangular(self.root, s.T, lower=True, check_finite=False)
        leverage = np.einsum("ij,ij->j", solved, solved) + np.float32(1 / self.n)
        leverage = np.minimum(leverage, 1 - _LEAST_LEFT)
        leverage[labels < 0] = 0
        known = np.flatnonzero(labels >= 0)
        scores[known, labels[known]] -= leverage[known]
        scores += leverage[:, None] * self.prior
        scores /= (1 - leverage)[:, None]
        scores += self.prior
        return scores


@dataclass
class LabelFilter:
    """A filter of labels on a graph.

    Attributes
    ----------
    rows : Rows
        The dataset.
    labels : ndarray of shape (n,)
        Class numbers; -1 means unlabeled.
    temperature : float
        T.
    error : float
        Mean squared error of the leave-one-out scores.
    sampled : ndarray of shape (m,)
        Rows from which to estimate the noise matrix.
    """

    rows: Rows
    labels: Labels
    temperature: float
    error: float
    sampled: Labels
    _factors: Factors
    _ridge: _Ridge
    _table: Block | None = None

    @property
    def graph(self) -> str:
        """The kind of the graph, with its scale."""
        return self._factors.graph.name

    @property
    def strength(self) -> float:
        """λ in units of the mean eigenvalue."""
        return self._ridge.strength

    def probabilities(self, place: Place) -> Block:
        """Return the leave-one-out class probabilities of some rows."""
        if self.rows.n * self._ridge.weights.shape[1] > _MAX_ENTRIES:
            return self._probabilities(place)
        if self._table is None:  # small enough to cache
            self._table = np.concatenate([self._probabilities(part) for part in self.places()])
        return self._table[place]

    def _probabilities(self, place: Place) -> Block:
        return self.of_rows(self.rows[place], self.labels[place])

    def of_rows(self, rows: Block, labels: Labels) -> Block:
        """Return the leave-one-out class probabilities of standardized rows with these labels."""
        scores = self._ridge.left_out(self._factors(rows), labels)
        return np.asarray(softmax(scores / np.float32(self.temperature), axis=1))

    def places(self) -> list[slice]:
        """Return blocks of rows, short enough that arrays of probabilities stay small."""
        width = max(self._ridge.weights.shape)
        return list(self.rows.places(width))


def fit_label_filter(
    rows: Rows, labels: Labels, n_classes: int, *, n_landmarks: int, seed: int
) -> LabelFilter:
    """Return the filter with the smallest leave-one-out error.

    Parameters
    ----------
    rows : Rows
        The dataset, n rows.
    labels : ndarray of shape (n,)
        Class numbers; -1 means unlabeled.
    n_classes : int
        Number of classes.
    n_landmarks : int
        Maximum number of landmarks in a heat kernel; 0 tries only the cosine graph.
    seed : int
        Seed for choosing the landmarks and the rows used for tuning.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    graph, start, best = choose_label_graph(rows, labels, n_classes, n_landmarks, order)
    if best is not None:
        return best
    return _fit(rows, labels, n_classes, graph, None, sampled_rows(order, n_classes), start)


def sampled_rows(order: Labels, n_classes: int) -> Labels:
    """Return the rows used for tuning and the noise matrix: the first part of `order`, sorted."""
    n_sampled = min(_N_SAMPLED, max(_MAX_ENTRIES // n_classes, n_classes))
    return np.sort(order[:n_sampled])


def choose_label_graph(
    rows: Rows, labels: Labels, n_classes: int, n_landmarks: int, order: Labels
) -> tuple[Graph, int, LabelFilter | None]:
    """Choose a graph by comparing all candidates on a few rows.

    Parameters
    ----------
    rows, labels, n_classes, n_landmarks
        As for `fit_label_filter`.
    order : ndarray of shape (m,)
        Labeled rows in random order; the first ones are used.

    Returns
    -------
    graph : Graph
        The best graph.
    start : int
        Index of its λ in `STRENGTHS`.
    best : LabelFilter or None
        The fitted filter if it already uses all rows and landmarks, else None.
    """
    compared = np.sort(order[:_N_COMPARED])
    few = np.sort(order[: min(n_landmarks, _N_LANDMARKS)])
    heats = HEATS if n_landmarks else ()
    graphs = [cosine_graph(), *(heat_graph(rows, g, few, unit=unit) for g, unit in heats)]
    fitted: list[LabelFilter] = []
    start = STRENGTHS.index(_USUAL_STRENGTH)
    for graph in graphs:
        fitted.append(_fit(rows, labels, n_classes, graph, compared, compared, start))
        start = STRENGTHS.index(fitted[-1].strength)
    heat, best = min(zip((None, *heats), fitted, strict=True), key=lambda pair: pair[1].error)
    graph, start = best._factors.graph, STRENGTHS.index(best.strength)
    if len(compared) == rows.n and (heat is None or len(few) == min(n_landmarks, rows.n)):
        return graph, start, best
    if heat is not None:
        graph = heat_graph(rows, heat[0], np.sort(order[:n_landmarks]), unit=heat[1])
    return graph, start, None


def _fit(
    rows: Rows,
    labels: Labels,
    n_classes: int,
    graph: Graph,
    used: NDArray[np.int64] | None,
    sampled: NDArray[np.int64],
    start: int,
) -> LabelFilter:
    """Fit to the rows `used`, by default all, and choose λ and T on some rows of `sampled`.

    The search for λ starts at index `start` of `STRENGTHS`.
    """
    m = graph.size(rows.d)
    places: list[Place] = [*(rows.places(m) if used is None else rows.parts(used, m))]
    factors = label_factors(rows, graph, sampled, rows.n if used is None else len(used))
    sums = combine_label_sums(
        accumulate_labels(rows[place], labels[place], factors, n_classes) for place in places
    )
    return solve_label_filter(rows, labels, factors, sums, sampled, start)


def label_factors(rows: Rows, graph: Graph, sampled: Labels, n: int) -> Factors:
    """Return the factors of a graph of n rows, estimated from some rows of `sampled`."""
    return Factors.of(graph, rows, _chosen(sampled), n)


def solve_label_filter(
    rows: Rows, labels: Labels, factors: Factors, sums: LabelSums, sampled: Labels, start: int
) -> LabelFilter:
    """Solve (1), and choose λ and T on some rows of `sampled`; no other rows are read.

    The search for λ starts at index `start` of `STRENGTHS`.
    """
    graph, m, chosen = factors.graph, len(sums.total), _chosen(sampled)
    kernel = graph.kernel(rows.d)
    gram, products = sums.gram.copy(), sums.products.copy()
    n = int(sums.counts.sum())
    mean, prior = sums.total / n, (sums.counts / n).astype(np.float32)
    gram -= n * np.outer(mean, mean)
    products -= np.outer(mean, sums.counts)
    factors = replace(factors, mean=factors.mean + mean.astype(np.float32))
    # The mean eigenvalue of the normalized graph is that of K⁻¹·G.
    unit = float(np.trace(linalg.solve(kernel, gram, assume_a="pos"))) / min(m, n)
    # Compensate for what single-precision rounding may subtract from an eigenvalue of G.
    gram.flat[:: m + 1] += _ROUNDING * max(float(gram.trace()), _TINY)
    given = labels[chosen]
    s = np.concatenate([factors(rows[part]) for part in rows.parts(chosen, m)])

    def evaluate(place: int) -> tuple[float, _Ridge, Block]:
        strength = STRENGTHS[place]
        root = linalg.cholesky(gram + strength * max(unit, _TINY) * kernel, lower=True)
        weights = linalg.cho_solve((root, True), products).astype(np.float32)
        ridge = _Ridge(strength, np.asfortranarray(root, np.float32), weights, prior, n)
        scores = ridge.left_out(s, given)
        return _squared_error(scores, given), ridge, scores

    error, ridge, scores = _lowest(evaluate, len(STRENGTHS), start)
    temperature = min(TEMPERATURES, key=lambda T: _log_loss(scores, given, T))
    return LabelFilter(rows, labels, temperature, error, sampled, factors, ridge)


def _chosen(sampled: Labels) -> Labels:
    return np.sort(sampled[evenly_spaced_rows(len(sampled), _N_CHOSEN)])


def _lowest(
    evaluate: Callable[[int], tuple[float, _Ridge, Block]], n: int, start: int
) -> tuple[float, _Ridge, Block]:
    """Return the lowest value of a unimodal function of 0, …, n − 1, descending from `start`."""
    best, found = start, evaluate(start)
    for step in (-1, 1):
        place = best + step
        while 0 <= place < n and (other := evaluate(place))[0] < found[0]:
            best, found, place = place, other, place + step
        if best != start:
            break
    return found


def _squared_error(scores: Block, labels: Labels) -> float:
    right = scores[np.arange(len(scores)), labels]
    return float((np.square(scores).sum(1) - 2 * right + 1).mean(dtype=np.float64))


def _log_loss(scores: Block, labels: Labels, temperature: float) -> float:
    logits = scores / np.float32(temperature)
    logits -= logits.max(1, keepdims=True)
    given = logits[np.arange(len(logits)), labels].astype(np.float64)
    return float((np.log(np.exp(logits).sum(1)) - given).mean())
