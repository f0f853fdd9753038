"""Normalized rows of a similarity graph, and sums over them that can be added block by block.

With the basis b_i and the degrees d_i of a graph (`similarity_graph`), the normalized rows are
s_i = √(n/d_i)·b_i minus their mean. `accumulate_labels` computes the sums of a block, and
`combine_label_sums` adds them up; `label_filter` solves for the filter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_select._dataset_graph.similarity_graph import Graph, Rows, evenly_spaced_rows

__all__ = ["Factors", "LabelSums", "accumulate_labels", "combine_label_sums"]

Block: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

_N_LANDMARKS = 512  # rows from which the mean degree is estimated
_LEAST_DEGREE = 1e-3  # lower bound on the degrees, as a fraction of the mean degree


@dataclass
class Factors:
    """Computes the rows s of a normalized graph."""

    graph: Graph
    weights: Block  # their inner product with b_i is the degree d_i
    least: float  # lower bound on the degrees
    n: int  # number of rows in the graph
    mean: Block | float = 0.0  # subtracted from s

    @classmethod
    def of(cls, graph: Graph, rows: Rows, sampled: Labels, n: int) -> "Factors":
        """Return the factors of n rows, with the degrees estimated from a sample of the rows."""
        if graph.landmarks is None:
            total = np.zeros(graph.size(rows.d))
            for part in rows.parts(sampled, len(total)):
                total += graph.basis(rows[part]).sum(0, dtype=np.float64)
            weights = total * (n / len(sampled))
        else:
            # Use the landmarks as the sample. The sum of b over them is K·1, so K⁻¹·Σ b = 1.
            weights = np.full(len(graph.landmarks), n / len(graph.landmarks))
        few = rows[sampled[evenly_spaced_rows(len(sampled), _N_LANDMARKS)]]
        usual = np.mean(graph.basis(few) @ weights)
        factors = cls(graph, weights.astype(np.float32), _LEAST_DEGREE * float(usual), n)
        # With the mean subtracted, single precision keeps more digits of Σ s·sᵀ.
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
class LabelSums:
    """Sums over labeled rows s and their class indicators Y.

    Attributes
    ----------
    gram : ndarray of shape (m, m)
        Σ s·sᵀ.
    total : ndarray of shape (m,)
        Σ s.
    products : ndarray of shape (m, n_classes)
        Σ s·Yᵀ.
    counts : ndarray of shape (n_classes,)
        Σ Y.
    """

    gram: Floats
    total: Floats
    products: Floats
    counts: Floats


def accumulate_labels(rows: Block, labels: Labels, factors: Factors, n_classes: int) -> LabelSums:
    """Return the sums of a block of standardized rows; rows with the label -1 are left out."""
    known = np.flatnonzero(labels >= 0)
    given, s = labels[known], factors(rows)
    s = s if len(known) == len(s) else s[known]
    ones = np.ones(len(known), np.float32)
    shape = (len(known), n_classes)
    indicators = sparse.csr_array((ones, (np.arange(len(known)), given)), shape=shape)
    # In single precision, rounding would make the scores depend on the block size.
    exact: Floats = s.astype(np.float64)
    return LabelSums(
        gram=exact.T @ exact,
        total=exact.sum(0),
        products=(indicators.T @ exact).T,
        counts=np.bincount(given, minlength=n_classes).astype(np.float64),
    )


def combine_label_sums(states: Iterable[LabelSums]) -> LabelSums:
    """Return the sums of all parts, added in the given order."""
    states = iter(states)
    first = next(states)
    sums = LabelSums(*(part.copy() for part in vars(first).values()))
    for state in states:
        sums.gram += state.gram
        sums.total += state.total
        sums.products += state.products
        sums.counts += state.counts
    return sums
