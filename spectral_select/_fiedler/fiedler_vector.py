"""The Fiedler vector of a candidate batch, with a certificate."""

from typing import Any

import numpy as np
from scipy import sparse

from spectral_select._fiedler.graph import LAPLACIANS
from spectral_select._fiedler.result import FiedlerResult, Status, first_batch
from spectral_select._fiedler.solve import AFFINITIES, solve
from spectral_select._utils.array_namespace import is_torch
from spectral_select._utils.validation import (
    NotFiniteError,
    check_affinity,
    check_features,
    check_finite,
    check_in,
    check_int,
    check_tol,
)

__all__ = ["AFFINITIES", "LAPLACIANS", "FiedlerResult", "Status", "fiedler_vector", "seed_of"]


def fiedler_vector(
    X: Any,
    *,
    laplacian: str = "unnormalized",
    affinity: str = "cosine",
    n_neighbors: int = 10,
    tol: float | None = None,
    max_iter: int = 500,
    random_state: Any = None,
    verbose: bool = False,
) -> FiedlerResult:
    """Return the Fiedler vector of the similarity graph of the rows of `X`.

    It is the minimizer of vᵀ·L·v over unit v ⟂ 1 [1]_, L = D − S, with S the cosine
    similarity of the rows and D its row sums. Where S has no negative entry that is the
    eigenvector of the second smallest eigenvalue, as in Algorithm 1 of [2]_; with signed
    features it is the Fiedler vector of the graph with weights (1 + S)/2.

    Parameters
    ----------
    X : array-like, sparse array or torch.Tensor of shape (n, d) or (b, n, d)
        Features of one batch, or of b batches of equal size (not for sparse input). With
        ``affinity="precomputed"``: symmetric affinities of shape (n, n) or (b, n, n).
        One large batch with n > 2d is read block by block, from memory or a mapped file.
    laplacian : {"unnormalized", "symmetric", "random_walk"}, default="unnormalized"
        D − S; I − D^(-1/2)·S·D^(-1/2), orthogonal to D^(1/2)·1; or I − D⁻¹·S, whose
        vector is D^(-1/2) times the symmetric one, scaled to unit norm.
    affinity : {"cosine", "nearest_neighbors", "precomputed"}, default="cosine"
        Cosine similarities of all rows; of nearest neighbors only, a sparse graph; or
        `X` itself, whose sparsity is kept. A sparse graph that is not connected gets the
        vector that tells its largest component from the rest, and a status that says so.
    n_neighbors : int, default=10
        Neighbors of each row for ``affinity="nearest_neighbors"``; two rows are linked
        if either is among the other's.
    tol : float, optional
        Target for ``residual / gap``. By default the square root of the machine epsilon
        of the dtype, times 1/8. Rounding ends the iteration earlier if it must.
    max_iter : int, default=500
        Largest number of iterations, each a product of two vectors with the affinity.
    random_state : int, RandomState or None, default=None
        Seed of the start vector. None is a fixed seed: the answer is always the same.
    verbose : bool, default=False
        Show a progress bar of the iterations, if tqdm is installed.

    Returns
    -------
    FiedlerResult
        Vectors have the dtype (float32 or float64) and the device of `X`.

    Raises
    ------
    ValueError, TypeError
        For features that are not finite, empty, or of another shape; and for a parameter
        outside its domain.

    See Also
    --------
    sklearn.manifold.spectral_embedding : Several eigenvectors of a normalized Laplacian.

    References
    ----------
    .. [1] M. Fiedler, "Algebraic connectivity of graphs", Czechoslovak Mathematical
       Journal 23 (1973), doi:10.21136/CMJ.1973.101168.
    .. [2] M. Sharifi, "Optimizing data curation through spectral analysis and joint
       batch selection (SALN)", arXiv:2412.17069.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select import fiedler_vector
    >>> X = np.array([[1.0, 0.1], [1.0, 0.2], [0.9, 0.1], [0.1, 1.0]])
    >>> result = fiedler_vector(X)
    >>> int(np.argmax(np.abs(result.vector)))  # the odd one out
    3
    >>> result.status.message
    'converged'
    """
    check_in(laplacian, "laplacian", LAPLACIANS)
    check_in(affinity, "affinity", AFFINITIES)
    check_tol(tol)
    check_int(max_iter, "max_iter", 1)
    check_int(n_neighbors, "n_neighbors", 1)
    seed = seed_of(random_state)
    X = check_affinity(X) if affinity == "precomputed" else check_features(X)
    if affinity == "nearest_neighbors":
        check_finite(X)
    single = X.ndim == 2
    try:
        result = solve(
            X[None] if single and not sparse.issparse(X) else X,
            laplacian=laplacian,
            affinity=affinity,
            n_neighbors=n_neighbors,
            tol=tol,
            max_iter=max_iter,
            start_seed=seed,
            single=single and not is_torch(X),
            verbose=verbose,
        )
    except NotFiniteError:
        check_finite(X)
        raise
    return first_batch(result) if single else result


def seed_of(random_state: Any) -> int:
    """Return the seed of the start vector; None is seed 0, and nothing global is drawn."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_int(random_state, "random_state", 0)
