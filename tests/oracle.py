"""Algorithm 1 of SALN (arXiv:2412.17069) and the dense Laplacians in plain float64."""

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity


def similarities(X):
    return cosine_similarity(np.asarray(X, dtype=np.float64))


def algorithm_1_laplacian(X):
    """Return D − S for the cosine similarities S, some of which may be negative."""
    S = similarities(X)
    return np.diag(S.sum(axis=1)) - S


def weights(X):
    return (1 + similarities(X)) / 2


def laplacian(X, kind="unnormalized"):
    """Return the Laplacian of the graph with the weights (1 + S)/2."""
    W = weights(X)
    degrees = W.sum(axis=1)
    if kind == "unnormalized":
        return np.diag(degrees) - W
    root = 1 / np.sqrt(degrees)
    return np.eye(len(W)) - root[:, None] * W * root[None, :]


def spectrum(X, kind="unnormalized"):
    """Return all eigenpairs: the trivial one, then the others in ascending order."""
    L = laplacian(X, kind)
    null = np.ones(len(L)) if kind == "unnormalized" else np.sqrt(weights(X).sum(axis=1))
    null /= np.linalg.norm(null)
    lift = 4 * np.diag(L).max()
    # The lift makes the trivial eigenvalue the largest, even if the graph is not connected.
    values, vectors = np.linalg.eigh(L + lift * np.outer(null, null))
    return np.append(0, values[:-1]), np.column_stack([null, vectors[:, :-1]])


def algorithm_1(X, n_draws):
    """Return the kept set, and (λ₃ − λ₂) / λ₂."""
    values, vectors = np.linalg.eigh(algorithm_1_laplacian(X))
    kept = np.argsort(np.abs(vectors[:, 1]))[-n_draws:]
    return set(kept.tolist()), (values[2] - values[1]) / values[1]
