"""Class probabilities of each sample from the labels of the others, by a low-pass filter.

The similarity graph has the affinities S = B·K⁻¹·Bᵀ (`similarity_graph`) and the degrees d. With
the rows s_i = √(n/d_i)·b_i less their mean, and G = Σ s_i·s_iᵀ, the class indicators Y, less the
class frequencies p, are filtered by

    F = s·W,   W = (G + λ·K)⁻¹·sᵀ·(Y − p).                                                (1)

This is ridge regression: a component of eigenvalue v of the normalized graph is kept by the factor
v/(v + λ). With the leverage h_i = s_iᵀ·(G + λ·K)⁻¹·s_i + 1/n, the left-out scores are

    f_i = p + (F_i − h_i·(Y_i − p)) / (1 − h_i).                                          (2)

The label of sample i has no part in f_i. With the Cholesky factor C·Cᵀ = G + λ·K, h_i − 1/n is
‖C⁻¹·s_i‖². Graph and strength λ are those with the smallest squared error of f. The probabilities
are softmax(f/T), with the T of the smallest log loss.

Votes of nearest neighbors are no candidate. Their left-out error is often smaller, but they follow
wrong labels too closely: on images they rank them clearly worse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.special import softmax

from spectral_select._dataset_graph.similarity_graph import Graph, Rows, cosine_graph, heat_graph

__all__ = ["LabelFilter", "fit_label_filter"]

Block: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]
Place: TypeAlias = slice | NDArray[np.int64]

# γ of each heat kernel, and whether rows are scaled to length 1.
HEATS = ((0.5, True), (1.0, True), (2.0, True), (1.0, False))
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # λ, in units of the mean eigenvalue
_USUAL_STRENGTH = 0.1
TEMPERATURES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
# Rows and landmarks with which the graphs are compared.
_N_COMPARED, _N_LANDMARKS = 4096, 512
# Rows by which strength and temperature are chosen; rows for the noise matrix, and most entries
# of their scores.
_N_CHOSEN, _N_SAMPLED, _MAX_ENTRIES = 4096, 20_000, 2**24
_LEAST_DEGREE = 1e-3  # of the mean degree
_LEAST_LEFT = 1e-6  # 1 − h
_ROUNDING, _TINY = 3e-7, 1e-12


@dataclass
class _Factors:
    """The rows s of a normalized graph, and what (1) needs of them."""

    graph: Graph
    weights: Block  # whose products with b are the degrees
    least: float  # smallest degree
    n: int  # rows of the graph
    mean: Block | float = 0.0  # subtracted from s

    @classmethod
    def of(cls, graph: Graph, rows: Rows, sampled: Labels, n: int) -> "_Factors":
        """Return the factors of n rows, with the degrees estimated from a sample of the rows."""
        if graph.landmarks is None:
            total = np.zeros(graph.size(rows.d))
            for part in rows.parts(sampled, len(total)):
                total += graph.basis(rows[part]).sum(0, dtype=np.float64)
            weights = total * (n / len(sampled))
        else:
            # The landmarks are a sample, for which K⁻¹·Σ b = 1.
            weights = np.full(len(graph.landmarks), n / len(graph.landmarks))
        few = rows[sampled[_spread(len(sampled), _N_LANDMARKS)]]
        usual = np.mean(graph.basis(few) @ weights)
        factors = cls(graph, weights.astype(np.float32), _LEAST_DEGREE * float(usual), n)
        # Near the mean, single precision keeps more digits of G.
        factors.mean = factors(few).mean(0)
        return factors

    def __call__(self, rows: Block) -> Block:
        """Return s of each row."""
        basis = self.graph.basis(rows)
        degrees = np.maximum(basis @ self.weights, np.float32(self.least))
        basis *= np.sqrt(self.n / degrees)[:, None]
        basis -= self.mean
        return basis


@dataclass
class _Ridge:
    """The solution of (1) for one λ."""

    strength: float
    root: Block  # C
    weights: Block  # W
    prior: Block  # p
    n: int  # labeled rows

    def left_out(self, s: Block, labels: Labels) -> Block:
        """Return the scores (2), and F + p for unlabeled rows."""
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
        Class numbers; -1 is unlabeled.
    temperature : float
        T.
    error : float
        Mean squared error of the left-out scores.
    sampled : ndarray of shape (m,)
        Rows from which the noise matrix is to be estimated.
    """

    rows: Rows
    labels: Labels
    temperature: float
    error: float
    sampled: Labels
    _factors: _Factors
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
        """Return the left-out class probabilities of some rows."""
        if self.rows.n * self._ridge.weights.shape[1] > _MAX_ENTRIES:
            return self._probabilities(place)
        if self._table is None:  # small enough to be kept
            self._table = np.concatenate([self._probabilities(part) for part in self.places()])
        return self._table[place]

    def _probabilities(self, place: Place) -> Block:
        scores = self._ridge.left_out(self._factors(self.rows[place]), self.labels[place])
        return np.asarray(softmax(scores / np.float32(self.temperature), axis=1))

    def places(self) -> list[slice]:
        """Return the blocks of rows for which the probabilities stay small."""
        width = max(self._ridge.weights.shape)
        return list(self.rows.places(width))


