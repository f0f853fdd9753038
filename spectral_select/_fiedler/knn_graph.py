"""Sparse nearest-neighbor graphs and their connected components."""

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import kneighbors_graph

from spectral_select._fiedler.graph import unit_maximum
from spectral_select._utils.array_namespace import Array

__all__ = ["bisection_vector", "components", "neighbor_affinity"]


def neighbor_affinity(X: Any, n_neighbors: int) -> sparse.csr_array:
    """Return the cosine similarities between rows and their nearest neighbors.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n, d)
    n_neighbors : int
        Number of neighbors per row, excluding the row itself; at most n − 1 are used.

    Returns
    -------
    csr_array of shape (n, n)
        Symmetric affinities. Two rows are linked if either is a neighbor of the other and their
        similarity is positive.
    """
    n = X.shape[0]
    k = min(n_neighbors, n - 1)
    if k == 0:
        return sparse.csr_array((n, n), dtype=X.dtype)
    # Scale first, because the squares in the metric may overflow or underflow.
    distance = kneighbors_graph(unit_maximum(X), k, mode="distance", metric="cosine")
    affinity = sparse.csr_array(distance)
    affinity.data = np.maximum(1 - affinity.data, 0)
    affinity = sparse.csr_array(affinity.maximum(affinity.T)).astype(X.dtype)
    affinity.eliminate_zeros()
    return affinity


def components(affinity: sparse.csr_array) -> np.ndarray[Any, Any]:
    """Return the index of each vertex's connected component."""
    linked = affinity.copy()
    linked.eliminate_zeros()
    return connected_components(linked, directed=False)[1]  # type: ignore[no-any-return]


def bisection_vector(labels: np.ndarray[Any, Any], null: Array) -> Array:
    """Return the unit vector that separates the largest component from all others.

    If a graph has more than two components, its Laplacian has many eigenvectors with eigenvalue 0
    that are orthogonal to the trivial one. The returned vector is, up to the factor `null`,
    constant on the largest component and constant on the rest.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Component of each vertex. If several components tie for the largest, the first is used.
    null : ndarray of shape (n,)
        The trivial eigenvector.
    """
    inside = labels == np.bincount(labels).argmax()
    weight = null * null
    if not weight[~inside].any():  # the rest are isolated vertices of a normalized Laplacian
        v = np.where(inside, 0.0, 1.0)
    else:
        v = null * np.where(inside, -1 / weight[inside].sum(), 1 / weight[~inside].sum())
    return (v / np.linalg.norm(v)).astype(null.dtype)
