"""DivBS: candidates whose gradients, made orthogonal, stand for the batch's gradient."""

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
    """Diversified batch selection by the gradients of the last layer.

    DivBS (Hong et al., ICML 2024). The gradient of a sample's loss in the last layer's
    weights is g = (p − onehot) ⊗ embedding. The residual starts as the candidates' mean
    gradient; each step takes a candidate in proportion to abs(⟨g, residual⟩) and removes from
    the residual what lies along g, made orthogonal to those taken (Gram–Schmidt).

    Only inner products of gradients are needed, and ⟨gᵢ, gⱼ⟩ = ⟨eᵢ, eⱼ⟩·⟨hᵢ, hⱼ⟩ for errors
    e and embeddings h, so no gradient is ever made. Once the residual is nothing but
    rounding error, the rest is chosen at random, as the authors do. A candidate with NaN or
    infinity in its outputs comes after all others.

    Parameters
    ----------
    draw : bool, default=True
        Draw each step, as the authors' program does; else take the largest
        abs(⟨g, residual⟩), the greedy algorithm.
    """

    draw: bool = True

    name = "divbs"
    summary = "greedy cover of the batch's last-layer gradient (DivBS)"
    needs = frozenset({FRESH})

    def __post_init__(self) -> None:
        if not isinstance(self.draw, bool):
            raise TypeError(f"draw must be True or False; got {self.draw!r}")

    def choose(self, candidates: Candidates) -> Choice:
        """Choose one after the other.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """
        outputs: Outputs = given(candidates, "fresh")()
        if outputs.embeddings is None:
            raise ValueError("the method needs outputs with embeddings; got None")
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
    """Return the inner products of the samples' gradients, up to a factor, shape (n, n)."""
    errors: Any = softmax(outputs.logits.astype(np.float64), axis=1)
    errors[np.arange(len(labels)), labels] -= 1
    embeddings = np.asarray(outputs.embeddings, np.float64)
    largest = np.abs(embeddings).max(initial=0.0)
    if largest > 0:
        embeddings = embeddings / largest
    gram: Floats = (errors @ errors.T) * (embeddings @ embeddings.T)
    return gram


def _pursue(gram: Floats, k: int, rng: np.random.Generator | None) -> Indices:
    """Return up to `k` places by matching pursuit of the mean, fewer once it is matched.

    A Cholesky decomposition of the Gram matrix, its pivots chosen as the pursuit goes: row s of
    `rows` holds every gradient's product with the s-th orthonormal direction.
    """
    n = len(gram)
    products = gram.mean(1) if n else np.zeros(0)  # of each gradient with the residual
    squared = gram.diagonal().copy()  # of each gradient, the directions taken removed
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
