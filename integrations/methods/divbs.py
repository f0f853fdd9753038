"""DivBS: select candidates whose orthogonalized gradients represent the batch's gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from spectral_select._selectors.weighted_sampling import gumbel_top_k
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    FRESH,
    Candidates,
    Choice,
    Indices,
    Method,
    Outputs,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["DivBS"]

Floats = NDArray[np.float64]


@register
@dataclass(frozen=True)
class DivBS(Method):
    """Diversified batch selection by last-layer gradients.

    DivBS (Hong et al., ICML 2024). The gradient of a sample's loss with respect to the last
    layer's weights is g = e ⊗ h, where the error e is the vector of predicted probabilities
    minus the one-hot label, and h is the embedding. The residual starts as the candidates'
    mean gradient. Each step takes a candidate with probability proportional to
    abs(⟨g, residual⟩), orthogonalizes its gradient against the gradients already taken
    (Gram–Schmidt), and projects the resulting direction out of the residual.

    Only inner products of gradients are needed, and ⟨gᵢ, gⱼ⟩ = ⟨eᵢ, eⱼ⟩·⟨hᵢ, hⱼ⟩, so no
    gradient is ever computed. Once the residual contains only roundoff, the remaining
    candidates are chosen at random, as in the authors' code. Candidates with NaN or infinity in
    their outputs come last.

    Parameters
    ----------
    draw : bool, default=True
        Whether to draw candidates at random, as the authors' code does. Otherwise each step
        takes the candidate with the largest abs(⟨g, residual⟩) (the greedy algorithm).
    """

    draw: bool = True

    name = "divbs"
    summary = "greedy cover of the batch's last-layer gradient (DivBS)"
    needs = frozenset({FRESH})

    def __post_init__(self) -> None:
        if not isinstance(self.draw, bool):
            raise TypeError(f"draw must be True or False; got {self.draw!r}")

    def choose(self, candidates: Candidates) -> Choice:
        """Choose candidates one by one."""
        outputs: Outputs = given(candidates, "fresh")()
        if outputs.embeddings is None:
            raise ValueError("the method needs embeddings in the model's outputs; got None")
        n, k, rng = len(candidates), candidates.n_keep, candidates.rng
        finite: Any = np.isfinite(outputs.logits).all(1)
        finite &= np.isfinite(outputs.embeddings).all(1)
        usable = np.flatnonzero(finite)
        gram = _gradient_gram(outputs.take(usable), candidates.labels[usable])
        taken = usable[_pursue(gram, min(k, len(usable)), rng if self.draw else None)]
        left = np.setdiff1d(np.arange(n), taken)
        rest = left[gumbel_top_k(np.where(finite[left], 0, -np.inf), k - len(taken), rng)]
        return Choice(np.concatenate([taken, rest]))


def _gradient_gram(outputs: Outputs, labels: Indices) -> Floats:
    """Return the inner products of the gradients up to a constant factor, shape (n, n)."""
    errors: Any = softmax(outputs.logits.astype(np.float64), axis=1)
    errors[np.arange(len(labels)), labels] -= 1
    embeddings = np.asarray(outputs.embeddings, np.float64)
    largest = np.abs(embeddings).max(initial=0.0)
    if largest > 0:
        embeddings = embeddings / largest
    gram: Floats = (errors @ errors.T) * (embeddings @ embeddings.T)
    return gram


def _pursue(gram: Floats, k: int, rng: np.random.Generator | None) -> Indices:
    """Select up to `k` positions by matching pursuit; stop once the mean gradient is matched.

    This is a Cholesky decomposition of the Gram matrix, with the pivots chosen by the pursuit.
    Row s of `rows` contains every gradient's product with the s-th orthonormal direction.
    """
    n = len(gram)
    # Inner product of each gradient with the residual.
    products = gram.mean(1) if n else np.zeros(0)
    # Squared norms of the gradients after projecting out the directions taken so far.
    squared = gram.diagonal().copy()
    noise = n * np.finfo(np.float64).eps
    floors = noise * squared, noise * np.sqrt(squared * max(gram.mean(), 0) if n else squared)
    rows = np.empty((k, n))
    taken: list[int] = []
    while len(taken) < k:
        usable = (squared > floors[0]) & (np.abs(products) > floors[1])
        usable[taken] = False
        if not usable.any():
            break
        weights = np.where(usable, np.abs(products), 0.0)
        if rng is None:
            best = int(weights.argmax())
        else:
            best = int(rng.choice(n, p=weights / weights.sum()))
        row = gram[best] - rows[: len(taken), best] @ rows[: len(taken)]
        row /= np.sqrt(squared[best])
        rows[len(taken)] = row
        products = products - products[best] / np.sqrt(squared[best]) * row
        squared -= row**2
        taken.append(best)
    return np.array(taken, np.int64)
