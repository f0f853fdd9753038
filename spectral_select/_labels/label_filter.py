"""Class probabilities of each sample from the labels of the others, by a low-pass filter.

The class indicators Y, less the class frequencies p, are filtered on a similarity graph with the
factors Z: ridge regression with the strength λ keeps a component of eigenvalue v by the factor
v/(v + λ). With the eigenvectors of ZᵀZ, U = Z·V, the left-out scores are

    s_i = p + (U_i·(v + λ)⁻¹·Uᵀ(Y − p) − h_i·(Y_i − p)) / (1 − h_i),
    h_i = U_i·(v + λ)⁻¹·U_iᵀ + 1/n.                                                       (1)

The label of sample i has no part in s_i. Graph and strength are those with the smallest squared
error of s. The probabilities are softmax(s/T), with the T of the smallest log loss.
"""

from dataclasses import dataclass, replace
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
TEMPERATURES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
# Rows and landmarks with which the graphs are compared.
_N_COMPARED, _N_LANDMARKS = 4096, 512
# Rows by which strength and temperature are chosen, and most entries of their scores.
_N_SAMPLED, _MAX_ENTRIES = 20_000, 2**24
_LEAST_DEGREE = 1e-3  # of the mean degree
_LEAST_EIGENVALUE = 1e-6  # of the largest
_LEAST_LEFT = 1e-6  # 1 − h
_PASSED = 0.01  # v/λ below which a component is left out, as the filter removes it


@dataclass
class _Factors:
    """The factors of a normalized graph, scaled as in (2) of `similarity_graph`."""

    graph: Graph
    weights: Floats  # M·Σ b, whose products with b are the degrees
    least: float  # smallest degree
    n: int  # rows of the graph

    @classmethod
    def of(cls, graph: Graph, rows: Rows, used: Labels, n: int) -> "_Factors":
        """Return the factors of n rows; the sum over j in the degrees is that of `used`."""
        total = np.zeros(graph.size(rows.d))
        for part in rows.parts(used, len(total)):
            total += graph.basis(rows[part]).sum(0, dtype=np.float64)
        total *= n / len(used)
        weights = total if graph.root is None else graph.root @ (graph.root.T @ total)
        return cls(graph, weights, _LEAST_DEGREE * float(total @ weights) / n, n)

    def scaled(self, rows: Block) -> Block:
        """Return √(n/d_i)·b(x_i) of each row."""
        basis = self.graph.basis(rows)
        degrees = np.maximum(basis @ self.weights.astype(np.float32), np.float32(self.least))
        basis *= np.sqrt(self.n / degrees)[:, None]
        return basis


@dataclass
class _Basis:
    """U = (scaled rows)·turn − shift, and the eigenvalues v of ZᵀZ."""

    factors: _Factors
    turn: Block
    shift: Block
    values: Floats

    def __call__(self, rows: Block) -> Block:
        U: Block = self.factors.scaled(rows) @ self.turn - self.shift
        return U


