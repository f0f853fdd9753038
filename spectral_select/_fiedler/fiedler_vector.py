"""The Fiedler vector of a candidate batch, with a certificate."""

from typing import Any

import numpy as np
from scipy import sparse

from spectral_select._fiedler.laplacian import LAPLACIANS
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

    The Fiedler vector minimizes vᵀ·L·v over unit vectors v ⟂ 1 [1]_. Here L = D − W, where W
    holds the weights (1 + cos)/2 of all pairs of rows and D their row sums. The weights are not
    negative, so v is the eigenvector of the second-smallest eigenvalue, even for signed features.
    If no cosine is negative, v is the vector of Algorithm 1 of [2]_; its eigenvalue there is
    ``2 * value - n``.

    Parameters
    ----------
    X : array-like, sparse array or torch.Tensor of shape (n, d) or (b, n, d)
        Features of one batch or, unless sparse, of b batches of equal size. With
        ``affinity="precomputed"``, symmetric affinities of shape (n, n) or (b, n, n). One large
        batch with n > 2d is read block by block, from memory or a memory-mapped file.
    laplacian : {"unnormalized", "symmetric", "random_walk"}, default="unnormalized"
        The Laplacian: D − W; I − D^(-1/2)·W·D^(-1/2), whose vector is orthogonal to D^(1/2)·1; or
        I − D⁻¹·W, whose vector is D^(-1/2) times the symmetric one, scaled to unit norm.
    affinity : {"cosine", "nearest_neighbors", "precomputed"}, default="cosine"
        The edge weights: (1 + cos)/2 between all rows; the cosines between nearest neighbors only,
        as a sparse graph; or `X` itself, dense or sparse. If a sparse graph is not connected, the
        vector separates its largest component from the rest, and the status is ``DISCONNECTED``.
    n_neighbors : int, default=10
        Number of neighbors per row for ``affinity="nearest_neighbors"``; two rows are linked if
        either is a neighbor of the other.
    tol : float, optional
        Target for ``residual / gap``. By default, √eps / 8, where eps is the machine epsilon of
        the dtype. Iteration stops earlier if roundoff prevents further progress.
    max_iter : int, default=500
        Maximum number of iterations, each of which multiplies two vectors by the affinity.
    random_state : int, RandomState or None, default=None
        Seed for the start vector. None means a fixed seed, so that results are repeatable.
    verbose : bool, default=False
        Whether to show a progress bar of the iterations, if tqdm is installed.

    Returns
    -------
    FiedlerResult
        Its vectors have the dtype (float32 or float64) and the device of `X`.

    Raises
    ------
    ValueError, TypeError
        If features are empty, not finite or of the wrong shape, if a parameter is outside its
        domain, or if a row of precomputed affinities has a negative sum and the Laplacian is
        normalized.

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
    """Return the seed for the start vector; None means 0, never the global random state."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_int(random_state, "random_state", 0)
