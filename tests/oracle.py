"""Algorithm 1 of SALN (arXiv:2412.17069) in plain float64, as the tests' oracle."""

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity


def laplacian(X, kind="unnormalized"):
    S = cosine_similarity(np.asarray(X, dtype=np.float64))
    degrees = S.sum(axis=1)
    if kind == "unnormalized":
        return np.diag(degrees) - S
    root = 1 / np.sqrt(degrees)
    return np.eye(len(S)) - root[:, None] * S * root[None, :]


def spectrum(X, kind="unnormalized"):
    return np.linalg.eigh(laplacian(X, kind))


def algorithm_1(X, n_draws):
    """Return the set of kept rows, and (λ₃ − λ₂) / λ₂."""
    values, vectors = spectrum(X)
    kept = np.argsort(np.abs(vectors[:, 1]))[-n_draws:]
    return set(kept.tolist()), (values[2] - values[1]) / values[1]