@dataclass
class _Ridge:
    """The solution of (1) for one λ."""

    strength: float
    damped: Block
    weights: Block
    prior: Block
    n: int  # labeled rows

    def left_out(self, U: Block, labels: Labels) -> Block:
        """Return the scores (1); of an unlabeled row, the score that it has."""
        scores: Block = U @ self.weights
        known = np.flatnonzero(labels >= 0)
        leverage = np.square(U) @ (1 / self.damped) + np.float32(1 / self.n)
        leverage = np.minimum(leverage, 1 - _LEAST_LEFT)[known, None]
        own = np.tile(-self.prior, (len(known), 1))
        own[np.arange(len(known)), labels[known]] += 1
        scores[known] = (scores[known] - leverage * own) / (1 - leverage)
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
        Rows by which strength and temperature were chosen.
    table : ndarray of shape (m, n_classes)
        Their left-out probabilities.
    """

    rows: Rows
    labels: Labels
    temperature: float
    error: float
    sampled: Labels
    table: Block
    _basis: _Basis
    _ridge: _Ridge

    @property
    def graph(self) -> str:
        """The kind of the graph, with its scale."""
        return self._basis.factors.graph.name

    @property
    def strength(self) -> float:
        """λ in units of the mean eigenvalue."""
        return self._ridge.strength

    def probabilities(self, place: Place) -> Block:
        """Return the left-out class probabilities of some rows."""
        scores = self._ridge.left_out(self._basis(self.rows[place]), self.labels[place])
        return np.asarray(softmax(scores / np.float32(self.temperature), axis=1))

    def places(self) -> list[slice]:
        """Return the blocks of rows for which the probabilities stay small."""
        width = max(self._basis.factors.graph.size(self.rows.d), self._ridge.weights.shape[1])
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
        Largest number of landmarks of a heat kernel.
    seed : int
        Seed of the landmarks, and of the rows on which choices are made.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    compared = np.sort(order[:_N_COMPARED])
    few = np.sort(order[: min(n_landmarks, _N_LANDMARKS)])
    graphs = [cosine_graph(), *(heat_graph(rows, g, few, unit=unit) for g, unit in HEATS)]
    fitted = [_fit(rows, labels, n_classes, graph, compared, compared) for graph in graphs]
    heat, best = min(zip((None, *HEATS), fitted, strict=True), key=lambda pair: pair[1].error)
    if len(compared) == rows.n and (heat is None or len(few) == min(n_landmarks, rows.n)):
        return best
    graph = best._basis.factors.graph
    if heat is not None:
        graph = heat_graph(rows, heat[0], np.sort(order[:n_landmarks]), unit=heat[1])
    n_sampled = min(_N_SAMPLED, max(_MAX_ENTRIES // n_classes, n_classes))
    return _fit(rows, labels, n_classes, graph, None, np.sort(order[:n_sampled]))


def _fit(
    rows: Rows,
    labels: Labels,
    n_classes: int,
    graph: Graph,
    used: NDArray[np.int64] | None,
    sampled: NDArray[np.int64],
) -> LabelFilter:
    """Fit to the rows `used`, by default all, and choose λ and T on the rows `sampled`."""
    m = graph.size(rows.d)
    places: list[Place] = [*(rows.places(m) if used is None else rows.parts(used, m))]
    factors = _Factors.of(graph, rows, sampled, rows.n if used is None else len(used))
    gram, sums = np.zeros((m, m)), np.zeros(m)
    products, counts = np.zeros((m, n_classes)), np.zeros(n_classes)
    for place in places:
        known = np.flatnonzero(labels[place] >= 0)
        given, scaled = labels[place][known], factors.scaled(rows[place])[known]
        gram += scaled.T @ scaled
        sums += scaled.sum(0, dtype=np.float64)
        ones = np.ones(len(known), np.float32)
        shape = (len(known), n_classes)
        indicators = sparse.csr_array((ones, (np.arange(len(known)), given)), shape=shape)
        products += (indicators.T @ scaled).T
        counts += np.bincount(given, minlength=n_classes)
    n = int(counts.sum())
    mean = graph.rooted(sums / n)
    covariance = graph.rooted(graph.rooted(gram).T) - n * np.outer(mean, mean)
    values, vectors = linalg.eigh(covariance)
    kept = values > _LEAST_EIGENVALUE * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    turn = vectors if graph.root is None else graph.root @ vectors
    shift = (mean @ vectors).astype(np.float32)
    basis = _Basis(factors, turn.astype(np.float32), shift, values)
    turned = vectors.T @ (graph.rooted(products) - np.outer(mean, counts))
    U = np.concatenate([basis(rows[part]) for part in rows.parts(sampled, m)])
    prior, given = (counts / n).astype(np.float32), labels[sampled]
    best = None
    for strength in STRENGTHS:
        damped = (values + strength * values.mean()).astype(np.float32)
        weights = (turned / damped[:, None]).astype(np.float32)
        ridge = _Ridge(strength, damped, weights, prior, n)
        scores = ridge.left_out(U, given)
        error = _squared_error(scores, given)
        if best is None or error < best[0]:
            best = error, ridge, scores
    error, ridge, scores = best  # type: ignore[misc]
    passed = values > _PASSED * (ridge.damped - values)
    basis = _Basis(factors, basis.turn[:, passed], shift[passed], values[passed])
    ridge = replace(ridge, damped=ridge.damped[passed], weights=ridge.weights[passed])
    temperature = min(TEMPERATURES, key=lambda T: _log_loss(scores, given, T))
    table = np.asarray(softmax(scores / np.float32(temperature), axis=1))
    return LabelFilter(rows, labels, temperature, error, sampled, table, basis, ridge)


def _squared_error(scores: Block, labels: Labels) -> float:
    right = scores[np.arange(len(scores)), labels]
    return float((np.square(scores).sum(1) - 2 * right + 1).mean(dtype=np.float64))


def _log_loss(scores: Block, labels: Labels, temperature: float) -> float:
    logits = scores / np.float32(temperature)
    logits -= logits.max(1, keepdims=True)
    given = logits[np.arange(len(logits)), labels].astype(np.float64)
    return float((np.log(np.exp(logits).sum(1)) - given).mean())