def fit_label_filter(
    rows: Rows, labels: Labels, n_classes: int, *, n_landmarks: int, seed: int
) -> LabelFilter:
    """Return the filter with the smallest left-out error.

    Parameters
    ----------
    rows : Rows
        The dataset, n rows.
    labels : ndarray of shape (n,)
        Class numbers; -1 is unlabeled.
    n_classes : int
        Number of classes.
    n_landmarks : int
        Largest number of landmarks of a heat kernel; 0 tries the cosine graph alone.
    seed : int
        Seed of the landmarks, and of the rows on which choices are made.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
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
    if len(compared) == rows.n and (heat is None or len(few) == min(n_landmarks, rows.n)):
        return best
    graph = best._factors.graph
    if heat is not None:
        graph = heat_graph(rows, heat[0], np.sort(order[:n_landmarks]), unit=heat[1])
    n_sampled = min(_N_SAMPLED, max(_MAX_ENTRIES // n_classes, n_classes))
    start = STRENGTHS.index(best.strength)
    return _fit(rows, labels, n_classes, graph, None, np.sort(order[:n_sampled]), start)


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

    The search for λ begins at the place `start` of the strengths.
    """
    m, kernel = graph.size(rows.d), graph.kernel(rows.d)
    places: list[Place] = [*(rows.places(m) if used is None else rows.parts(used, m))]
    chosen = np.sort(sampled[_spread(len(sampled), _N_CHOSEN)])
    factors = _Factors.of(graph, rows, chosen, rows.n if used is None else len(used))
    gram, sums = np.zeros((m, m)), np.zeros(m)
    products, counts = np.zeros((m, n_classes)), np.zeros(n_classes)
    for place in places:
        known = np.flatnonzero(labels[place] >= 0)
        given, s = labels[place][known], factors(rows[place])
        s = s if len(known) == len(s) else s[known]
        gram += s.T @ s
        sums += s.sum(0, dtype=np.float64)
        ones = np.ones(len(known), np.float32)
        shape = (len(known), n_classes)
        indicators = sparse.csr_array((ones, (np.arange(len(known)), given)), shape=shape)
        products += (indicators.T @ s).T
        counts += np.bincount(given, minlength=n_classes)
    n = int(counts.sum())
    mean, prior = sums / n, (counts / n).astype(np.float32)
    gram -= n * np.outer(mean, mean)
    products -= np.outer(mean, counts)
    factors.mean += mean.astype(np.float32)
    # The mean eigenvalue of the normalized graph is that of K⁻¹·G.
    unit = float(np.trace(linalg.solve(kernel, gram, assume_a="pos"))) / min(m, n)
    # What rounding in single precision may take from an eigenvalue of G.
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


def _lowest(
    evaluate: Callable[[int], tuple[float, _Ridge, Block]], n: int, start: int
) -> tuple[float, _Ridge, Block]:
    """Return the lowest value of a unimodal function of 0, …, n − 1, going down from `start`."""
    best, found = start, evaluate(start)
    for step in (-1, 1):
        place = best + step
        while 0 <= place < n and (other := evaluate(place))[0] < found[0]:
            best, found, place = place, other, place + step
        if best != start:
            break
    return found


def _spread(n: int, most: int) -> Labels:
    """Return at most `most` of n places, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _squared_error(scores: Block, labels: Labels) -> float:
    right = scores[np.arange(len(scores)), labels]
    return float((np.square(scores).sum(1) - 2 * right + 1).mean(dtype=np.float64))


def _log_loss(scores: Block, labels: Labels, temperature: float) -> float:
    logits = scores / np.float32(temperature)
    logits -= logits.max(1, keepdims=True)
    given = logits[np.arange(len(logits)), labels].astype(np.float64)
    return float((np.log(np.exp(logits).sum(1)) - given).mean())
