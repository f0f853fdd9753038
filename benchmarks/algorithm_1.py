"""SALN's Algorithm 1 (arXiv:2412.17069), as published except for the number of rows kept."""

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from spectral_select import n_kept


def algorithm_1(X: np.ndarray, filter_ratio: float = 0.8) -> tuple[np.ndarray, float]:
    """Return the kept rows, and the gap (λ₃ − λ₂) / λ₂.

    If the gap is near 0, the kept rows are arbitrary. The published algorithm rounds
    `n * (1 - filter_ratio)` down in floating point, so it keeps 19 of 100 rows for a ratio of
    0.8. Here the number is exact.
    """
    similarity = cosine_similarity(X)
    laplacian = np.diag(similarity.sum(axis=1)) - similarity
    values, vectors = np.linalg.eigh(laplacian)
    kept = np.argsort(np.abs(vectors[:, 1]))[-n_kept(len(X), filter_ratio) :]
    return kept, float((values[2] - values[1]) / values[1])
